"""Checkpoints as training scripts and libraries write them: where the weights are, and which are taken."""

from collections import OrderedDict

from gluon_classics import convert
from gluon_classics.convert import SOURCES, WeightsChosen, read_weights
from gluon_classics.convert.state_dicts import WRAPPERS, named_arrays
from gluon_classics.models import get_model

import numpy as np
import pytest
from mxnet import nd
from source_weights import source_weights

NAMES = ["conv1.weight", "bn1.running_mean", "fc.bias"]


def weights(value=1.0, prefix="", names=NAMES):
    state = OrderedDict((prefix + name, np.full(3, value, "float32")) for name in names)
    state[prefix + "bn1.num_batches_tracked"] = np.array(7)
    return state


def taken(checkpoint, key=None):
    """The value of all weights that are taken."""
    arrays = named_arrays(checkpoint, key)
    assert list(arrays) == NAMES
    (value,) = {float(value) for array in arrays.values() for value in array}
    return value


OPTIMIZER = {"state": {0: {"momentum_buffer": np.ones(3, "float32")}}, "param_groups": [{"lr": 0.1}]}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "checkpoint",
    [
        weights(),
        # PyTorch's tutorial on checkpoints, with the loss as a tensor
        {"epoch": 3, "model_state_dict": weights(), "optimizer_state_dict": OPTIMIZER, "loss": np.float32([0.3])},
        {"net": weights(), "acc": 93.1, "epoch": 3},  # pytorch-cifar
        {"state_dict": weights(prefix="module."), "best_acc1": np.array(0.7), "optimizer": OPTIMIZER},
        {"model": {"state_dict": weights()}, "epoch": 3},
        {"model": {"module": weights(prefix="_orig_mod.")}, "rng_state": np.zeros(9, "uint8")},
        {"model_ema": weights()},
        {"state_dict_ema": weights()},
        {"n_averaged": np.array(5), **weights(prefix="module.")},  # torch.optim.swa_utils.AveragedModel
        {**weights(), "epoch": 3, "optimizer": OPTIMIZER, "rng_state": np.zeros(9, "uint8"), "args": None},
        # Lightning
        {"state_dict": weights(prefix="model."), "callbacks": {"best\n": {"best_model_score": np.array(0.5)}}},
        {"state_dict": weights(prefix="model._orig_mod."), "optimizer_states": [OPTIMIZER], "global_step": np.array(3)},
        weights(prefix="_orig_mod.module."),
        weights(prefix="module._orig_mod."),
        weights(prefix="model.net.module._orig_mod.module."),
        {"meta": {"mean": [1, 2]}, "state_dict": weights(), "optimizer": {"a": OPTIMIZER, "b": OPTIMIZER}},
        {"model": (shared := weights()), "state_dict": shared},
        {"opt": OPTIMIZER, "lr_scheduler": {"base": np.ones(2)}, "grad_scaler": {"a": np.ones(1)}, "x": weights()},
    ],
)
def test_the_one_mapping_of_tensors(checkpoint):
    assert taken(checkpoint) == 1


@pytest.mark.parametrize(
    "checkpoint, averaged, plain",
    [
        ({"model": weights(1), "model_ema": weights(2)}, "model_ema", "model"),  # torchvision's references
        ({"state_dict": weights(1), "state_dict_ema": weights(2, "module.")}, "state_dict_ema", "state_dict"),  # timm
        ({"ema": {"module": weights(2)}, "model": weights(1), "epoch": 3}, "ema.module", "model"),
        ({"swa_state_dict": weights(2), "state_dict": weights(1)}, "swa_state_dict", "state_dict"),
        ({**weights(1), "ema": weights(2)}, "ema", ""),
        ({**weights(1, "model."), **weights(2, "ema.")}, "ema", "model"),
        (  # ema_pytorch
            {"initted": np.array(True), **weights(1, "online_model.module."), **weights(2, "ema_model.module.")},
            "ema_model",
            "online_model",
        ),
    ],
)
def test_averaged_and_plain_weights(checkpoint, averaged, plain):
    with pytest.warns(WeightsChosen) as notes:
        assert taken(checkpoint) == 2
    assert repr(averaged) in str(notes[0].message) and repr(plain) in str(notes[0].message)
    assert taken(checkpoint, averaged) == 2
    assert taken(checkpoint, plain) == 1


