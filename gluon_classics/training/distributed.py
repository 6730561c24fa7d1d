"""Several workers train one network together, each with a part of every batch.

A worker is a process with one device. All have the same weights; each computes the gradient of its part of the batch,
an engine adds the gradients up, and each makes the same update. The engine is Horovod, or MXNet's parameter servers
(``dist_sync``); to the training loop both are a :class:`Workers`, and so is the one worker of an ordinary run.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from gluon_classics import devices
from gluon_classics.training.config import TIMEOUT
from gluon_classics.training.worker_timeout import Watch

import mxnet as mx
import numpy as np
from mxnet import gluon, nd

# So long it waits where the others may have work of their own: reading the data, finding the newest checkpoint.
LONG_TIMEOUT = 1800
# Milliseconds between two questions of Horovod's to all workers, whether there is something to add up. Its own 1 takes
# a sixth of a core from a worker that computes on it; this makes ResNet an eighth faster, and LeNet no slower.
HOROVOD_CYCLE = 3
# Votes that may be outstanding: one is read so many batches after it was cast, when it has long been counted.
OUTSTANDING = 4


class SharedError(ValueError):
    """Raised on all workers alike: it is enough that the first one prints it."""


class Workers:
    """The one worker of a run that is not distributed, and the interface of those that are.

    Attributes: ``engine`` is None, "horovod" or "dist_sync"; ``size`` the number of workers; ``rank`` this one's
    number, from 0; ``local_rank`` its number among those of this machine. Whatever adds up, gathers or shares is called
    by all workers, in the same order.
    """

    engine: str | None = None
    size = 1
    rank = 0
    local_rank = 0

    def __init__(self) -> None:
        self._votes: deque = deque()
        self._cast = 0
        self.watch: Watch | None = None  # of a distributed run

    def devices(self, gpus: str | None) -> list[mx.Context]:
        """The devices of this worker, by the flag ``--gpus``. Raises ValueError as devices.choose."""
        return devices.choose(gpus)

    def trainer(self, net, optimizer: str, settings: dict) -> gluon.Trainer:
        """A Trainer whose ``step`` takes the number of examples that this worker has of a batch.

        The network knows its shapes; all workers have the first one's weights afterwards.
        """
        return gluon.Trainer(net.collect_params(), optimizer, settings, update_on_kvstore=False)

    def start_sum(self, array: nd.NDArray, name: str = "sum") -> nd.NDArray:
        """The sum of the arrays of all workers, computed in the background. Sums under way differ in their names."""
        return array

    def sum(self, array: np.ndarray) -> np.ndarray:
        """The sum of the arrays (floating point, of one shape and type) of all workers."""
        if self.size == 1 or array.size == 0:
            return array
        with self._waiting(LONG_TIMEOUT):
            return self.start_sum(nd.array(array, dtype=array.dtype)).asnumpy()

    def leave(self, status: int) -> None:
        """The end of the process, with this exit status: after a failure at once, else when all workers are done."""

    def gather(self, array: np.ndarray) -> np.ndarray:
        """The arrays (as of `sum`) of all workers: with their number as the first axis."""
        rows = np.zeros((self.size, *array.shape), array.dtype)
        rows[self.rank] = array
        return self.sum(rows)

    def gather_texts(self, text: str) -> list[str]:
        """A text of each worker."""
        content = np.frombuffer(text.encode(), np.uint8).astype(np.float64)  # the servers add up no integers
        lengths = self.gather(np.array([len(content)], np.float64)).astype(int)[:, 0]
        rows = self.gather(np.pad(content, (0, lengths.max() - len(content))))
        return [bytes(row[:n].astype(np.uint8)).decode() for row, n in zip(rows, lengths)]

    def from_first(self, function: Callable[[], object]):
        """What the function returns on the first worker, which alone calls it: a value fit for JSON.

        Raises SharedError where the function raises a ValueError.
        """
        if self.size == 1:
            return function()
        answer = None
        if self.rank == 0:
            try:
                answer = {"value": function()}
            except ValueError as error:
                answer = {"error": str(error)}
        answer = json.loads(self.gather_texts(json.dumps(answer))[0])
        if "error" in answer:
            raise SharedError(answer["error"])
        return answer["value"]

    def share_arrays(self, arrays: Mapping[str, nd.NDArray] | None) -> dict[str, nd.NDArray]:
        """The first worker's arrays; the other ones' are not looked at."""
        if self.size == 1:
            return dict(arrays)
        kinds = self.from_first(lambda: {name: [str(np.dtype(a.dtype)), a.shape] for name, a in arrays.items()})
        mine = arrays if self.rank == 0 else {}
        return {
            name: nd.array(self.sum(mine[name].asnumpy() if name in mine else np.zeros(shape, dtype)), dtype=dtype)
            for name, (dtype, shape) in kinds.items()
        }

    def share_weights(self, net) -> None:
        """Give all workers the first one's. (Horovod's own function cannot read weights that oneDNN has reordered.)"""
        if self.size == 1:
            return
        parameters = net.collect_params()
        for name, array in self.share_arrays({name: p.data() for name, p in parameters.items()}).items():
            parameters[name].set_data(array)
        nd.waitall()

    def must_agree(self, what: str, settings: Callable[[], dict]) -> None:
        """Raises SharedError, naming workers and values, where a setting is not the same on all of them.

        One worker alone does not ask for its settings.
        """
        if self.size == 1:
            return
        all_settings = [json.loads(text) for text in self.gather_texts(json.dumps(settings(), default=str))]
        names = sorted(set().union(*all_settings))
        lines = []
        for name in names:
            values = [each.get(name) for each in all_settings]
            other = next((rank for rank, value in enumerate(values) if value != values[0]), None)
            if other is not None:
                lines.append(f"{name} is {values[0]} on worker 0, and {values[other]} on worker {other}")
        if lines:
            raise SharedError(f"the workers' {what} differ: {'; '.join(lines)}")

    def vote(self, *values: float) -> list[float]:
        """The sums over all workers of what each gives, :data:`OUTSTANDING` calls ago; zeros before.

        The same on all workers, so that they act in the same batch. One worker alone has its answer at once.
        """
        if self.size == 1:
            return list(values)
        if self.watch:
            self.watch.within(self.watch.timeout)
        outcome = [0.0] * len(values)
        if len(self._votes) == OUTSTANDING:
            outcome = self._votes.popleft().asnumpy().tolist()
        self._votes.append(self.start_sum(nd.array(values), f"vote-{self._cast % (OUTSTANDING + 1)}"))
        self._cast += 1
        return outcome

    def outstanding_votes(self) -> list[list[float]]:
        """The outcomes, waited for, of the votes that `vote` has not given yet, and will not give any more."""
        outcomes = [each.asnumpy().tolist() for each in self._votes]
        self._votes.clear()
        return outcomes

    @contextlib.contextmanager
    def mean_statistics(self, net) -> Iterator[None]:
        """Inside, batch norm's running statistics are the mean over the workers, as in what a run saves.

        Afterwards each worker has its own again.
        """
        arrays = [p.list_data()[0] for p in net.collect_params().values() if p.grad_req == "null"]
        if self.size == 1 or not arrays:
            yield
            return
        nd.waitall()  # running statistics may lag behind
        own = [array.copy() for array in arrays]
        means = self.sum(flatten(arrays)) / self.size
        for array, values in zip(arrays, unflatten(means, arrays)):
            array[:] = values
        try:
            yield
        finally:
            for array, before in zip(arrays, own):
                before.copyto(array)

    def _waiting(self, seconds: float) -> contextlib.AbstractContextManager:
        return self.watch.waiting(seconds) if self.watch else contextlib.nullcontext()


ALONE = Workers()


class _ManyWorkers(Workers):
    def leave(self, status: int) -> None:
        if status == 0:
            self.sum(np.ones(1))
            self._close()
            return
        # on its usual way out, a process waits for the engine, and the engine for the others
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)

    def _close(self) -> None:
        """Let go of the engine."""

    def devices(self, gpus: str | None) -> list[mx.Context]:
        """One device: the GPU with the worker's number on its machine, out of those of ``--gpus`` (all), or the CPU.

        Raises ValueError as devices.choose, and where there are fewer GPUs than workers.
        """
        found = devices.choose(gpus or "all")
        if found[0].device_type == "cpu":
            return found
        if self.local_rank >= len(found):
            raise ValueError(
                f"worker {self.rank} is number {self.local_rank} on its machine (from 0), which has {len(found)} GPUs "
                "for workers: start fewer of them there, or take --gpus none"
            )
        return [found[self.local_rank]]


class HorovodWorkers(_ManyWorkers):
    """Workers whose gradients Horovod adds up, from one to the next (ring all-reduce)."""

    engine = "horovod"

    def __init__(self, timeout: float) -> None:
        super().__init__()
        if importlib.util.find_spec("horovod") is None:
            raise ValueError("--distributed horovod: Horovod is not installed. `make horovod` builds it")
        if "HOROVOD_SIZE" not in os.environ:
            raise ValueError(
                "--distributed horovod: this process was not started as a worker. Take "
                "horovodrun --gloo -np 2 -H localhost:2 python experiments/do_exp.py ... --distributed horovod"
            )
        self.watch = Watch(timeout)
        os.environ.setdefault("HOROVOD_CYCLE_TIME", str(HOROVOD_CYCLE))
        with self.watch.waiting(timeout, "for Horovod's other workers to come up"):
            import horovod.mxnet as hvd

            hvd.init()
        self._hvd = hvd
        self.size, self.rank, self.local_rank = hvd.size(), hvd.rank(), hvd.local_rank()
        self.watch.worker = f"worker {self.rank}"

    def trainer(self, net, optimizer: str, settings: dict) -> gluon.Trainer:
        self.share_weights(net)
        return self._hvd.DistributedTrainer(net.collect_params(), optimizer, settings)

    def start_sum(self, array: nd.NDArray, name: str = "sum") -> nd.NDArray:
        return self._hvd.allreduce(array, average=False, name=name)

    def _close(self) -> None:
        self._hvd.shutdown()


class ParameterServerWorkers(_ManyWorkers):
    """Workers whose gradients MXNet's parameter servers add up (ps-lite, ``dist_sync``); each worker updates."""

    engine = "dist_sync"

    def __init__(self, timeout: float) -> None:
        super().__init__()
        environ = os.environ
        if environ.get("DMLC_ROLE") != "worker":
            raise ValueError(
                "--distributed dist_sync: this process was not started as a worker. Take "
                "python experiments/launch.py -n 2 -- python experiments/do_exp.py ... --distributed dist_sync"
            )
        self.rank = int(environ["DMLC_TASK_ID"])
        self.local_rank = int(environ.get("LOCAL_RANK", 0))
        self.watch = Watch(timeout, f"worker {self.rank}")
        scheduler = f"{environ['DMLC_PS_ROOT_URI']}:{environ['DMLC_PS_ROOT_PORT']}"
        with self.watch.waiting(timeout, f"for the scheduler at {scheduler}, the servers and the other workers"):
            self._store = mx.kv.create("dist_sync")
        self.size = self._store.num_workers
        self._keys: dict = {}

    def trainer(self, net, optimizer: str, settings: dict) -> gluon.Trainer:
        self.share_weights(net)
        return _SummingTrainer(self, net.collect_params(), optimizer, settings)

    def start_sum(self, array: nd.NDArray, name: str = "sum") -> nd.NDArray:
        if array.dtype != np.float64:
            total = array.copy()
            self._add_up(total, name, 0)
            return total
        # the servers compute in float32: each worker fills a row of its own with the parts that its numbers are of
        rows = nd.zeros((self.size, 3, array.size), dtype="float32")
        rest = array.reshape(-1)
        for part in range(3):
            rows[self.rank, part] = rest.astype("float32")
            rest = rest - rows[self.rank, part].astype("float64")
        self._add_up(rows, name, 0)
        return rows.astype("float64").sum(axis=(0, 1)).reshape(array.shape)

    def add_up_gradient(self, gradient: nd.NDArray, index: int) -> None:
        """Put the sum over all workers in its place; earlier parameters first, which the next batch needs first."""
        if gradient.dtype == np.float64:
            self.start_sum(gradient, f"gradient {index}").copyto(gradient)
        else:
            self._add_up(gradient, f"gradient {index}", -index)

    def _add_up(self, array: nd.NDArray, name: str, priority: int) -> None:
        kind = (name, array.shape, str(np.dtype(array.dtype)))
        if kind not in self._keys:
            # The servers hold sums alone, never weights: one that fetches a weight could get a gradient, which another
            # worker has sent since. To make a key waits for all workers.
            self._keys[kind] = len(self._keys)
            self._store.init(self._keys[kind], nd.zeros_like(array))
        self._store.pushpull(self._keys[kind], array, out=array, priority=priority)

    def _close(self) -> None:
        nd.waitall()


