"""Data-parallel training in several processes, the workers, each with a part of every batch.

A worker has one device. All workers have the same weights; each computes the gradient of its part of the batch, an
engine sums the gradients, and each worker makes the same update. The engine is Horovod, or MXNet's parameter servers
(``dist_sync``). The training loop sees a :class:`Workers` in either case, and also in an ordinary run.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gluon_classics import devices
from gluon_classics.training.config import TIMEOUT
from gluon_classics.training.worker_timeout import Watch

import mxnet as mx
import numpy as np
from mxnet import gluon, nd

# Seconds to wait while other workers may be busy: reading the data, finding the newest checkpoint.
LONG_TIMEOUT = 1800
# Milliseconds between Horovod's negotiations. Its default of 1 takes a sixth of a core from a worker that computes on
# it; 3 makes ResNet an eighth faster, and LeNet no slower.
HOROVOD_CYCLE = 3
# A vote is read this many batches after it was cast, when its sum has long arrived.
OUTSTANDING = 4


class SharedError(ValueError):
    """Raised on all workers alike. Only the first one needs to print it."""


class Workers:
    """The interface of distributed workers, and the only worker of a run that is not distributed.

    ``engine`` is None, "horovod" or "dist_sync"; ``size`` the number of workers; ``rank`` this worker's number, from 0;
    ``local_rank`` its number on this machine. All workers must call what sums, gathers or shares in the same order.
    """

    engine: str | None = None
    size = 1
    rank = 0
    local_rank = 0

    def __init__(self) -> None:
        self._votes: deque = deque()
        self._cast = 0
        self.watch: Watch | None = None  # only in a distributed run

    def devices(self, gpus: str | None) -> list[mx.Context]:
        """Return this worker's devices for the flag ``--gpus``. Raises ValueError, as devices.choose."""
        return devices.choose(gpus)

    def trainer(self, net: gluon.Block, optimizer: str, settings: dict[str, Any]) -> gluon.Trainer:
        """Return a Trainer whose ``step`` takes the number of images in this worker's part of a batch.

        The network must know its shapes. All workers get the first one's weights.
        """
        return gluon.Trainer(net.collect_params(), optimizer, settings, update_on_kvstore=False)

    def start_sum(self, array: nd.NDArray, name: str = "sum") -> nd.NDArray:
        """Start summing an array over all workers, and return the result. Concurrent sums need different names."""
        return array

    def sum(self, array: np.ndarray) -> np.ndarray:
        """Return the sum of the workers' arrays, which are floating point, of one shape and type."""
        if self.size == 1 or array.size == 0:
            return array
        with self._waiting(LONG_TIMEOUT):
            return self.start_sum(nd.array(array, dtype=array.dtype)).asnumpy()

    def leave(self, status: int) -> None:
        """End distributed work: after a failure the process ends immediately, otherwise when all workers are done."""

    def gather(self, array: np.ndarray) -> np.ndarray:
        """Return the workers' arrays, as for `sum`, stacked along a new first axis."""
        rows = np.zeros((self.size, *array.shape), array.dtype)
        rows[self.rank] = array
        return self.sum(rows)

    def gather_texts(self, text: str) -> list[str]:
        """Return the texts of all workers."""
        content = np.frombuffer(text.encode(), np.uint8).astype(np.float64)  # the servers cannot sum integers
        lengths = self.gather(np.array([len(content)], np.float64)).astype(int)[:, 0]
        rows = self.gather(np.pad(content, (0, lengths.max() - len(content))))
        return [bytes(row[:n].astype(np.uint8)).decode() for row, n in zip(rows, lengths)]

    def from_first(self, function: Callable[[], Any]) -> Any:
        """Call `function` on the first worker only, and return its result, a JSON value, on all workers.

        Raises SharedError if the function raises ValueError.
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

    def share_arrays(self, arrays: Mapping[str, nd.NDArray]) -> dict[str, nd.NDArray]:
        """Return the first worker's arrays on all workers; the others' `arrays` are ignored."""
        if self.size == 1:
            return dict(arrays)
        kinds = self.from_first(lambda: {name: [str(np.dtype(a.dtype)), a.shape] for name, a in arrays.items()})
        mine = arrays if self.rank == 0 else {}
        return {
            name: nd.array(self.sum(mine[name].asnumpy() if name in mine else np.zeros(shape, dtype)), dtype=dtype)
            for name, (dtype, shape) in kinds.items()
        }

    def share_weights(self, net: gluon.Block) -> None:
        """Copy the first worker's weights to all. Horovod's broadcast cannot read weights that oneDNN has reordered."""
        if self.size == 1:
            return
        parameters = net.collect_params()
        for name, array in self.share_arrays({name: p.data() for name, p in parameters.items()}).items():
            parameters[name].set_data(array)
        nd.waitall()

    def must_agree(self, what: str, settings: Callable[[], dict]) -> None:
        """Raise SharedError, naming workers and values, if a setting differs. One worker never calls `settings`."""
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
        """Cast votes. Return the sums, over all workers, of those cast :data:`OUTSTANDING` calls ago, or zeros.

        All workers get the same answer, so that they act in the same batch. A single worker gets its own immediately.
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
        """Wait for the votes that `vote` has not returned yet; return and forget them."""
        outcomes = [each.asnumpy().tolist() for each in self._votes]
        self._votes.clear()
        return outcomes

    @contextlib.contextmanager
    def mean_statistics(self, net: gluon.Block) -> Iterator[None]:
        """Replace batch norm's running statistics by their mean over the workers, inside the context only."""
        arrays = [p.list_data()[0] for p in net.collect_params().values() if p.grad_req == "null"]
        if self.size == 1 or not arrays:
            yield
            return
        nd.waitall()  # running statistics are written late
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
        # an ordinary exit would wait for the engine, and the engine for the other workers
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)

    def _close(self) -> None:
        """Shut the engine down."""

    def devices(self, gpus: str | None) -> list[mx.Context]:
        """Return one device: of the GPUs in ``--gpus`` the one with this worker's local rank, or the CPU.

        Raises ValueError as devices.choose, and if there are fewer GPUs than workers.
        """
        found = devices.choose(gpus or "all")
        if found[0].device_type == "cpu":
            return found
        if self.local_rank >= len(found):
            raise ValueError(
                f"worker {self.rank} is number {self.local_rank} on its machine (from 0), which has {len(found)} GPUs "
                "for workers: start fewer workers there, or use --gpus none"
            )
        return [found[self.local_rank]]


