"""ResNet and ResNeXt compared with their papers' tables, and properties of all residual networks and EfficientNets.

All tests only read the graph.
"""

from gluon_classics.models import model_info

import numpy as np
import pytest

from graphs import built, child, convolutions, nodes, operators, shapes

NETWORKS = {  # input size, parameters
    "resnet18": (224, 11_689_512),
    "resnet34": (224, 21_797_672),
    "resnet50": (224, 25_557_032),
    "resnet101": (224, 44_549_160),
    "resnet152": (224, 60_192_808),
    "resnext50_32x4d": (224, 25_028_904),
    "efficientnet_b0": (224, 5_288_548),
    "efficientnet_b1": (240, 7_794_184),
    "efficientnet_b2": (260, 9_109_994),
    "efficientnet_b3": (300, 12_233_232),
    "efficientnet_b4": (380, 19_341_616),
    "efficientnet_b5": (456, 30_389_784),
    "efficientnet_b6": (528, 43_040_704),
    "efficientnet_b7": (600, 66_347_960),
    "efficientnet_lite0": (224, 4_652_008),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_exact_parameter_count_and_input(name):
    size, count = NETWORKS[name]
    assert model_info(name).input_shape == (3, size, size)
    parameters = built(name)._collect_params_with_prefix().values()
    assert sum(int(np.prod(p.shape)) for p in parameters if p.grad_req != "null") == count


@pytest.mark.parametrize("name", NETWORKS)
def test_node_names_are_unique(name):
    names = [node["name"] for node in nodes(name)]
    assert len(set(names)) == len(names)


# Table 1 of ResNet's paper: the number of residual blocks in conv2_x to conv5_x
@pytest.mark.parametrize(
    "name, blocks, expansion",
    [
        ("resnet18", (2, 2, 2, 2), 1),
        ("resnet34", (3, 4, 6, 3), 1),
        ("resnet50", (3, 4, 6, 3), 4),
        ("resnet101", (3, 4, 23, 3), 4),
        ("resnet152", (3, 8, 36, 3), 4),
        ("resnext50_32x4d", (3, 4, 6, 3), 4),
    ],
)
def test_resnets_table_1(name, blocks, expansion):
    expected = {
        "conv1": (64, 112, 112),
        "maxpool": (64, 56, 56),
        "layer1": (64 * expansion, 56, 56),
        "layer2": (128 * expansion, 28, 28),
        "layer3": (256 * expansion, 14, 14),
        "layer4": (512 * expansion, 7, 7),
        "avgpool": (512 * expansion, 1, 1),
        "fc": (1000,),
    }
    assert {stage: after for stage, (_, after) in shapes(name, expected).items()} == expected
    assert tuple(len(child(built(name), f"layer{i}")) for i in (1, 2, 3, 4)) == blocks
    # the number in the name counts the convolutions and the dense layer, but not the projections
    projections = 3 if expansion == 1 else 4
    digits = "".join(c for c in name.split("_")[0] if c.isdigit())
    assert len(convolutions(name)) - projections + len(operators(name, "FullyConnected")) == int(digits)
    assert len(operators(name, "BatchNorm")) == len(convolutions(name))
    assert len(operators(name, "elemwise_add")) == sum(blocks)
    pool, last = operators(name, "Pooling")
    assert [pool[key] for key in ("pool_type", "kernel", "stride", "pad", "pooling_convention")] == [
        "max",
        "(3, 3)",
        "(2, 2)",
        "(1, 1)",
        "valid",
    ]
    assert (last["pool_type"], last["global_pool"]) == ("avg", "True")


# the stride is in the first block's first 3x3 convolution and in its projection
HALVING = {
    "resnet18": [
        (128, 3, 2, 1, 1),
        (128, 1, 2, 0, 1),
        (256, 3, 2, 1, 1),
        (256, 1, 2, 0, 1),
        (512, 3, 2, 1, 1),
        (512, 1, 2, 0, 1),
    ],
    "resnet50": [
        (128, 3, 2, 1, 1),
        (512, 1, 2, 0, 1),
        (256, 3, 2, 1, 1),
        (1024, 1, 2, 0, 1),
        (512, 3, 2, 1, 1),
        (2048, 1, 2, 0, 1),
    ],
    "resnext50_32x4d": [
        (256, 3, 2, 1, 32),
        (512, 1, 2, 0, 1),
        (512, 3, 2, 1, 32),
        (1024, 1, 2, 0, 1),
        (1024, 3, 2, 1, 32),
        (2048, 1, 2, 0, 1),
    ],
}


HALVING["resnet34"], HALVING["resnet101"], HALVING["resnet152"] = (HALVING[f"resnet{n}"] for n in (18, 50, 50))


@pytest.mark.parametrize("name", HALVING)
def test_position_of_strides(name):
    assert [row for row in convolutions(name) if row[2] == 2] == [(64, 7, 2, 3, 1), *HALVING[name]]


@pytest.mark.parametrize(
    "name, expected",
    [
        ("resnet18", ["layer2.0", "layer3.0", "layer4.0"]),
        ("resnet34", ["layer2.0", "layer3.0", "layer4.0"]),
        ("resnet50", ["layer1.0", "layer2.0", "layer3.0", "layer4.0"]),
        ("resnet152", ["layer1.0", "layer2.0", "layer3.0", "layer4.0"]),
        ("resnext50_32x4d", ["layer1.0", "layer2.0", "layer3.0", "layer4.0"]),
    ],
)
def test_position_of_projections(name, expected):
    names = built(name)._collect_params_with_prefix()
    found = [n for n in names if ".downsample." in n and n.endswith("weight")]
    assert found == [f"{block}.downsample.0.weight" for block in expected]


def test_order_of_layers_in_a_bottleneck():
    assert convolutions("resnet50")[1:8] == [
        (64, 1, 1, 0, 1),
        (64, 3, 1, 1, 1),
        (256, 1, 1, 0, 1),
        (256, 1, 1, 0, 1),  # the projection
        (64, 1, 1, 0, 1),
        (64, 3, 1, 1, 1),
        (256, 1, 1, 0, 1),
    ]


def test_resnext_has_32_groups_of_4_8_16_and_32_channels():
    grouped = [row for row in convolutions("resnext50_32x4d") if row[4] > 1]
    assert [(channels // groups, groups) for channels, _, _, _, groups in grouped] == (
        [(4, 32)] * 3 + [(8, 32)] * 4 + [(16, 32)] * 6 + [(32, 32)] * 3
    )


@pytest.mark.parametrize(
    "name, epsilon, momentum",
    [
        *((f"resnet{n}", 1e-5, 0.9) for n in (18, 50)),
        ("resnext50_32x4d", 1e-5, 0.9),
        *((f"efficientnet_b{n}", 1e-5, 0.9) for n in range(5)),
        *((f"efficientnet_b{n}", 1e-3, 0.99) for n in (5, 6, 7)),
        ("efficientnet_lite0", 1e-3, 0.99),
    ],
)
def test_batch_norms_and_their_epsilon(name, epsilon, momentum):
    found = operators(name, "BatchNorm")
    assert {float(attrs["eps"]) for attrs in found} == {epsilon}
    assert {float(attrs["momentum"]) for attrs in found} == {momentum}
    assert {attrs["fix_gamma"] for attrs in found} == {"False"}
    # one after each convolution, none of which has a bias; squeeze-and-excite's two convolutions have a bias instead
    excited = len(operators(name, "broadcast_mul"))
    assert excited == (sum(len(stage) for stage in list(built(name).features)[1:8]) if "_b" in name else 0)
    biases = [attrs["no_bias"] for attrs in operators(name, "Convolution")]
    assert (biases.count("True"), biases.count("False")) == (len(found), 2 * excited)


@pytest.mark.parametrize(
    "name, expected",
    [
        (
            "resnet18",
            {
                "conv1.weight": (64, 3, 7, 7),
                "bn1.gamma": (64,),
                "layer1.1.conv2.weight": (64, 64, 3, 3),
                "layer2.0.downsample.0.weight": (128, 64, 1, 1),
                "layer2.0.downsample.1.running_mean": (128,),
            },
        ),
        (
            "resnet50",
            {
                "layer1.0.conv3.weight": (256, 64, 1, 1),
                "layer1.0.downsample.1.running_var": (256,),
                "layer4.2.bn3.beta": (2048,),
                "fc.weight": (1000, 2048),
                "fc.bias": (1000,),
            },
        ),
        (
            "resnext50_32x4d",
            {"layer1.0.conv2.weight": (128, 4, 3, 3), "layer4.0.downsample.0.weight": (2048, 1024, 1, 1)},
        ),
        (
            "efficientnet_b0",
            {
                "features.0.0.weight": (32, 3, 3, 3),
                "features.1.0.block.0.0.weight": (32, 1, 3, 3),
                "features.1.0.block.1.fc1.weight": (8, 32, 1, 1),
                "features.1.0.block.2.1.gamma": (16,),
                # squeezed to a quarter of the block's input channels, not of the expanded ones
                "features.2.0.block.2.fc1.weight": (4, 96, 1, 1),
                "features.2.0.block.2.fc2.bias": (96,),
                "features.6.3.block.3.0.weight": (192, 1152, 1, 1),
                "features.8.1.running_var": (1280,),
                "classifier.1.weight": (1000, 1280),
            },
        ),
        (
            "efficientnet_lite0",
            {
                "conv_stem.weight": (32, 3, 3, 3),
                "bn1.gamma": (32,),
                "blocks.0.0.conv_dw.weight": (32, 1, 3, 3),
                "blocks.0.0.conv_pw.weight": (16, 32, 1, 1),
                "blocks.0.0.bn2.beta": (16,),
                "blocks.1.0.conv_pw.weight": (96, 16, 1, 1),
                "blocks.2.1.conv_dw.weight": (240, 1, 5, 5),
                "blocks.5.3.conv_pwl.weight": (192, 1152, 1, 1),
                "blocks.6.0.bn3.running_mean": (320,),
                "conv_head.weight": (1280, 320, 1, 1),
                "bn2.running_var": (1280,),
                "classifier.bias": (1000,),
            },
        ),
    ],
)
def test_weights_are_named_as_in_the_reference(name, expected):
    parameters = built(name)._collect_params_with_prefix()
    assert {n: parameters[n].shape for n in expected} == expected
