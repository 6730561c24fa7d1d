"""The optimizer's state as arrays and plain values: what `Trainer.save_states` writes as a pickle."""

from __future__ import annotations

import re

import numpy as np
from mxnet import gluon, nd

# Those that keep all their state in arrays and update counts, Nadam's momentum schedule apart. Others do not: LBSGD
# keeps gradients in attributes of its own, LARS learning rates.
SUPPORTED = ("SGD", "NAG", "Adam", "Nadam", "RMSProp", "AdaGrad", "LAMB")


def get_state(trainer: gluon.Trainer) -> tuple[dict[str, nd.NDArray], dict]:
    """The arrays of the first device (every device holds the same), and what describes them, fit for JSON.

    An array's name is the place of its parameter, and its place in that parameter's state: "0", "1/0", "1/1". The
    parameters' places are their order by name, numbers by size: so dense9 and dense10 stay in order in a process
    that has built other networks before, where they are dense19 and dense20. The arrays are the optimizer's own, not
    copies. The learning-rate schedule is left out: it follows from the number of updates.

    Raises ValueError for a Trainer made without update_on_kvstore=False, which keeps its state out of reach, and for an
    optimizer that is not in SUPPORTED.
    """
    _must_hold_its_state(trainer)
    optimizer, order = trainer.optimizer, _order(trainer)
    states = trainer._updaters[0].states
    counts = optimizer._all_index_update_counts.get(trainer._contexts[0].device_id, {})
    description = {
        "optimizer": type(optimizer).__name__,
        "parameters": _parameters(trainer),
        "states": [index in states for index in order],  # a state is made with its parameter's first update
        "update_counts": [counts.get(index) for index in order],
        "num_update": optimizer.num_update,
        "begin_num_update": optimizer.begin_num_update,
        "m_schedule": getattr(optimizer, "m_schedule", None),  # Nadam's
    }
    return _arrays({place: states[index] for place, index in enumerate(order) if index in states}), description


def set_state(trainer: gluon.Trainer, arrays: dict[str, nd.NDArray], description: dict) -> None:
    """Put what `get_state` gave onto every device of a new Trainer, whose schedule then goes on from there.

    Raises ValueError, naming what differs, for another optimizer, other parameters, or a state of another kind, as
    another momentum or precision makes it; and as `get_state`. The Trainer is left as it was then.
    """
    _must_hold_its_state(trainer)
    optimizer, order = trainer.optimizer, _order(trainer)
    if type(optimizer).__name__ != description["optimizer"]:
        raise ValueError(f"the state is of the optimizer {description['optimizer']}, not {type(optimizer).__name__}")
    _compare_parameters(_parameters(trainer), description["parameters"])
    fresh = [
        {
            place: optimizer.create_state_multi_precision(index, trainer._params[index].data(device))
            for place, index in enumerate(order)
            if description["states"][place]
        }
        for device in trainer._contexts
    ]
    _compare_arrays(arrays, _arrays(fresh[0]))
    for updater, states in zip(trainer._updaters, fresh):
        for name, array in _arrays(states).items():
            arrays[name].copyto(array)
        updater.states = {order[place]: state for place, state in states.items()}
        updater.states_synced = dict.fromkeys(updater.states, True)
    counts = {order[place]: n for place, n in enumerate(description["update_counts"]) if n is not None}
    optimizer._all_index_update_counts = {device.device_id: dict(counts) for device in trainer._contexts}
    optimizer._set_current_context(trainer._contexts[0].device_id)
    optimizer.num_update = description["num_update"]
    optimizer.begin_num_update = description["begin_num_update"]
    if description["m_schedule"] is not None:
        optimizer.m_schedule = description["m_schedule"]
    if optimizer.lr_scheduler is not None:
        # asked for each update once more: beyond its end, a schedule gives the last rate that it was asked for
        for update in range(optimizer.begin_num_update, optimizer.num_update + 1):
            optimizer.lr_scheduler(update)


def _must_hold_its_state(trainer: gluon.Trainer) -> None:
    if not trainer._kv_initialized:
        trainer._init_kvstore()
    if trainer._update_on_kvstore:
        raise ValueError("this Trainer's state is in its key-value store: make it with update_on_kvstore=False")
    name = type(trainer.optimizer).__name__
    if name not in SUPPORTED:
        raise ValueError(f"the state of the optimizer {name} cannot be stored: take one of {', '.join(SUPPORTED)}")


def _order(trainer: gluon.Trainer) -> list[int]:
    """The parameters' indices, in the order of their names, numbers by size."""

    def key(index: int) -> list:
        words = re.split(r"(\d+)", trainer._params[index].name)
        return [int(word) if i % 2 else word for i, word in enumerate(words)]

    return sorted(range(len(trainer._params)), key=key)


def _parameters(trainer: gluon.Trainer) -> list:
    """Name and shape of each parameter. The numbers in the name count the process's networks, and are left out."""
    parameters = [trainer._params[index] for index in _order(trainer)]
    return [[re.sub(r"\d+", "#", p.name), list(p.shape)] for p in parameters]


def _parts(state, name: str) -> dict[str, nd.NDArray]:
    """The arrays of one parameter's state: None, an array, or these in nested tuples."""
    if isinstance(state, (list, tuple)):
        return {key: array for i, each in enumerate(state) for key, array in _parts(each, f"{name}/{i}").items()}
    return {} if state is None else {name: state}


def _arrays(states: dict) -> dict[str, nd.NDArray]:
    return {name: array for place, state in states.items() for name, array in _parts(state, str(place)).items()}


def _compare_parameters(mine: list, stored: list) -> None:
    if len(mine) != len(stored):
        raise ValueError(f"the state is of {len(stored)} parameters, but the Trainer has {len(mine)}")
    for (name, shape), (stored_name, stored_shape) in zip(mine, stored):
        if (name, shape) != (stored_name, stored_shape):
            raise ValueError(f"the state is of {stored_name} {stored_shape}, where the Trainer has {name} {shape}")


def _compare_arrays(stored: dict, mine: dict) -> None:
    for name in sorted({*stored, *mine}):
        kinds = [
            f"{np.dtype(arrays[name].dtype)} {arrays[name].shape}" if name in arrays else "no array"
            for arrays in (stored, mine)
        ]
        if kinds[0] != kinds[1]:
            raise ValueError(
                f"the state has {kinds[0]} at {name}, where the optimizer keeps {kinds[1]}: "
                "it was stored with another momentum, or in another precision"
            )