class HorovodWorkers(_ManyWorkers):
    """Workers whose gradients Horovod sums (ring all-reduce)."""

    engine = "horovod"

    def __init__(self, timeout: float) -> None:
        super().__init__()
        if importlib.util.find_spec("horovod") is None:
            raise ValueError("--distributed horovod: Horovod is not installed. `make horovod` builds it")
        if "HOROVOD_SIZE" not in os.environ:
            raise ValueError(
                "--distributed horovod: this process was not started as a worker. Use "
                "horovodrun --gloo -np 2 -H localhost:2 python experiments/do_exp.py ... --distributed horovod"
            )
        self.watch = Watch(timeout)
        os.environ.setdefault("HOROVOD_CYCLE_TIME", str(HOROVOD_CYCLE))
        with self.watch.waiting(timeout, "for Horovod's other workers to start"):
            import horovod.mxnet as hvd

            hvd.init()
        self._hvd = hvd
        self.size, self.rank, self.local_rank = hvd.size(), hvd.rank(), hvd.local_rank()
        self.watch.worker = f"worker {self.rank}"

    def trainer(self, net: gluon.Block, optimizer: str, settings: dict[str, Any]) -> gluon.Trainer:
        self.share_weights(net)
        return self._hvd.DistributedTrainer(net.collect_params(), optimizer, settings)

    def start_sum(self, array: nd.NDArray, name: str = "sum") -> nd.NDArray:
        return self._hvd.allreduce(array, average=False, name=name)

    def _close(self) -> None:
        self._hvd.shutdown()


