"""Make the balanced sample of Fashion-MNIST that ships with the package: python experiments/make_sample.py

It has the first 600 training images and the first 100 test images of each class, in the order of the files. Prints the
rows for FASHION_MNIST_SAMPLE in gluon_classics/data/formats/fashion_mnist.py.
"""

import argparse
import hashlib
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_classics.data.files import sources
from gluon_classics.data.files.verified import read_bytes
from gluon_classics.data.formats import idx
from gluon_classics.data.formats.fashion_mnist import FASHION_MNIST, SAMPLE_FOLDER

PER_CLASS = {"train": 600, "t10k": 100}


def first_of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the positions in `labels` (N,) of the first `count` of each class, ascending."""
    positions = [np.flatnonzero(labels == label)[:count] for label in np.unique(labels)]
    return np.sort(np.concatenate(positions))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", help="folder with the full data set")
    parser.add_argument("--out", type=Path, default=SAMPLE_FOLDER, help="default: %(default)s")
    args = parser.parse_args()

    raw = sources.find(FASHION_MNIST, args.data_dir)[1]
    args.out.mkdir(parents=True, exist_ok=True)
    for part, count in PER_CLASS.items():
        names = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
        images, labels = (idx.parse(raw[name], name, ndim) for name, ndim in zip(names, (3, 1)))
        chosen = first_of_each_class(labels, count)
        for name, array in zip(names, (images[chosen], labels[chosen])):
            path = args.out / f"{name}.gz"
            idx.write_idx(path, array)
            written = read_bytes(path, 2 * array.nbytes)
            print(f'    FileSpec("{name}", {len(written):_}, "{hashlib.sha256(written).hexdigest()}"),')


if __name__ == "__main__":
    main()