def test_an_average_without_all_tensors_is_not_taken():
    # of the parameters alone, without batch norm's statistics
    checkpoint = {"model": weights(1), "ema": weights(2, names=[NAMES[0], NAMES[2]])}
    with pytest.warns(WeightsChosen, match="plain weights 'model'.*'ema' lacks bn1.running_mean"):
        assert taken(checkpoint) == 1


@pytest.mark.parametrize(
    "checkpoint, keys",
    [
        ({"student": weights(1), "teacher": weights(2)}, ["student", "teacher"]),
        ({**weights(1, "student."), **weights(2, "teacher.")}, ["student", "teacher"]),
        ({"model": weights(1), "best": {"state_dict": weights(2)}}, ["model", "best.state_dict"]),
        ({"model": weights(1), "model_ema": weights(2), "other\x1b": weights(3)}, ["model", "model_ema", r"other\x1b"]),
    ],
)
def test_several_sets_of_weights(checkpoint, keys):
    with pytest.raises(ValueError) as caught:
        named_arrays(checkpoint)
    assert all(f"{key} (3 tensors)" in str(caught.value) for key in keys) and "key" in str(caught.value)
    assert [taken(checkpoint, key) for key in keys[:2]] == [1, 2]
    with pytest.raises(ValueError) as caught:
        named_arrays(checkpoint, f"{keys[0]}s")
    assert f"did you mean {keys[0]}" in str(caught.value) and keys[1] in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_other_tensors_next_to_a_wrapped_network_are_named():
    with pytest.warns(WeightsChosen, match="criterion.weight"):
        assert taken({**weights(prefix="model."), "criterion.weight": np.ones(4, "float32")}) == 1


def test_mappings_that_contain_themselves_or_each_other_end():
    checkpoint = {"model": weights()}
    checkpoint["again"] = checkpoint
    for _ in range(60):  # 2**60 paths
        checkpoint = {"a": checkpoint, "b": checkpoint}
    with pytest.raises(ValueError, match="no tensors"):
        named_arrays(checkpoint)  # deeper than any checkpoint


def test_no_network_has_a_layer_with_the_name_of_a_wrapper():
    for source in SOURCES.values():
        for network in source.networks:
            firsts = {name.partition(".")[0] for name in source.tensor_names(get_model(network)).values()}
            assert firsts.isdisjoint(WRAPPERS) and len(firsts) > 1, network


def test_a_wrapper_of_any_name():
    # a LightningModule's own attribute
    state = source_weights("torchvision", "resnet18", num_classes=5)
    wrapped = {"state_dict": {f"my_resnet.module.{name}": array for name, array in state.items()}}
    net = get_model("resnet18", num_classes=5)
    assert convert.from_torchvision(wrapped, net).tensors == 102
    assert np.array_equal(net.fc.bias.data().asnumpy(), state["fc.bias"])
    names = list(SOURCES["torchvision"].tensor_names(net).values())
    shapes = {name: array.shape for name, array in wrapped["state_dict"].items()}
    assert convert.settings_in(names, shapes) == {"num_classes": 5, "in_channels": 3}


def test_files_and_loading_take_a_key(tmp_path):
    plain, averaged = (source_weights("torchvision", "resnet18", num_classes=n) for n in (3, 4))
    checkpoint = {"model": plain, "model_ema": averaged}
    with pytest.warns(WeightsChosen):
        convert.from_torchvision(checkpoint, get_model("resnet18", num_classes=4))
    convert.from_torchvision(checkpoint, get_model("resnet18", num_classes=3), key="model")
    path = tmp_path / "net.params"
    nd.save(
        str(path), {f"{key}.{name}": nd.array(array) for key in checkpoint for name, array in checkpoint[key].items()}
    )
    assert read_weights(path, "model")["fc.bias"].shape == (3,)
    with pytest.warns(WeightsChosen):
        assert read_weights(path)["fc.bias"].shape == (4,)


def test_control_characters_in_the_names_of_tensors_left_over():
    state = {**source_weights("torchvision", "resnet18", num_classes=3), "evil\x1b[2J.weight": np.ones(2, "float32")}
    with pytest.raises(ValueError) as caught:
        convert.from_torchvision(state, get_model("resnet18", num_classes=3))
    assert r"evil\x1b[2J.weight (2,)" in str(caught.value) and "\x1b" not in str(caught.value)
