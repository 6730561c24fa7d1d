"""Make, read and damage small checkpoints."""

from gluon_classics.training.checkpoint_files import Checkpoint

from mxnet import nd

FILES = ["manifest.json", "manifest.json.sha256", "optimizer.params", "state.json", "weights.params"]


def filled(value, epoch=1, batch=0, **arrays):
    weights = {"features.0.weight": nd.full((3, 4), value), "features.0.bias": nd.full((3,), value)}
    optimizer = {"0": nd.full((3, 4), value), "1": nd.full((3,), value)}
    state = {"epoch": epoch, "batch": batch, "sums": {"loss": 0.1}, "best": None}
    return Checkpoint({"weights": weights, "optimizer": optimizer, **arrays}, state)


def value_of(checkpoint):
    return checkpoint and checkpoint.arrays["weights"]["features.0.bias"].asnumpy().tolist()[0]


def silent(line):
    raise AssertionError(line)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def damage(path, name="weights.params"):
    """Flip one bit in the middle of a file."""
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (path / name).write_bytes(bytes(content))
