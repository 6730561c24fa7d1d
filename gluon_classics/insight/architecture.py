"""The content of a network's diagram: a box for each layer, or for each module.

It is derived from the layers of `summarize`, that is, from the network's graph. A box is a layer with the batch norm,
activation or dropout after it. A module is a block of a class of this package (`Inception`, `Bottleneck`) with
more than one box. Modules of one class with the same kinds of layers and the same paths share a template, whatever
their kernels, strides and channels. The templates of a class are called A, B, C if there are several.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gluon_classics.insight.summary import Layer, Summary
from gluon_classics.insight.tables import side, times, windows

from mxnet.gluon import Block, nn

DETAILS = ("modules", "layers", "shapes")
IMAGE = "image"  # key of the input node

# Kinds that are written into the box of the layer before them.
_FOLLOWERS = {
    "batch norm": "BN",
    "relu": "ReLU",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "clip": "ReLU6",
    "SiLU": "SiLU",
    "scaled tanh": "scaled tanh",
    "dropout": "dropout",
    "stochastic depth": "stochastic depth",
    "flatten": "flatten",
}
_STACKS = (nn.HybridSequential, nn.Sequential)


@dataclass(frozen=True)
class Node:
    """A box of the diagram and the sources of its arrows."""

    key: str
    kind: str  # one of diagram.KINDS, which has its colour
    lines: tuple[str, ...]  # the first is the heading
    inputs: tuple[str, ...]  # keys
    repeats: int = 1
    shape: str = ""  # on the arrow from it
    frame: str = ""  # the module around it


@dataclass(frozen=True)
class Part:
    """The graph of the network, or of the inside of one kind of module."""

    title: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Architecture:
    parts: tuple[Part, ...]  # the network first
    parameters: int
    macs: int


def architecture(net: Block, summary: Summary, detail: str = "modules") -> Architecture:
    """Return what to draw of `net`, whose layers are in `summary`.

    `modules`: modules as boxes, repeats once, and the inside of each kind of module; `layers`: every layer; `shapes`:
    also the shape of every output, parameters and multiply-accumulates.
    """
    assert detail in DETAILS
    boxes = _boxes(net, summary.layers)
    image = Node(IMAGE, "image", ("image",), (), shape=times(summary.input_shape))
    if detail == "modules":
        templates = _templates(boxes)
        parts = (Part("", (image, *_trunk(boxes, templates))), *_insides(templates))
    else:
        parts = (Part("", (image, *_all_layers(boxes, detail == "shapes"))),)
    return Architecture(parts, summary.parameters, summary.macs)


@dataclass
class _Box:
    layers: list[Layer]  # the first names it
    notes: list[str]
    inputs: tuple[int, ...]  # boxes; -1 is the image
    module: tuple[str, ...] | None  # path of its block
    module_class: str = ""

    @property
    def kind(self) -> str:
        layer = self.layers[0]
        if layer.kind == "conv" and layer.groups > 1:
            return "depthwise conv" if layer.is_depthwise else "grouped conv"
        return layer.kind

    @property
    def output_shape(self) -> tuple:
        return self.layers[-1].output_shape

    @property
    def heading(self) -> str:
        return _heading(self.kind, [self.layers[0]])


@dataclass
class _Template:
    """Modules that differ only in kernels, strides and channels."""

    name: str
    modules: list[list[int]] = field(default_factory=list)  # the boxes of each
    boxes: list[list[_Box]] = field(default_factory=list)


def _boxes(net: Block, layers: Sequence[Layer]) -> list[_Box]:
    places = _with_composed_activations(layers)
    consumers = Counter(source for layer in places.values() for source in set(layer.inputs))
    modules = {place: _module(net, layer.path) for place, layer in places.items()}
    sizes = Counter(module for module, _ in modules.values())
    boxes: list[_Box] = []
    box_of = {-1: -1}
    for place, layer in places.items():
        inputs = tuple(dict.fromkeys(box_of[source] for source in layer.inputs))
        module, module_class = modules[place] if sizes[modules[place][0]] > 1 else (None, "")
        note = _FOLLOWERS.get(layer.kind)
        alone = len(inputs) == 1 and inputs[0] >= 0 and consumers[layer.inputs[0]] == 1
        if note and alone and boxes[inputs[0]].module == module:
            boxes[inputs[0]].layers.append(layer)
            boxes[inputs[0]].notes.append(note)
            box_of[place] = inputs[0]
        else:
            box_of[place] = len(boxes)
            boxes.append(_Box([layer], [], inputs, module, module_class))
    sizes = Counter(box.module for box in boxes)
    for box in boxes:
        if sizes[box.module] == 1:  # a convolution with its batch norm is a layer, not a module
            box.module = None
    return boxes


def _with_composed_activations(layers: Sequence[Layer]) -> dict[int, Layer]:
    """Return the layers by their position, with x * sigmoid(x) and a * tanh(s * x) as one layer each."""
    found = dict(enumerate(layers))

    def replace(place: int, kind: str, inputs: tuple[int, ...]) -> None:
        layer = layers[place]
        found[place] = Layer(layer.path, kind, layer.output_shape, 0, 0, layer.receptive_field, inputs=inputs)

    for place, layer in enumerate(layers):
        if [each.kind for each in layers[place - 2 : place + 1]] == ["scale", "tanh", "scale"]:
            del found[place - 2], found[place - 1]
            replace(place, "scaled tanh", layers[place - 2].inputs)
        for gate in layer.inputs if layer.kind == "multiply" else ():
            others = tuple(source for source in layer.inputs if source != gate)
            if gate >= 0 and layers[gate].kind == "sigmoid" and layers[gate].inputs == others:
                del found[gate]
                replace(place, "SiLU", others)
    return found


def _module(net: Block, path: tuple[str, ...]) -> tuple:
    """Return the path and class name of the outermost block that is neither a stack nor a layer of gluon.nn."""
    block = net
    for depth, name in enumerate(path, 1):
        block = block._children.get(name)
        if isinstance(block, _STACKS):
            continue
        if block is None or isinstance(block, nn.Conv2D) or type(block).__module__.startswith("mxnet."):
            break
        return path[:depth], type(block).__name__
    return None, ""


def _templates(boxes: list[_Box]) -> list[_Template]:
    members: dict = {}
    for number, box in enumerate(boxes):
        if box.module:
            members.setdefault(box.module, []).append(number)
    alike: dict = {}
    for numbers in members.values():
        place = {number: i for i, number in enumerate(numbers)}
        structure = tuple(
            (boxes[n].kind, tuple(boxes[n].notes), tuple(place.get(source, -1) for source in boxes[n].inputs))
            for n in numbers
        )
        key = boxes[numbers[0]].module_class, structure
        template = alike.setdefault(key, _Template(key[0]))
        template.modules.append(numbers)
        template.boxes.append([boxes[n] for n in numbers])
    counts = Counter(template.name for template in alike.values())
    letters: Counter = Counter()
    for template in alike.values():
        if counts[template.name] > 1:
            letters[template.name] += 1
            template.name += " " + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[letters[template.name] - 1]
    return list(alike.values())


def _trunk(boxes: list[_Box], templates: list[_Template]) -> Iterable[Node]:
    """Return the network with one node per module. Equal neighbours become one node with their number."""
    unit_of: dict = {-1: IMAGE}
    units: dict = {}  # key: box numbers, kind, lines
    for template in templates:
        for numbers in template.modules:
            key = ".".join(boxes[numbers[0]].module or ())
            units[key] = numbers, "module", (template.name, windows(boxes[n].layers[0] for n in numbers))
            unit_of.update(dict.fromkeys(numbers, key))
    for number, box in enumerate(boxes):
        if number not in unit_of:
            units[str(number)] = [number], *_plain(box)
            unit_of[number] = str(number)
    nodes: list[Node] = []
    renamed = {IMAGE: IMAGE}
    consumers: Counter = Counter()
    for key, (numbers, _, _) in units.items():
        consumers.update({unit_of[s] for n in numbers for s in boxes[n].inputs} - {key})
    for key, (numbers, kind, lines) in sorted(units.items(), key=lambda item: item[1][0][0]):
        sources = {unit_of[s]: None for n in numbers for s in boxes[n].inputs}
        sources.pop(key, None)
        before = nodes[-1] if nodes else None
        shape = times(boxes[numbers[-1]].output_shape)
        lines = tuple(filter(None, lines))
        alike = before and (before.kind, before.lines) == (kind, lines) and all(consumers[s] == 1 for s in sources)
        if before and alike and [renamed[s] for s in sources] == [before.key]:
            renamed[key] = before.key
            nodes[-1] = Node(before.key, kind, lines, before.inputs, before.repeats + 1, shape)
        else:
            renamed[key] = key
            nodes.append(Node(key, kind, lines, tuple(renamed[s] for s in sources), 1, shape))
    return nodes


def _insides(templates: list[_Template]) -> Iterable[Part]:
    for template in templates:
        numbers = template.modules[0]
        keys = {number: str(i) for i, number in enumerate(numbers)}
        nodes = [Node(IMAGE, "input", (), ())]
        for number, *instances in zip(numbers, *template.boxes):
            box = instances[0]
            heading = _heading(box.kind, [instance.layers[0] for instance in instances])
            inputs = tuple(keys.get(source, IMAGE) for source in box.inputs)
            lines = tuple(filter(None, (heading, ", ".join(box.notes))))
            nodes.append(Node(keys[number], _colour(box.kind), lines, tuple(dict.fromkeys(inputs))))
        yield Part(template.name, tuple(nodes))


def _all_layers(boxes: list[_Box], with_shapes: bool) -> Iterable[Node]:
    for number, box in enumerate(boxes):
        kind, lines = _plain(box)
        if with_shapes:
            parameters, macs = (sum(getattr(layer, n) for layer in box.layers) for n in ("parameters", "macs"))
            lines += (f"{parameters:,} parameters" if parameters else "", f"{macs:,} MACs" if macs else "")
        frame = f"{'.'.join(box.module)}: {box.module_class}" if box.module else ""
        inputs = tuple(IMAGE if source < 0 else str(source) for source in box.inputs)
        leaves = with_shapes or not box.module
        shape = times(box.output_shape) if leaves else ""
        yield Node(str(number), kind, tuple(filter(None, lines)), inputs, 1, shape, frame)


def _plain(box: _Box) -> tuple[str, tuple[str, ...]]:
    return _colour(box.kind), (box.heading, ", ".join(box.notes))


def _colour(kind: str) -> str:
    if kind in ("conv", "dense", "depthwise conv", "grouped conv"):
        return kind
    if kind.endswith("pool"):
        return "pool"
    if kind in ("batch norm", "LRN"):
        return "normalization"
    if kind in ("concat", "add", "multiply"):
        return "join"
    return "activation" if kind in _FOLLOWERS else "other"


def _heading(kind: str, layers: Sequence[Layer]) -> str:
    """Format "conv 3x3/2, 64"; kernels, strides and channels that differ become kxk, /s and nothing."""
    first = layers[0]
    text = "depthwise" if kind == "depthwise conv" else _FOLLOWERS.get(kind, kind)
    if first.kernel:
        text += " " + (times(first.kernel) if _same(layers, "kernel") else "kxk")
        if not _same(layers, "stride"):
            text += "/s"
        elif first.stride != (1, 1):
            text += f"/{side(first.stride)}"
    if kind == "adaptive average pool":
        text += f" to {times(first.output_shape[1:])}"
    if kind in ("conv", "dense", "depthwise conv", "grouped conv") and _same(layers, "output_channels"):
        text += f", {first.output_channels}" if first.kernel else f" {first.output_channels}"
    if kind == "grouped conv":
        text += f" in {first.groups} groups"
    return text


def _same(layers: Sequence[Layer], name: str) -> bool:
    return len({getattr(layer, name) for layer in layers}) == 1
