"""Make golden_logits.npz: what the references answer to one image, with weights by formula (seeded_weights.py).

python tests/models/make_golden_logits.py, where torch, torchvision and timm are installed (requirements-reference.txt).
"""

import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parents[1])]

from seeded_weights import seeded_images  # noqa: E402
from torch_reference import REFERENCES, reference_model  # noqa: E402

# the size at which the image is shown: the paper's, or less where that would take long; lite0's padding wants 32s
SIZES = {name: 224 for name in REFERENCES} | {
    "inception_v3": 299,
    "inception_v4": 299,
    "inception_resnet_v2": 299,
    "xception": 299,
}

if __name__ == "__main__":
    golden = {}
    for name in REFERENCES:
        with torch.no_grad():
            golden[f"{name}@{SIZES[name]}"] = reference_model(name)(
                torch.from_numpy(seeded_images(1, 3, SIZES[name]))
            ).numpy()
        print(name, golden[f"{name}@{SIZES[name]}"].std())
    np.savez(HERE / "golden_logits.npz", **golden)
