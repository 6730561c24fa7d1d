"""The reference implementations, in PyTorch: torchvision's, timm's, and EfficientNet-Lite's original."""

import torch

from seeded_weights import seeded_array

TIMM = {
    "inception_v4": "inception_v4",
    "inception_resnet_v2": "inception_resnet_v2",
    "xception": "legacy_xception",
    "efficientnet_lite0": "tf_efficientnet_lite0",
}
TORCHVISION = {
    "alexnet_owt": "alexnet",
    "inception_v1_bn": "googlenet",
    "inception_v3": "inception_v3",
    "resnext50_32x4d": "resnext50_32x4d",
    **{f"vgg{n}{bn}": f"vgg{n}{bn}" for n in (11, 13, 16, 19) for bn in ("", "_bn")},
    **{f"resnet{n}": f"resnet{n}" for n in (18, 34, 50, 101, 152)},
    **{f"efficientnet_b{n}": f"efficientnet_b{n}" for n in range(8)},
}
REFERENCES = [*TORCHVISION, *TIMM]


def import_torchvision():
    """torchvision, also where its compiled operators, none of which a network here uses, do not fit the PyTorch."""
    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import_torchvision.keep = library
        import torchvision
    return torchvision


def build_reference(name, **kwargs):
    """The reference of our network `name`, with its own random weights."""
    torchvision = import_torchvision()  # timm imports it, too
    if name in TIMM:
        import timm

        return timm.create_model(TIMM[name], pretrained=False, **kwargs)
    if name in ("inception_v1_bn", "inception_v3"):
        kwargs = {"init_weights": False, "aux_logits": False, **kwargs}
    return torchvision.models.get_model(TORCHVISION[name], weights=None, **kwargs)


def reference_model(name, **kwargs):
    """The reference of our network `name`, in evaluation, filled with seeded weights."""
    model = build_reference(name, **kwargs)
    for tensor_name, tensor in model.state_dict().items():
        if not tensor_name.endswith("num_batches_tracked"):
            tensor.copy_(torch.from_numpy(seeded_array(tensor_name, tuple(tensor.shape))))
    return model.eval()
