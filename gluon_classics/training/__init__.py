"""Training: the loop, the recipes, and the folder that a run leaves."""

from gluon_classics.training.loop import EpochRecord, NonFiniteLoss, evaluate_accuracy, train
from gluon_classics.training.recipes import INITIALIZERS, RECIPES, Recipe, get_recipe
from gluon_classics.training.run_folder import RunFolder, new_run_folder

__all__ = [
    "INITIALIZERS",
    "RECIPES",
    "EpochRecord",
    "NonFiniteLoss",
    "Recipe",
    "RunFolder",
    "evaluate_accuracy",
    "get_recipe",
    "new_run_folder",
    "train",
]
