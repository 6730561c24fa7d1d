"""What a network is made of, what it sees, which classes it confuses, and a page that tells of a run."""

from gluon_classics.insight.confusion import (
    confusion_matrix,
    format_per_class,
    per_class,
    read_confusion,
    write_confusion,
)
from gluon_classics.insight.mistakes import draw_mistakes
from gluon_classics.insight.report import open_report, write_report
from gluon_classics.insight.samples import draw_samples
from gluon_classics.insight.summary import Layer, Stage, Summary, summarize
from gluon_classics.insight.tables import layer_table, stage_table

__all__ = [
    "Layer",
    "Stage",
    "Summary",
    "confusion_matrix",
    "draw_mistakes",
    "draw_samples",
    "format_per_class",
    "layer_table",
    "open_report",
    "per_class",
    "read_confusion",
    "stage_table",
    "summarize",
    "write_confusion",
    "write_report",
]
