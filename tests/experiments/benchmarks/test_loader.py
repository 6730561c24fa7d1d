import importlib

from gluon_classics.data import DataLoader, ImageTransform, load_dataset

import numpy as np


def test_both_sides_make_the_same_batches(experiments):
    TutorialLoader = importlib.import_module("benchmarks.tutorial_loader").TutorialLoader
    # the tutorial resizes in uint8, so its pixels are rounded to whole grey levels
    train = load_dataset("fashion-mnist-sample")[0].take(16)
    np.random.seed(0)
    tutorial, tutorial_labels = next(iter(TutorialLoader(train, 16, 56)))
    np.random.seed(0)
    order = np.arange(16)
    np.random.shuffle(order)
    ours, labels = next(iter(DataLoader(train, 16, False, ImageTransform(56))))
    difference = np.abs(tutorial.asnumpy() - ours.asnumpy()[order]) * 255
    assert difference.max() < 0.51 + 0.5  # OpenCV's integer arithmetic may round the other way
    assert difference.mean() < 0.26
    assert (tutorial_labels.asnumpy() == labels.asnumpy()[order]).all()


def test_medians_of_interleaved_turns(experiments):
    order = []
    figures = {"a": iter([9, 1, 5, 3]), "b": iter([9, 2, 2, 8])}

    def side(name):
        return lambda: order.append(name) or next(figures[name])

    interleaved = importlib.import_module("benchmarks.turns").interleaved
    assert interleaved({name: side(name) for name in figures}, repeats=3) == {"a": 3, "b": 2}
    assert order == ["a", "b"] * 4
