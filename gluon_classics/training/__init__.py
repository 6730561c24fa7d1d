"""Training: the loop, the recipes, precision, checkpoints, and the folder that a run leaves."""

from gluon_classics.training.checkpoint import DamagedCheckpoint, NonFiniteWeights
from gluon_classics.training.checkpointing import Checkpointer
from gluon_classics.training.distributed import ALONE, ENGINES, TIMEOUT, SharedError, Workers, connect
from gluon_classics.training.loop import EpochRecord, Progress, StopTraining, evaluate_accuracy, predict, train
from gluon_classics.training.losses import LabelSmoothing
from gluon_classics.training.memory import advice_on_memory, out_of_memory
from gluon_classics.training.metrics import NonFiniteLoss
from gluon_classics.training.nag import NAG
from gluon_classics.training.precision import DTYPES, check_dtype, enable_dtype
from gluon_classics.training.randomness import draws_random_numbers
from gluon_classics.training.recipes import INITIALIZERS, RECIPES, Recipe, get_recipe
from gluon_classics.training.run_folder import RunFolder, UnwrittenRun, new_run_folder, unfinished_runs
from gluon_classics.training.schedules import SCHEDULES, make_schedule
from gluon_classics.training.signals import StopSignals
from gluon_classics.training.step import Step
from gluon_classics.training.trial import Trial, choose_accumulate, choose_dtype
from gluon_classics.training.weight_average import WeightAverage, averaged
from gluon_classics.training.weight_decay import weight_decay_on_weights_only

__all__ = [
    "ALONE",
    "DTYPES",
    "ENGINES",
    "INITIALIZERS",
    "RECIPES",
    "SCHEDULES",
    "TIMEOUT",
    "Checkpointer",
    "DamagedCheckpoint",
    "EpochRecord",
    "LabelSmoothing",
    "NAG",
    "NonFiniteLoss",
    "NonFiniteWeights",
    "Progress",
    "Recipe",
    "RunFolder",
    "SharedError",
    "Step",
    "StopSignals",
    "StopTraining",
    "Trial",
    "UnwrittenRun",
    "WeightAverage",
    "Workers",
    "advice_on_memory",
    "averaged",
    "check_dtype",
    "choose_accumulate",
    "choose_dtype",
    "connect",
    "draws_random_numbers",
    "enable_dtype",
    "evaluate_accuracy",
    "get_recipe",
    "make_schedule",
    "new_run_folder",
    "out_of_memory",
    "predict",
    "train",
    "unfinished_runs",
    "weight_decay_on_weights_only",
]
