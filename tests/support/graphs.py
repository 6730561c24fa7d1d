"""Inspect networks through their graphs, without weights."""

import functools
import json

from gluon_classics.models import get_model, model_info

import mxnet as mx
from mxnet import nd


@functools.cache
def built(name):
    """The network with inferred shapes, uninitialized."""
    net = get_model(name)
    net.infer_shape(nd.zeros((1, *model_info(name).input_shape)))
    return net


@functools.cache
def nodes(name):
    return json.loads(built(name)(mx.sym.var("data")).tojson())["nodes"]


def operators(name, op):
    """The attributes of every operator `op` in the graph of the network `name`, in order."""
    return [node.get("attrs", {}) for node in nodes(name) if node["op"] == op]


def convolutions(name):
    """(channels, kernel, stride, padding, groups) of each convolution; all are square."""
    keys = ("num_filter", "kernel", "stride", "pad", "num_group")
    return [
        tuple(int(attrs[key].strip("()").split(",")[0]) for key in keys) for attrs in operators(name, "Convolution")
    ]


def child(net, name):
    for part in name.split("."):
        net = net._children[part]
    return net


def shapes(name, stages):
    """{stage: (input shape, output shape)} for one image."""
    net, ends = get_model(name), {}
    for stage in stages:
        child(net, stage).register_forward_hook(
            lambda _, inputs, out, stage=stage: ends.update({stage: (*inputs, out)})
        )
    net(mx.sym.var("data"))
    size = (1, *model_info(name).input_shape)
    return {stage: tuple(end.infer_shape(data=size)[1][0][1:] for end in ends[stage]) for stage in stages}
