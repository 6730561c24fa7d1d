"""Steps tried out in processes of their own: which dtype is fastest (`--dtype auto`), what fits (`--auto-batch`)."""

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

# bfloat16 costs digits: it is taken for a gain that is more than noise
WORTH_IT = 1.1
PR_SET_PDEATHSIG = 1  # of Linux' prctl(2): the signal that a process gets when its parent ends


@dataclass(frozen=True)
class Trial:
    """A training whose speed or memory is in question: a network of the registry, `size` x `size` images."""

    net: str
    net_args: dict  # with num_classes and in_channels
    size: int
    batch_size: int
    devices: list[mx.Context]
    optimizer: str
    optimizer_settings: dict  # without lr_scheduler
    ema: float | None  # decay of the WeightAverage; None or 0 for none


def choose_dtype(trial: Trial, accumulate: int) -> tuple[str, str]:
    """Return the fastest dtype that keeps float32's accuracy, and one line for the log that says why.

    A GPU's compute capability decides. On a CPU with bfloat16 instructions, both dtypes train for some seconds, on
    batches of synthetic images in `accumulate` slices, in processes of their own, for AMP cannot be undone; one at a
    time, for they need memory.
    """
    if trial.devices[0].device_type == "gpu":
        return _choose_for_gpus(trial.devices)
    instructions = runtime.describe().bfloat16
    if instructions not in ("amx_bf16", "avx512_bf16"):
        return "float32", "--dtype auto takes float32: this processor has no bfloat16 instructions"
    seconds: dict = {"float32": [], "bfloat16": []}
    began = perf_counter()
    for _ in range(2):  # they take turns, so that a busy machine slows both
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
        return "float32", f"--dtype auto takes float32, for bfloat16 is not {WORTH_IT:g} times as fast: {speeds}"
    return "bfloat16", f"--dtype auto takes bfloat16, for it is faster: {speeds}"


def choose_accumulate(trial: Trial, dtype: str, accumulate: int = 1) -> tuple[int, str]:
    """Return into how many slices a batch has to be split to fit into memory, and one line for the log.

    `accumulate` slices are tried first, then twice as many, and so on. Raises ValueError where not even single images
    fit, and where the trial fails for another reason.
    """
    while True:
        try:
            _seconds_of_steps(trial, dtype, accumulate, least=2)
        except subprocess.CalledProcessError as error:
            # a process without memory may also die of a signal: the kernel's SIGKILL, or MXNet's own SIGSEGV or SIGABRT
            if error.returncode >= 0 and not out_of_memory(error.stderr):
                raise ValueError(f"--auto-batch: the trial failed: {_last_line(error)}") from None
            if accumulate >= trial.batch_size:
                raise ValueError(
                    f"--auto-batch: not even single images of {trial.size}x{trial.size} fit: take a smaller --resize"
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
    return "float32", f"--dtype auto takes float32: {gpu} has no tensor cores, which came with 7.0"


def _seconds_of_steps(trial: Trial, dtype: str, accumulate: int, least: int = 6) -> list[float]:
    """The seconds of `least` steps or more, the first ones left out, in a new process.

    It imports gluon_classics, and so computes as this one does. Raises CalledProcessError where it fails.
    """
    code = (
        "import sys; from gluon_classics.training import trial\n"
        f"trial._end_with({os.getpid()}); trial._print_seconds(sys.argv[1])"
    )
    devices = [(each.device_type, each.device_id) for each in trial.devices]
    description = json.dumps(
        {**vars(trial), "devices": devices, "dtype": dtype, "accumulate": accumulate, "least": least}
    )
    folder = str(Path(runtime.__file__).parents[2])  # of the package, which need not be installed
    path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-W", "ignore", "-c", code, description]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,  # a terminal's Ctrl-C is for this process to answer, and no lack of memory
    )
    return json.loads(done.stdout.splitlines()[-1])


def _end_with(parent: int) -> None:
    """End this process, with the memory and the cores that it holds, when its parent does, be it by SIGKILL."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended already
        os._exit(1)


def _print_seconds(description: str) -> None:
    """The work of the new process: train, and print the seconds of each step but the first ones as JSON.

    It holds in memory what the run holds, and so evaluates once at its end, on images of one slice.
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
    step.scaling.factor = 1.0  # no overflow leaves out the first step, which makes the optimizer's state
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
