"""Fashion-MNIST's table of files."""

from gluon_classics.data.formats.fashion_mnist import FASHION_MNIST


def test_the_table_is_the_published_one():
    """Sizes follow from the README's counts: 60,000 and 10,000 images of 28x28, headers of 16 and 8 bytes."""
    assert {spec.name: spec.size for spec in FASHION_MNIST.files} == {
        "train-images-idx3-ubyte": 16 + 60_000 * 784,
        "train-labels-idx1-ubyte": 8 + 60_000,
        "t10k-images-idx3-ubyte": 16 + 10_000 * 784,
        "t10k-labels-idx1-ubyte": 8 + 10_000,
    }
    assert all(len(bytes.fromhex(spec.sha256)) == 32 for spec in FASHION_MNIST.files)
