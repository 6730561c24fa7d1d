"""The optimizer's state as arrays and JSON values; `Trainer.save_states` would write a pickle."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from mxnet import gluon, nd

# These keep their state in arrays and update counts (and Nadam's momentum schedule). Others do not: LBSGD keeps
# gradients, and LARS learning rates, in attributes.
SUPPORTED = ("SGD", "NAG", "Adam", "Nadam", "RMSProp", "AdaGrad", "LAMB")


def get_state(trainer: gluon.Trainer) -> tuple[dict[str, nd.NDArray], dict]:
    """Return the state's arrays, which are not copied, and their description as JSON values.

    All devices hold the same arrays; these are the first one's. An array's name is the index of its parameter, and the
    index in that parameter's state: "0", "1/0", "1/1". Parameters are ordered by name, with numbers as numbers: dense9
    and dense10 keep their order in a process that has built other networks before, and calls them dense19 and dense20.
    The learning rate schedule is not part of the state: it follows from the number of updates.

    Raises ValueError for a Trainer made without update_on_kvstore=False, whose state is out of reach, and for an
    optimizer that is not in SUPPORTED.
    """
    _must_hold_its_state(trainer)
    optimizer, order = trainer.optimizer, _order(trainer)
    states = trainer._updaters[0].states
    counts = optimizer._all_index_update_counts.get(trainer._contexts[0].device_id, {})
    description = {
        "optimizer": type(optimizer).__name__,
        "parameters": _parameters(trainer),
        "states": [index in states for index in order],  # the first update of a parameter makes its state
        "update_counts": [counts.get(index) for index in order],
        "num_update": optimizer.num_update,
        "begin_num_update": optimizer.begin_num_update,
        "m_schedule": getattr(optimizer, "m_schedule", None),  # Nadam's
    }
    return _arrays({place: states[index] for place, index in enumerate(order) if index in states}), description


def set_state(trainer: gluon.Trainer, arrays: dict[str, nd.NDArray], description: dict) -> None:
    """Set the state from `get_state` on every device of a new Trainer; its schedule continues from there.

    Raises ValueError, naming the difference, for another optimizer, other parameters, or a state of another kind, for
    instance because of another momentum or precision; and as `get_state`. The Trainer is then unchanged.
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
        # replay all updates: beyond its end, a schedule returns the last rate that it has computed
        for update in range(optimizer.begin_num_update, optimizer.num_update + 1):
            optimizer.lr_scheduler(update)


def _must_hold_its_state(trainer: gluon.Trainer) -> None:
    if not trainer._kv_initialized:
        trainer._init_kvstore()
    if trainer._update_on_kvstore:
        raise ValueError("this Trainer's state is in its key-value store: make it with update_on_kvstore=False")
    name = type(trainer.optimizer).__name__
    if name not in SUPPORTED:
        raise ValueError(f"the state of the optimizer {name} cannot be stored: use one of {', '.join(SUPPORTED)}")


def _order(trainer: gluon.Trainer) -> list[int]:
    """Return the parameters' indices in the order of their names, with numbers as numbers."""

    def key(index: int) -> list:
        words = re.split(r"(\d+)", trainer._params[index].name)
        return [int(word) if i % 2 else word for i, word in enumerate(words)]

    return sorted(range(len(trainer._params)), key=key)


def _parameters(trainer: gluon.Trainer) -> list:
    """Return name and shape of each parameter, without the numbers in the name: they count the process's networks."""
    parameters = [trainer._params[index] for index in _order(trainer)]
    return [[re.sub(r"\d+", "#", p.name), list(p.shape)] for p in parameters]


def _parts(state: Any, name: str) -> dict[str, nd.NDArray]:
    """Return the arrays of one parameter's state, which is None, an array, or nested tuples of these."""
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
