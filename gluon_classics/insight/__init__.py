"""What a network is made of, and which classes it confuses."""

from gluon_classics.insight.confusion import confusion_matrix, format_per_class, per_class, write_confusion
from gluon_classics.insight.summary import Layer, Stage, Summary, summarize
from gluon_classics.insight.tables import layer_table, stage_table

__all__ = [
    "Layer",
    "Stage",
    "Summary",
    "confusion_matrix",
    "format_per_class",
    "layer_table",
    "per_class",
    "stage_table",
    "summarize",
    "write_confusion",
]
