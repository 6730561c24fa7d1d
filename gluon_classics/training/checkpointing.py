"""When a run writes its checkpoints, and what they hold."""

from __future__ import annotations

from dataclasses import asdict
from time import monotonic

from gluon_classics.training.checkpoint import (
    Checkpoint,
    DamagedCheckpoint,
    NonFiniteWeights,
    checkpoint_name,
    newest_checkpoint,
    prune,
    read_checkpoint,
    write_checkpoint,
)
from gluon_classics.training.loop import EpochRecord, Progress, StopTraining
from gluon_classics.training.metrics import Metrics
from gluon_classics.training.optimizer_state import get_state, set_state
from gluon_classics.training.run_folder import RunFolder
from gluon_classics.training.signals import StopSignals
from gluon_classics.training.step import Step
from gluon_classics.training.weight_average import averaged

from mxnet import nd


class Checkpointer:
    """Writes a checkpoint at each epoch's end, every `batches` batches, every `minutes`, and when `stop` asks for it.

    It holds all that the coming steps depend on: weights, averaged weights, the optimizer's state, the place in the
    epoch and its sums, the epochs' records. What it leaves out is a function of the settings and the place: the order
    of the images, the random numbers, the learning rate.
    """

    def __init__(self, run: RunFolder, step: Step, average, stop: StopSignals, batches: int | None, minutes: float):
        self.run, self.step, self.average, self.stop = run, step, average, stop
        self.net, self.trainer = step.net, step.trainer
        self.batches, self.minutes = batches, minutes
        self.best: str | None = None  # name of the best epoch's checkpoint
        self._written = monotonic()

    def on_batch_end(self, progress: Progress, metrics: Metrics) -> None:
        """Raises StopTraining after the checkpoint that a signal asked for."""
        due = self.batches is not None and progress.batch % self.batches == 0
        if due or self.stop.signal is not None or monotonic() - self._written > 60 * self.minutes:
            metrics.finish()  # a loss that is not finite ends here, and no checkpoint tells of it
            self.write(progress)
        self.check_stop()

    def on_epoch_end(self, record: EpochRecord) -> None:
        """Enter the epoch, write its checkpoint, and then its weights: a run that goes on knows them all."""
        self.run.enter(record)
        progress = Progress(record.epoch + 1)
        is_best = self.run.best_record is record
        if is_best:
            self.best = _name(progress)
        self.write(progress)
        self.save_weights("last")
        if is_best:
            self.save_weights("best")
        self.check_stop()

    def check_stop(self) -> None:
        """Raises StopTraining where a signal asks for it."""
        if self.stop.signal is not None:
            raise StopTraining

    def save_weights(self, name: str) -> None:
        """Write last.params or best.params: the averaged weights, in a run that has them."""
        with averaged(self.average):
            self.run.save_weights(self.net, name)

    def write(self, progress: Progress) -> None:
        """Raises NonFiniteWeights and OSError, as write_checkpoint."""
        state = {**asdict(progress), "records": [asdict(record) for record in self.run.records], "best": self.best}
        first, *others = self.trainer._contexts
        arrays = {"weights": {name: p.data(first) for name, p in self._parameters().items()}}
        for i, device in enumerate(others, 1):  # weights are equal everywhere; running statistics are each device's own
            arrays[f"statistics-{i}"] = {name: p.data(device) for name, p in self._statistics().items()}
        arrays["optimizer"], state["optimizer"] = get_state(self.trainer)
        state["loss_scaling"] = self.step.scaling.state()
        if self.average:
            arrays["average"], state["average_updates"] = self.average.arrays(), self.average.updates
        try:
            write_checkpoint(self.run.checkpoints, Checkpoint(arrays, state))
        except NonFiniteWeights as error:
            where = (
                f"epoch {progress.epoch}, batch {progress.batch}" if progress.batch else f"epoch {progress.epoch - 1}"
            )
            raise NonFiniteWeights(f"{error}, after {where}") from None
        prune(self.run.checkpoints, keep=2, best=self.best and self.run.checkpoints / self.best)
        self._written = monotonic()

    def restore(self) -> Progress | None:
        """Take up the newest good checkpoint; None where the run had not written one yet.

        Files of weights that are of a later moment, or were not written any more, are written anew. Raises
        DamagedCheckpoint where all are damaged, and ValueError where network or optimizer are others.
        """
        checkpoint = newest_checkpoint(self.run.checkpoints, self.run.log)
        if checkpoint is None:
            return None
        arrays, state = checkpoint
        self._must_fit(arrays["weights"])
        # now, not in its first step, where it would give all devices the first one's running statistics
        self.trainer._init_kvstore()
        self.trainer._init_params()
        set_state(self.trainer, arrays.get("optimizer", {}), state["optimizer"])
        self.step.scaling.set_state(state["loss_scaling"])
        self.run.restore(state["records"])
        self.best = state["best"]
        progress = Progress(*(state[name] for name in ("epoch", "batch", "sums", "seconds")))
        if self.best:
            self._restore_best()
        self._take(checkpoint)
        if progress.batch == 0:
            self.save_weights("last")
        return progress

    def _restore_best(self) -> None:
        try:
            self._take(read_checkpoint(self.run.checkpoints / self.best))
        except DamagedCheckpoint as error:
            self.run.log(f"WARNING: best.params stays as it is: {error}")
        else:
            self.save_weights("best")

    def _take(self, checkpoint: Checkpoint) -> None:
        """Put weights, running statistics and averaged weights onto the devices."""
        arrays, state = checkpoint
        nd.waitall()  # after an inference oneDNN still brings weights into another order
        for name, p in self._parameters().items():
            p.set_data(arrays["weights"][name])
        for i, device in enumerate(self.trainer._contexts[1:], 1):
            for name, array in arrays.get(f"statistics-{i}", {}).items():
                array.copyto(self._statistics()[name].data(device))
        if self.average:  # a run that had none starts it from its weights
            self.average.set_arrays(arrays.get("average", arrays["weights"]))
            self.average.updates = state.get("average_updates", 0)

    def _must_fit(self, weights: dict) -> None:
        shapes = {name: p.shape for name, p in self._parameters().items()}
        for name in sorted(shapes.keys() | weights.keys()):
            stored = weights[name].shape if name in weights else "not there"
            mine = shapes.get(name, "not there")
            if stored != mine:
                raise ValueError(f"the run's weights are of another network, or size: {name} is {stored}, here {mine}")

    def _parameters(self) -> dict:
        return self.net._collect_params_with_prefix()

    def _statistics(self) -> dict:
        return {name: p for name, p in self._parameters().items() if p.grad_req == "null"}


def _name(progress: Progress) -> str:
    return checkpoint_name(progress.epoch, progress.batch)
