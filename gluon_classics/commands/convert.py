"""python -m gluon_classics convert: convert weights of PyTorch or gluoncv to a .params file."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from gluon_classics import convert, models
from gluon_classics.nearest import unknown_name
from gluon_classics.printable import printable
from gluon_classics.whole_file import whole_file

# what torchvision's weights expect, and no file of weights says
TRANSFORM_INPUT = (
    "note: torchvision's weights for this network take images scaled to -1..1 (mean 0.5, std 0.5); torchvision's own "
    "model converts its input to that (transform_input)"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("weights", type=Path, metavar="FILE", help="weights of PyTorch, .safetensors or .params; the contents decide")
    add(
        "--from",
        dest="source",
        required=True,
        metavar="SOURCE",
        help="library of the weights: torchvision, timm, gluoncv or efficientnet-lite-pytorch",
    )
    add("--net", required=True, help="network of this package, for example resnet50")
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="the .params file to write")
    add("--key", help="the weights to take from a checkpoint that has several, for example model_ema")
    add("--num-classes", type=int, metavar="N", help="classes (default: those of the weights)")
    add("--in-channels", type=int, metavar="N", help="channels of an image (default: those of the weights)")
    add("--aux", action="store_true", help="keep the auxiliary heads")


def run(args: argparse.Namespace) -> int:
    """Convert one file. Raises ValueError, before anything is written, if the weights do not fit."""
    import mxnet as mx

    source = _source(args.source, args.net)
    _check_output(args.output, args.weights)
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", convert.WeightsChosen)
        arrays = convert.read_weights(args.weights, args.key)
    net, settings = _build(args, arrays)
    try:
        loaded = convert.load(args.source, arrays, net)
    except ValueError as error:
        raise ValueError(f"{printable(args.weights)}: {error}") from error
    try:
        with whole_file(args.output) as part:
            net.save_parameters(str(part))
    except (OSError, mx.MXNetError) as error:
        raise ValueError(
            f"{printable(args.output)}: cannot be written: {getattr(error, 'strerror', None) or error}"
        ) from error

    print(f"read {printable(args.weights)}: {source.title}'s {source.networks[args.net]}, {len(arrays)} tensors")
    for note in notes:
        print(f"note: {note.message}")
    if loaded.dropped:
        ends = printable(f"{loaded.dropped[0]} to {loaded.dropped[-1]}")
        print(f"dropped {len(loaded.dropped)} tensors of auxiliary heads: {ends}")
    written = f"{args.net}, {loaded.tensors} tensors, {loaded.parameters:,} parameters"
    print(f"wrote {printable(args.output)}: {written}; to load it:")
    arguments = "".join(f", {name}={value}" for name, value in settings.items())
    print(f"  net = gluon_classics.models.get_model({args.net!r}{arguments})")
    print(f"  net.load_parameters({str(args.output)!r})")
    if args.source == "torchvision" and args.net in ("inception_v1_bn", "inception_v3"):
        print(TRANSFORM_INPUT)
    return 0


def _source(name, network):
    models.model_info(network)  # raises for an unknown network
    if name not in convert.SOURCES:
        raise unknown_name("source", name, convert.SOURCES)
    if network not in convert.SOURCES[name].networks:
        others = [other for other, source in convert.SOURCES.items() if network in source.networks]
        hint = f"{network} comes from {' and '.join(others)}" if others else f"no source has {network}"
        for ours, theirs in convert.SOURCES[name].networks.items():
            if theirs == network:
                hint = f"its {network} is --net {ours} here"
        raise ValueError(f"{name} has no {network}; {hint}. {name} has {', '.join(convert.SOURCES[name].networks)}")
    return convert.SOURCES[name]


def _check_output(path, source):
    if path.is_dir():
        raise ValueError(f"{printable(path)} is a folder: name the .params file to write")
    if path.suffix != ".params":
        raise ValueError(f"{printable(path)}: the output must end in .params")
    if path.exists() and (not path.is_file() or (source.exists() and path.samefile(source))):
        raise ValueError(
            f"{printable(path)} would be replaced, and is the input or not a regular file: name another output"
        )
    if not path.parent.is_dir():
        raise ValueError(f"{printable(path)}: there is no folder {printable(path.parent)}; create it first")


def _build(args, arrays):
    """Return the network for these weights, and the arguments that build it."""
    plain = models.get_model(args.net)
    if args.aux and not plain.aux_weights:
        raise ValueError(f"{args.net} has no auxiliary heads: leave out --aux")
    names = list(convert.SOURCES[args.source].tensor_names(plain).values())
    settings = convert.settings_in(names, {name: array.shape for name, array in arrays.items()})
    for name in ("num_classes", "in_channels"):
        value = getattr(args, name)
        if value is not None:
            settings[name] = value
    if args.aux:
        settings["aux"] = True
    return models.get_model(args.net, **settings), settings
