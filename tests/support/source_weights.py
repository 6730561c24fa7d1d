"""State dicts in a source's format, made without the source: its names, our shapes, seeded weights."""

from gluon_classics.convert import SOURCES
from gluon_classics.models import get_model

from mxnet import nd

from seeded_weights import seeded_array


def source_shapes(source, name, **kwargs):
    """{the source's name: shape} for every tensor of our network `name`."""
    net = get_model(name, **kwargs)
    net.infer_shape(nd.zeros((1, net.in_channels, net.smallest_size, net.smallest_size)))
    parameters = net._collect_params_with_prefix()
    return {theirs: parameters[ours].shape for ours, theirs in SOURCES[source].tensor_names(net).items()}


def source_weights(source, name, **kwargs):
    return {name: seeded_array(name, shape) for name, shape in source_shapes(source, name, **kwargs).items()}
