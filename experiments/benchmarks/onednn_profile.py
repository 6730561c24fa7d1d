"""Where the time of a training step goes, by oneDNN's own record: `train --profile`.

Both frameworks compute with oneDNN (MXNet 1.9.1 with 2.4.4, PyTorch with a newer one), which writes a line for each
primitive it runs when DNNL_VERBOSE=1 or ONEDNN_VERBOSE=1. Writing takes time, so the length of a step is measured in
another process without it. Outside oneDNN are the other operators (in PyTorch batch norm, pooling and ReLU among
them, and the float32 dense layers, which MKL computes), the optimizer, and the framework itself.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

from .setting import Setting, Side
from .sides import EXPERIMENTS, SideDied, SideProcess, command, environment

STEPS = 10


def parse(lines: Iterable[str]) -> list[dict[str, float]]:
    """Read what train_side.py's `profile` prints. Return the milliseconds of each kind of primitive in each step.

    oneDNN 2: dnnl_verbose,exec,cpu,convolution,jit:avx512_core,backward_data,...,1.5
    oneDNN 3: onednn_verbose,v1,primitive,exec,cpu,convolution,jit:avx512_core,backward_data,...,1.5
    """
    steps: list[dict[str, float]] = []
    for line in lines:
        fields = line.strip().split(",")
        if fields[0] == "step":
            steps.append({})
        elif fields[0] == "end":
            break
        elif steps and fields[0] in ("dnnl_verbose", "onednn_verbose") and "exec" in fields:
            _, primitive, _, direction = fields[fields.index("exec") + 1 :][:4]
            kind = kind_of(primitive, direction)
            steps[-1][kind] = steps[-1].get(kind, 0.0) + float(fields[-1])
    return steps


def kind_of(primitive: str, direction: str) -> str:
    """Return the primitive's name, with its direction if it has one: reorder, convolution backward weights."""
    name = primitive.replace("_v2", "").replace("_", " ")
    if direction == "undef":
        return name
    return f"{name} {direction.replace('_training', '').replace('_inference', '').replace('_', ' ')}"


def fastest(steps: list[dict[str, float]]) -> dict[str, float]:
    """Return the step that other processes disturbed least. Raise SideDied if no step has a primitive."""
    steps = [step for step in steps if step]
    if not steps:
        raise SideDied("oneDNN recorded nothing")
    return min(steps, key=lambda step: sum(step.values()))


def step_ms(side: Side, setting: Setting, seconds: float, threads: int) -> float:
    """Return the length of a training step on a synthetic batch without the record, the best of five turns."""
    process = SideProcess(side, setting, seconds, threads)
    name = "train_synthetic" if "train_synthetic" in process.functions else "train"
    speed = max(process.turn([name])[name] for _ in range(5))
    process.close()
    return 1000 * setting.batch_size / speed


def recorded(side: Side, setting: Setting, threads: int) -> dict[str, float]:
    """Return the milliseconds of each kind of primitive in a training step. Raise SideDied if the process fails."""
    finished = subprocess.run(
        command("profile", side, setting, STEPS),
        cwd=EXPERIMENTS,
        env={**environment(side, threads), "DNNL_VERBOSE": "1", "ONEDNN_VERBOSE": "1"},
        capture_output=True,
        text=True,
    )
    if finished.returncode:
        raise SideDied(finished.stderr.strip().split("\n")[-1])
    return fastest(parse(finished.stdout.split("\n")))


def print_profile(setting: Setting, sides: dict[str, Side], seconds: float, threads: int) -> None:
    """Print the ms of each kind in one step, a column for each side of this project and of PyTorch."""
    columns = {}
    for name, side in sides.items():
        if side.framework == "tutorial":
            continue
        try:
            columns[name] = recorded(side, setting, threads), step_ms(side, setting, seconds, threads)
        except SideDied as error:
            print(f"{setting.network}: {name} is left out: {error}", flush=True)
    print(*format_profile(setting, columns), sep="\n", flush=True)


def format_profile(setting: Setting, columns: dict[str, tuple[dict[str, float], float]]) -> list[str]:
    """Format `columns`: side -> (ms of each kind, ms of a step), with the largest kinds of all sides first."""
    kinds = sorted(
        {kind for record, _ in columns.values() for kind in record},
        key=lambda kind: -max(record.get(kind, 0) for record, _ in columns.values()),
    )
    inside = {name: sum(record.values()) for name, (record, _) in columns.items()}
    steps = {name: step for name, (_, step) in columns.items()}
    rows = [(kind, {name: record.get(kind, 0) for name, (record, _) in columns.items()}) for kind in kinds]
    rows += [
        ("inside oneDNN", inside),
        ("outside", {name: steps[name] - inside[name] for name in columns}),
        ("a step", steps),
    ]
    heads = [name.replace("channels-last", "nhwc").replace("bfloat16", "bf16") for name in columns]
    lines = [
        f"ms of a training step of {setting.network}, {setting.batch_size} images of {setting.size}x{setting.size}",
        f"{'':32}" + "".join(f"{head:>18}" for head in heads),
    ]
    lines += [f"{kind:32}" + "".join(f"{values[name]:18.2f}" for name in columns) for kind, values in rows]
    shares = "".join(f"{inside[name] / steps[name]:18.0%}" for name in columns)
    lines.append(f"{'share inside oneDNN':32}{shares}")
    # record and step are measured one after the other
    lines += [
        f"{name}: the record was disturbed: it is longer than a step without it; measure again"
        for name in columns
        if inside[name] > steps[name]
    ]
    return lines
