"""When a run writes checkpoints, and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from signal import SIGTERM
from time import monotonic
from typing import Any

from gluon_classics.training.callbacks import Callback
from gluon_classics.training.checkpoint_files import (
    Checkpoint,
    DamagedCheckpoint,
    NonFiniteWeights,
    checkpoint_name,
    newest_checkpoint,
    prune,
    read_checkpoint,
    write_checkpoint,
)
from gluon_classics.training.distributed import ALONE, Workers, flatten, unflatten
from gluon_classics.training.metrics import Metrics, sums_over
from gluon_classics.training.optimizer_state import get_state, set_state
from gluon_classics.training.progress import EpochRecord, Progress, StopTraining
from gluon_classics.training.run_folder import RunFolder
from gluon_classics.training.signals import StopSignals
from gluon_classics.training.step import Step
from gluon_classics.training.weight_average import WeightAverage, averaged

import mxnet as mx
from mxnet import nd


class Checkpointer(Callback):
    """Writes a checkpoint after each epoch, every `batches` batches, every `minutes`, and on a signal in `stop`.

    It contains all that later steps depend on: weights, averaged weights, the optimizer's state, the place in the
    epoch with its sums, and the records of the epochs. The order of the images, random numbers and the learning rate
    follow from the settings and the place.

    The first of several workers reads and writes. Batch norm's running statistics differ between workers.
    """

    def __init__(
        self,
        run: RunFolder,
        step: Step,
        average: WeightAverage | None,
        stop: StopSignals,
        batches: int | None,
        minutes: float,
        workers: Workers = ALONE,
    ):
        self.run, self.step, self.average, self.stop, self.workers = run, step, average, stop, workers
        self.net, self.trainer = step.net, step.trainer
        self.batches, self.minutes = batches, minutes
        self.best: str | None = None  # name of the best epoch's checkpoint
        self._last: tuple[Progress, Metrics] | None = None  # the arguments of the last on_batch_end
        self._written = monotonic()
        self._signal = 0  # the workers have agreed to stop because of it
        self._late = 0.0  # workers whose checkpoint timer had expired at the last vote

    def on_batch_end(self, progress: Progress, metrics: Metrics) -> None:
        """Write a checkpoint if it is time. Raises StopTraining if a signal has arrived."""
        self._last = progress, metrics
        self._vote()
        due = self.batches is not None and progress.batch % self.batches == 0
        if due or self._signal or self._late:
            metrics.finish()  # raises NonFiniteLoss before a checkpoint is written
            self.write(progress)
        if self._signal:
            self.save_weights("last")
        self._stop_if_agreed()

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """If the evaluation is stopped, write a checkpoint from before it: a resumed run evaluates again."""
        try:
            yield
        except StopTraining:
            if self._last:  # else no batch was trained since the checkpoint that was restored
                self.on_batch_end(*self._last)
            raise

    def on_evaluation_batch(self) -> None:
        self.check_stop()

    def on_epoch_end(self, record: EpochRecord) -> None:
        """Enter the record, write a checkpoint, and then the weights, which `restore` can write again."""
        self.run.enter(record)
        progress = Progress(record.epoch + 1)
        is_best = self.run.best_record is record
        if is_best:
            self.best = checkpoint_name(progress.epoch, progress.batch)
        self.write(progress)
        self.save_weights("last")
        if is_best:
            self.save_weights("best")
        self.check_stop()

    def check_stop(self) -> None:
        """Raise StopTraining if a signal has arrived at any worker."""
        self._vote()
        self._stop_if_agreed()

    def _vote(self) -> None:
        """Vote on stopping and on a checkpoint. Several workers act together, a few batches later."""
        if not self._signal:
            late = monotonic() - self._written > 60 * self.minutes
            signal, self._late = self.workers.vote(self.stop.signal or 0, late)
            self._hear(signal)

    def _hear(self, signal: float) -> None:
        if signal:  # the sum of the signals of all workers
            self._signal = self.stop.signal or SIGTERM

    def _stop_if_agreed(self) -> None:
        if self._signal:
            self.stop.signal = self._signal
            raise StopTraining

    def save_weights(self, name: str) -> None:
        """Write last.params or best.params, with the averaged weights if the run has them."""
        with averaged(self.average), self.workers.mean_statistics(self.net):
            self.run.save_weights(self.net, name)

    def write(self, progress: Progress) -> None:
        """Write a checkpoint. Raises NonFiniteWeights and OSError, as write_checkpoint."""
        state = {**asdict(progress), "records": [asdict(record) for record in self.run.records], "best": self.best}
        if progress.sums:
            state["sums"] = sums_over(self.workers, progress.sums)
        first, *others = self.trainer._contexts
        arrays = {"weights": {name: p.data(first) for name, p in self._parameters().items()}}
        for i, device in enumerate(others, 1):  # devices differ only in their running statistics
            arrays[f"statistics-{i}"] = {name: p.data(device) for name, p in self._statistics().items()}
        arrays.update(self._statistics_of_others())
        arrays["optimizer"], state["optimizer"] = get_state(self.trainer)
        state["loss_scaling"] = self.step.scaling.state()
        if self.average:
            arrays["average"], state["average_updates"] = self.average.arrays(), self.average.updates
        if self.workers.rank == 0:
            self._write(progress, Checkpoint(arrays, state))
        for signal, _late in self.workers.outstanding_votes():  # this checkpoint serves the late ones
            self._hear(signal)
        self._written = monotonic()

    def _write(self, progress: Progress, checkpoint: Checkpoint) -> None:
        try:
            write_checkpoint(self.run.checkpoints, checkpoint)
        except NonFiniteWeights as error:
            batch = f"epoch {progress.epoch}, batch {progress.batch}"
            where = batch if progress.batch else f"epoch {progress.epoch - 1}"
            raise NonFiniteWeights(f"{error}, after {where}") from None
        prune(self.run.checkpoints, keep=2, best=self.run.checkpoints / self.best if self.best else None)

    def restore(self) -> Progress | None:
        """Restore the newest intact checkpoint, and return its place; None if the run has not written one.

        last.params and best.params are written again to match it. Raises DamagedCheckpoint if all are damaged, and
        ValueError for another network or optimizer.
        """
        checkpoint = self._from_first(lambda: newest_checkpoint(self.run.checkpoints, self.run.log))
        if checkpoint is None:
            return None
        arrays, state = checkpoint
        self._must_fit(arrays["weights"])
        # in its first step, the Trainer would copy the first device's running statistics to all devices
        if not self.trainer._kv_initialized:
            self.trainer._init_kvstore()
        self.trainer._init_params()
        set_state(self.trainer, arrays.get("optimizer", {}), state["optimizer"])
        self.step.scaling.set_state(state["loss_scaling"])
        self.run.restore(state["records"])
        self.best = state["best"]
        progress = Progress(*(state[name] for name in ("epoch", "batch", "sums", "seconds")))
        if progress.sums and self.workers.rank > 0:  # the first worker has the sums of all
            progress.sums = {**progress.sums, "loss": 0.0, "correct": 0.0, "examples": 0}
        if self.best:
            self._restore_best(self.run.checkpoints / self.best)
        self._take(checkpoint)
        if progress.batch == 0:
            self.save_weights("last")
        return progress

    def _restore_best(self, path: Path) -> None:
        try:
            checkpoint = self._from_first(lambda: read_checkpoint(path))
        except DamagedCheckpoint as error:
            self.run.log(f"WARNING: best.params is left as it is: {error}")
        else:
            assert checkpoint is not None
            self._take(checkpoint)
            self.save_weights("best")

    def _take(self, checkpoint: Checkpoint) -> None:
        """Copy weights, running statistics and averaged weights to the devices."""
        arrays, state = checkpoint
        nd.waitall()  # after an inference, oneDNN may still be reordering weights
        for name, p in self._parameters().items():
            p.set_data(arrays["weights"][name])
        for i, device in enumerate(self.trainer._contexts[1:], 1):
            self._take_statistics(arrays.get(f"statistics-{i}", {}), device)
        mine = arrays.get(f"statistics-{self.workers.rank}", {})
        self._take_statistics(mine, self.trainer._contexts[0])
        if self.average:  # it starts from the weights if the run had none
            average = arrays.get("average", arrays["weights"])
            self.average.set_arrays({**average, **arrays.get(f"average-{self.workers.rank}", {})})
            self.average.updates = state.get("average_updates", 0)

    def _take_statistics(self, arrays: dict, device: mx.Context) -> None:
        for name, array in arrays.items():
            array.copyto(self._statistics()[name].data(device))

    def _statistics_of_others(self) -> dict[str, dict[str, nd.NDArray]]:
        """Return the running statistics of each other worker, and of its averaged weights, if any."""
        names = list(self._statistics())
        if self.workers.size == 1 or not names:
            return {}
        nd.waitall()  # running statistics are written late
        kinds = {"statistics": [p.list_data()[0] for p in self._statistics().values()]}
        if self.average:
            average = self.average.arrays()
            kinds["average"] = [average[name] for name in names]
        found = {}
        for kind, arrays in kinds.items():
            for rank, row in list(enumerate(self.workers.gather(flatten(arrays))))[1:]:
                values = (nd.array(value, dtype=row.dtype) for value in unflatten(row, arrays))
                found[f"{kind}-{rank}"] = dict(zip(names, values))
        return found

    def _from_first(self, read: Callable[[], Checkpoint | None]) -> Checkpoint | None:
        """Read on the first worker, and return the checkpoint, or raise DamagedCheckpoint, on all of them."""
        if self.workers.size == 1:
            return read()
        checkpoint = None

        def state_and_names() -> dict[str, Any] | None:
            nonlocal checkpoint
            try:
                checkpoint = read()
            except DamagedCheckpoint as error:
                return {"damaged": str(error)}
            return checkpoint and {"state": checkpoint.state, "names": list(checkpoint.arrays)}

        answer = self.workers.from_first(state_and_names)
        if answer is None:
            return None
        if "damaged" in answer:
            raise DamagedCheckpoint(answer["damaged"])
        mine = checkpoint.arrays if checkpoint else {}
        arrays = {name: self.workers.share_arrays(mine.get(name, {})) for name in answer["names"]}
        return Checkpoint(arrays, answer["state"])

    def _must_fit(self, weights: dict) -> None:
        shapes = {name: p.shape for name, p in self._parameters().items()}
        for name in sorted(shapes.keys() | weights.keys()):
            stored = weights[name].shape if name in weights else "missing"
            mine = shapes.get(name, "missing")
            if stored != mine:
                raise ValueError(f"the run has another network, or input size: {name} is {stored}, here {mine}")

    def _parameters(self) -> dict:
        return self.net._collect_params_with_prefix()

    def _statistics(self) -> dict:
        return {name: p for name, p in self._parameters().items() if p.grad_req == "null"}
