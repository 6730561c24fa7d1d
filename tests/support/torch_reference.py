"""The reference implementations in PyTorch: torchvision's, or timm's for networks that torchvision lacks."""

from gluon_classics.convert import SOURCES

import torch

from seeded_weights import seeded_array

TORCHVISION = SOURCES["torchvision"].networks
TIMM = {name: theirs for name, theirs in SOURCES["timm"].networks.items() if name not in TORCHVISION}
REFERENCES = [*TORCHVISION, *TIMM]


def import_torchvision():
    """Import torchvision even if its compiled operators, which no network here uses, do not match PyTorch."""
    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import_torchvision.keep = library  # the operators vanish with it
        import torchvision
    return torchvision


def build_reference(name, **kwargs):
    """Build the reference of our network `name`, with random weights."""
    torchvision = import_torchvision()  # timm imports it too
    if name in TIMM:
        import timm

        return timm.create_model(TIMM[name], pretrained=False, **kwargs)
    if name in ("inception_v1_bn", "inception_v3"):
        kwargs = {"init_weights": False, "aux_logits": False, **kwargs}
    return torchvision.models.get_model(TORCHVISION[name], weights=None, **kwargs)


def reference_model(name, **kwargs):
    """Build the reference of our network `name` in evaluation mode, with seeded weights."""
    model = build_reference(name, **kwargs)
    for tensor_name, tensor in model.state_dict().items():
        if not tensor_name.endswith("num_batches_tracked"):
            tensor.copy_(torch.from_numpy(seeded_array(tensor_name, tuple(tensor.shape))))
    return model.eval()
