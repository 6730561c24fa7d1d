"""Early stopping: end the training when the validation accuracy no longer improves."""

from __future__ import annotations

from gluon_classics.training.callbacks import Callback
from gluon_classics.training.progress import EpochRecord
from gluon_classics.training.run_folder import RunFolder


class EarlyStopping(Callback):
    """Ends the training `patience` epochs after the best one in `run`; None: never. Goes after the Checkpointer."""

    def __init__(self, run: RunFolder, patience: int | None):
        self.run, self.patience = run, patience

    def on_epoch_end(self, record: EpochRecord) -> bool:
        over = self.is_over()
        if over:
            self.run.log(f"Stopped early: no better validation accuracy for {self.patience} epochs")
        return over

    def is_over(self) -> bool:
        """Return whether the epochs that `patience` allows are over. A resumed run asks before its first epoch."""
        best = self.run.best_record
        return bool(self.patience and best and self.run.records[-1].epoch - best.epoch >= self.patience)
