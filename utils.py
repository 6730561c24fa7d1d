"""The tutorial's own module, under its own name: ``import utils`` in its listing finds this.

A facade: everything here lives in the package gluon_classics.
"""

from gluon_classics.data import DataLoader, load_data_fashion_mnist
from gluon_classics.devices import try_all_gpus, try_gpu
from gluon_classics.training import evaluate_accuracy, train

__all__ = ["DataLoader", "evaluate_accuracy", "load_data_fashion_mnist", "train", "try_all_gpus", "try_gpu"]
