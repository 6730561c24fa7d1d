"""What a network is made of: its layers, sizes, parameters, multiply-accumulates and receptive fields."""

from gluon_classics.insight.summary import Layer, Stage, Summary, summarize
from gluon_classics.insight.tables import layer_table, stage_table

__all__ = ["Layer", "Stage", "Summary", "layer_table", "stage_table", "summarize"]
