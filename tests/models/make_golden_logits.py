"""Write golden_logits.npz: the references' logits for one image, with the weights of seeded_weights.py.

Run python tests/models/make_golden_logits.py with torch, torchvision and timm (requirements-reference.txt).
"""

import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parents[1])]

from seeded_weights import seeded_images  # noqa: E402
from torch_reference import REFERENCES, reference_model  # noqa: E402

# the image size: the paper's, or a smaller one if that would be slow; lite0's padding requires a multiple of 32
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
