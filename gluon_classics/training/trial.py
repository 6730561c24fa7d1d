"""Trial steps in processes of their own: which dtype is fastest (`--dtype auto`), what fits (`--auto-batch`)."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from time import perf_counter

from gluon_classics import runtime
from gluon_classics.devices import hybridize
from gluon_classics.models import get_model
from gluon_classics.training.memory import out_of_memory
from gluon_classics.training.precision import enable_dtype
from gluon_classics.training.step import Step
from gluon_classics.training.weight_average import WeightAverage, averaged

import mxnet as mx
from mxnet import gluon, nd

# bfloat16 costs digits, so it must be faster by more than noise
WORTH_IT = 1.1
PR_SET_PDEATHSIG = 1  # of Linux' prctl(2): the signal that a process gets when its parent ends


@dataclass(frozen=True)
class Trial:
    """A training whose speed or memory is to be measured, on `size` x `size` images."""

    net: str  # in the registry
    net_args: dict  # with num_classes and in_channels
    size: int
    batch_size: int
    devices: list[mx.Context]
    optimizer: str
    optimizer_settings: dict  # without lr_scheduler
    ema: float | None  # decay of the WeightAverage; None or 0: no average


def choose_dtype(trial: Trial, accumulate: int) -> tuple[str, str]:
    """Return the fastest dtype that keeps float32's accuracy, and the reason as a line for the log.

    For GPUs, the compute capability decides. On a CPU with bfloat16 instructions, both dtypes train for some seconds on
    synthetic images, in `accumulate` slices: in processes of their own, because AMP cannot be undone, and in turn, to
    save memory.
    """
    if trial.devices[0].device_type == "gpu":
        return _choose_for_gpus(trial.devices)
    instructions = runtime.describe().bfloat16
    if instructions not in ("amx_bf16", "avx512_bf16"):
        return "float32", "--dtype auto takes float32: this processor has no bfloat16 instructions"
    seconds: dict = {"float32": [], "bfloat16": []}
    began = perf_counter()
    for _ in range(2):  # alternate, so that other load slows both
        for dtype, each in seconds.items():
            try:
                each += _seconds_of_steps(trial, dtype, accumulate)
            except subprocess.CalledProcessError as error:
                return "float32", f"--dtype auto takes float32: the trial in {dtype} failed: {_last_line(error)}"
        if perf_counter() - began > 20:
            break
    plain, narrow = (trial.batch_size / median_low(each) for each in seconds.values())
    speeds = f"float32 {plain:.1f} images/s, bfloat16 {narrow:.1f} ({instructions})"
    if narrow < WORTH_IT * plain:
        return "float32", f"--dtype auto takes float32: bfloat16 is not {WORTH_IT:g} times as fast: {speeds}"
    return "bfloat16", f"--dtype auto takes bfloat16, which is faster: {speeds}"


def choose_accumulate(trial: Trial, dtype: str, accumulate: int = 1) -> tuple[int, str]:
    """Return the number of slices with which a batch fits into memory, and a line for the log.

    Tries `accumulate` slices, then twice as many, and so on. Raises ValueError if single images do not fit, or the
    trial fails for another reason.
    """
    while True:
        try:
            _seconds_of_steps(trial, dtype, accumulate, least=2)
        except subprocess.CalledProcessError as error:
            # out of memory, a process may also end by a signal: SIGKILL from the kernel, MXNet's SIGSEGV or SIGABRT
            if error.returncode >= 0 and not out_of_memory(error.stderr):
                raise ValueError(f"--auto-batch: the trial failed: {_last_line(error)}") from None
            if accumulate >= trial.batch_size:
                raise ValueError(
                    f"--auto-batch: not even single images of {trial.size}x{trial.size} fit: use a smaller --resize"
                ) from None
            accumulate = min(2 * accumulate, trial.batch_size)
        else:
            at_a_time = -(-trial.batch_size // accumulate)
            return accumulate, f"--auto-batch takes --accumulate {accumulate}, {at_a_time} at a time"


def _last_line(error: subprocess.CalledProcessError) -> str:
    return (error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[-1]


def _choose_for_gpus(devices: list[mx.Context]) -> tuple[str, str]:
    capabilities = runtime.library.query_driver()[1]
    major, minor = min(capabilities[device.device_id] for device in devices)
    gpu = f"a GPU of compute capability {major}.{minor}"
    if major >= 7:
        return "float16", f"--dtype auto takes float16: {gpu} has fast float16"
    return "float32", f"--dtype auto takes float32: {gpu} has no tensor cores, which need 7.0"


def _seconds_of_steps(trial: Trial, dtype: str, accumulate: int, least: int = 6) -> list[float]:
    """Return the seconds of each of at least `least` steps, without the first ones, in a new process.

    Raises CalledProcessError if it fails.
    """
    code = (
        "import sys; from gluon_classics.training import trial\n"
        f"trial._end_with({os.getpid()}); trial._print_seconds(sys.argv[1])"
    )
    devices = [(each.device_type, each.device_id) for each in trial.devices]
    description = json.dumps(
        {**vars(trial), "devices": devices, "dtype": dtype, "accumulate": accumulate, "least": least}
    )
    folder = str(Path(runtime.__file__).parents[2])  # the package may not be installed
    path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-W", "ignore", "-c", code, description]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,  # only this process answers Ctrl-C, which would look like a lack of memory
    )
    return json.loads(done.stdout.splitlines()[-1])


def _end_with(parent: int) -> None:
    """End this process when its parent ends, even by SIGKILL, to free memory and cores."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended already
        os._exit(1)


def _print_seconds(description: str) -> None:
    """Train in the new process, and print the seconds of each step except the first ones as JSON.

    Uses as much memory as the run: it also evaluates one slice at the end.
    """
    trial = json.loads(description)
    devices = [mx.Context(*each) for each in trial["devices"]]
    enable_dtype(trial["dtype"])
    net = get_model(trial["net"], **trial["net_args"])
    net.initialize(mx.init.Xavier(), ctx=devices)
    shape = trial["batch_size"], trial["net_args"]["in_channels"], trial["size"], trial["size"]
    slices = (devices * trial["accumulate"])[: trial["batch_size"]]
    images = gluon.utils.split_and_load(nd.random.uniform(shape=shape), slices, even_split=False)
    labels = gluon.utils.split_and_load(nd.zeros(shape[:1]), slices, even_split=False)
    for each in images[: len(devices)]:
        net(each[:1])
    hybridize(net, devices)
    trainer = gluon.Trainer(
        net.collect_params(), trial["optimizer"], trial["optimizer_settings"], update_on_kvstore=False
    )
    step = Step(net, gluon.loss.SoftmaxCrossEntropyLoss(), trainer, trial["accumulate"], dtype=trial["dtype"])
    step.scaling.factor = 1.0  # an overflow would skip the first step, which makes the optimizer's state
    average = WeightAverage(net, trial["ema"]) if trial["ema"] else None
    seconds: list = []
    nd.waitall()
    while len(seconds) < trial["least"] or sum(seconds[2:]) < 0.5:
        began = perf_counter()
        step(images, labels, devices, 0)
        if average:
            average.update()
        nd.waitall()
        seconds.append(perf_counter() - began)
        if sum(seconds) > 20 and len(seconds) > 1:
            break
    with averaged(average):
        for each in images[: len(devices)]:
            net(each)
        nd.waitall()
    print(json.dumps(seconds[2:] or seconds[1:]))