class _SummingTrainer(gluon.Trainer):
    """Updates the weights by the sums of all workers' gradients; `step` takes the examples of one worker."""

    def __init__(self, workers: ParameterServerWorkers, params, optimizer: str, settings: dict) -> None:
        super().__init__(params, optimizer, {**settings, "rescale_grad": 1 / workers.size}, kvstore=None)
        self._workers = workers

    def _allreduce_grads(self) -> None:
        for i, p in enumerate(self._params):
            if p.grad_req != "null":
                self._workers.add_up_gradient(p.list_grad()[0], i)


def flatten(arrays: list[nd.NDArray]) -> np.ndarray:
    """All their numbers in a row."""
    return np.concatenate([array.asnumpy().ravel() for array in arrays])


def unflatten(row: np.ndarray, arrays: list[nd.NDArray]) -> list[np.ndarray]:
    """Numbers in the order of `flatten`, in the shapes of the arrays."""
    ends = np.cumsum([array.size for array in arrays])[:-1]
    return [values.reshape(array.shape) for values, array in zip(np.split(row, ends), arrays)]


def connect(engine: str | None, timeout: float = TIMEOUT) -> Workers:
    """The workers of this run, by the flag ``--distributed``; they end when they wait longer than `timeout` seconds.

    Raises ValueError where the engine is not installed, or the process was not started for it.
    """
    started_for = _started_for(os.environ)
    if engine is None:
        if started_for:
            raise ValueError(f"this process was started as one of several workers: add --distributed {started_for}")
        return ALONE
    if started_for and started_for != engine:
        launcher = {"horovod": "horovodrun", "dist_sync": "experiments/launch.py"}[engine]
        raise ValueError(
            f"--distributed {engine}: this process was started for {started_for}: "
            f"take --distributed {started_for}, or start it by {launcher}"
        )
    return HorovodWorkers(timeout) if engine == "horovod" else ParameterServerWorkers(timeout)


def _started_for(environ: Mapping[str, str]) -> str | None:
    """The engine whose launcher has started this process as one of several workers."""
    if environ.get("DMLC_ROLE") == "worker":
        return "dist_sync"
    return "horovod" if int(environ.get("HOROVOD_SIZE", 1)) > 1 else None