class ParameterServerWorkers(_ManyWorkers):
    """Workers whose gradients MXNet's parameter servers sum (ps-lite, ``dist_sync``). Each worker updates."""

    engine = "dist_sync"

    def __init__(self, timeout: float) -> None:
        super().__init__()
        environ = os.environ
        if environ.get("DMLC_ROLE") != "worker":
            raise ValueError(
                "--distributed dist_sync: this process was not started as a worker. Use "
                "python -m gluon_classics launch -n 2 -- python experiments/do_exp.py ... --distributed dist_sync"
            )
        self.rank = int(environ["DMLC_TASK_ID"])
        self.local_rank = int(environ.get("LOCAL_RANK", 0))
        self.watch = Watch(timeout, f"worker {self.rank}")
        scheduler = f"{environ['DMLC_PS_ROOT_URI']}:{environ['DMLC_PS_ROOT_PORT']}"
        with self.watch.waiting(timeout, f"for the scheduler at {scheduler}, the servers and the other workers"):
            self._store = mx.kv.create("dist_sync")
        self.size = self._store.num_workers
        self._keys: dict = {}

    def trainer(self, net: gluon.Block, optimizer: str, settings: dict[str, Any]) -> gluon.Trainer:
        self.share_weights(net)
        return _SummingTrainer(self, net.collect_params(), optimizer, settings)

    def start_sum(self, array: nd.NDArray, name: str = "sum") -> nd.NDArray:
        if array.dtype != np.float64:
            total = array.copy()
            self._add_up(total, name, 0)
            return total
        # the servers compute in float32: each worker splits its numbers into three float32 parts, in a row of its own
        rows = nd.zeros((self.size, 3, array.size), dtype="float32")
        rest = array.reshape(-1)
        for part in range(3):
            rows[self.rank, part] = rest.astype("float32")
            rest = rest - rows[self.rank, part].astype("float64")
        self._add_up(rows, name, 0)
        return rows.astype("float64").sum(axis=(0, 1)).reshape(array.shape)

    def add_up_gradient(self, gradient: nd.NDArray, index: int) -> None:
        """Sum a gradient over all workers in place. Earlier parameters, which the next batch needs first, go first."""
        if gradient.dtype == np.float64:
            self.start_sum(gradient, f"gradient {index}").copyto(gradient)
        else:
            self._add_up(gradient, f"gradient {index}", -index)

    def _add_up(self, array: nd.NDArray, name: str, priority: int) -> None:
        kind = (name, array.shape, str(np.dtype(array.dtype)))
        if kind not in self._keys:
            # The servers hold only sums, never weights: a worker that pulls a weight could get a gradient that another
            # one has pushed since. Making a key waits for all workers.
            self._keys[kind] = len(self._keys)
            self._store.init(self._keys[kind], nd.zeros_like(array))
        self._store.pushpull(self._keys[kind], array, out=array, priority=priority)

    def _close(self) -> None:
        nd.waitall()


class _SummingTrainer(gluon.Trainer):
    """Updates the weights with the sum of all workers' gradients; `step` takes the number of images of one worker."""

    def __init__(
        self, workers: ParameterServerWorkers, params: gluon.ParameterDict, optimizer: str, settings: dict[str, Any]
    ) -> None:
        super().__init__(params, optimizer, {**settings, "rescale_grad": 1 / workers.size}, kvstore=None)
        self._workers = workers

    def _allreduce_grads(self) -> None:
        for i, p in enumerate(self._params):
            if p.grad_req != "null":
                self._workers.add_up_gradient(p.list_grad()[0], i)


def flatten(arrays: list[nd.NDArray]) -> np.ndarray:
    """Return all elements in one row."""
    return np.concatenate([array.asnumpy().ravel() for array in arrays])


def unflatten(row: np.ndarray, arrays: list[nd.NDArray]) -> list[np.ndarray]:
    """Undo `flatten`: split a row into the shapes of the arrays."""
    ends = np.cumsum([array.size for array in arrays])[:-1]
    return [values.reshape(array.shape) for values, array in zip(np.split(row, ends), arrays)]


def connect(engine: str | None, timeout: float = TIMEOUT) -> Workers:
    """Return the workers for the flag ``--distributed``. A worker ends if it waits longer than `timeout` seconds.

    Raises ValueError if the engine is not installed, or the process was not started for it.
    """
    started_for = _started_for(os.environ)
    if engine is None:
        if started_for:
            raise ValueError(f"this process was started as one of several workers: add --distributed {started_for}")
        return ALONE
    if started_for and started_for != engine:
        launcher = {"horovod": "horovodrun", "dist_sync": "python -m gluon_classics launch"}[engine]
        raise ValueError(
            f"--distributed {engine}: this process was started for {started_for}: "
            f"use --distributed {started_for}, or start it with {launcher}"
        )
    return HorovodWorkers(timeout) if engine == "horovod" else ParameterServerWorkers(timeout)


def _started_for(environ: Mapping[str, str]) -> str | None:
    """Return the engine whose launcher started this process as one of several workers."""
    if environ.get("DMLC_ROLE") == "worker":
        return "dist_sync"
    return "horovod" if int(environ.get("HOROVOD_SIZE", 1)) > 1 else None
