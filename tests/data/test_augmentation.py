"""Crop, flip and erasing, compared with NumPy's pad, slices and [::-1]; the draws, with the papers' ranges."""

from gluon_classics.data import DataLoader, ImageDataset, ImageTransform, load_dataset
from gluon_classics.data.augmentation import AugmentedTransform

import mxnet as mx
import numpy as np
import pytest
from mxnet import gluon, nd


def images(n, height=28, width=28, channels=1):
    return np.random.RandomState(1).randint(0, 256, (n, height, width, channels)).astype("uint8")


def moved_by_hand(batch, choices, crop):
    """Pad with zeros, crop and mirror image by image."""
    height, width = batch.shape[1:3]
    padded = np.pad(batch, ((0, 0), (crop, crop), (crop, crop), (0, 0)))
    cut = [image[top : top + height, left : left + width] for image, (top, left) in zip(padded, choices[:, :2])]
    return np.stack([image[:, ::-1] if flip else image for image, flip in zip(cut, choices[:, 2])])


def erased_by_hand(planes, choices):
    planes = planes.copy()
    for image, (top, left, bottom, right) in zip(planes, choices[:, 3:]):
        image[:, top:bottom, left:right] = 0
    return planes


def run(transform, batch, choices=None, ctx=None):
    choices = [] if choices is None else [nd.array(choices, ctx=ctx, dtype="int32")]
    x, y = transform(nd.array(batch, ctx=ctx, dtype="uint8"), nd.arange(len(batch), ctx=ctx), *choices)
    assert (y.asnumpy() == np.arange(len(batch))).all() and y.dtype == np.float32
    return x.asnumpy()


SHAPES = [(28, 28, 1), (28, 28, 3), (7, 12, 1), (12, 7, 3)]


@pytest.mark.parametrize("resize", [None, 28, 20, 41])
@pytest.mark.parametrize("height, width, channels", SHAPES)
def test_every_crop_and_flip_equals_numpys(height, width, channels, resize):
    crop = 4
    places = [(top, left, flip) for top in range(9) for left in range(9) for flip in range(2)]
    choices = np.zeros((len(places), 7), int)
    choices[:, :3] = places
    batch = images(len(places), height, width, channels)
    got = run(AugmentedTransform(resize, crop=crop, flip=True), batch, choices)
    expected = run(ImageTransform(resize), moved_by_hand(batch, choices, crop))
    assert got.shape == (162, channels, resize or height, resize or width)
    assert (got == expected).all()


@pytest.mark.parametrize("crop, flip", [(0, True), (3, False), (0, False)])
def test_crop_or_flip_alone(crop, flip):
    transform = AugmentedTransform(crop=crop, flip=flip)
    choices = transform.draw(50, 9, 9, np.random.RandomState(0))
    batch = images(50, 9, 9, 3)
    expected = run(ImageTransform(), moved_by_hand(batch, choices, crop))
    assert (run(transform, batch, choices) == expected).all()
    assert (expected == run(ImageTransform(), batch)).all() == (not crop and not flip)


@pytest.mark.parametrize("resize", [None, 20])
@pytest.mark.parametrize("height, width, channels", SHAPES)
def test_erases_only_the_rectangle_in_every_channel(height, width, channels, resize):
    transform = AugmentedTransform(resize, 0.4, 0.2, erase=0.7)
    choices = transform.draw(40, height, width, np.random.RandomState(3))
    batch = images(40, height, width, channels)
    plain = run(ImageTransform(resize, 0.4, 0.2), batch)
    got = run(transform, batch, choices)
    assert (got == erased_by_hand(plain, choices)).all()
    areas = (choices[:, 5] - choices[:, 3]) * (choices[:, 6] - choices[:, 4])
    assert ((got == 0).sum(axis=(1, 2, 3)) >= areas * channels).all() and 15 < (areas > 0).sum() < 40


def test_the_padding_is_black_before_the_normalisation():
    choices = np.zeros((1, 7), int)  # the upper left corner: 2 rows and 2 columns of padding
    transform = AugmentedTransform(None, [0.1, 0.2, 0.3], [0.5, 0.25, 0.5], crop=2)
    got = run(transform, np.full((1, 6, 6, 3), 255, "uint8"), choices)
    assert got[0, :, 0, 0] == pytest.approx([-0.2, -0.8, -0.6])  # (0 - mean) / std
    assert got[0, :, 5, 5] == pytest.approx([1.8, 3.2, 1.4])  # (1 - mean) / std


def test_without_choices_it_is_the_plain_transform():
    batch = images(3)
    transform = AugmentedTransform(20, 0.3, 0.3, crop=4, flip=True, erase=1.0)
    assert (run(transform, batch) == run(ImageTransform(20, 0.3, 0.3), batch)).all()


@pytest.mark.parametrize("resize", [None, 40])
def test_the_same_pixels_on_every_device_and_for_every_split(resize):
    transform = AugmentedTransform(resize, 0.3, 0.3, crop=4, flip=True, erase=0.5)
    batch, choices = images(21), transform.draw(21, 28, 28, np.random.RandomState(0))
    whole = run(transform, batch, choices, mx.cpu(0))
    assert (run(transform, batch, choices, mx.cpu(1)) == whole).all()
    arrays = nd.array(batch, dtype="uint8"), nd.arange(21), nd.array(choices, dtype="int32")
    for devices in ([mx.cpu(0), mx.cpu(1)], [mx.cpu(1)] * 4):
        slices = zip(*(gluon.utils.split_and_load(each, devices, even_split=False) for each in arrays))
        parts = [transform(*each)[0] for each in slices]
        assert [part.context for part in parts] == devices
        assert (np.concatenate([part.asnumpy() for part in parts]) == whole).all()


# The draws


def draws(n=20_000, height=28, width=28, seed=0, **settings):
    return AugmentedTransform(**settings).draw(n, height, width, np.random.RandomState(seed))


def test_offsets_are_uniform_and_half_of_the_images_are_flipped():
    choices = draws(crop=4, flip=True)
    assert choices.shape == (20_000, 7) and choices.dtype == np.int32
    for column in (0, 1):
        counts = np.bincount(choices[:, column], minlength=9)
        assert len(counts) == 9
        # chi-squared with 8 degrees of freedom: above 26.1 for one seed in a thousand
        assert ((counts - 20_000 / 9) ** 2 / (20_000 / 9)).sum() < 26.1
    assert set(choices[:, 2]) == {0, 1}
    assert abs(choices[:, 2].mean() - 0.5) < 0.012  # 3.3 standard deviations of sqrt(1/4 / 20,000)
    assert abs(np.corrcoef(choices[:, :3].T) - np.eye(3)).max() < 0.025  # independent of each other
    assert (choices[:, 3:] == 0).all()


def test_only_what_is_enabled_is_drawn():
    assert (draws(1000) == 0).all()
    assert (draws(1000, flip=True)[:, [0, 1, 3, 4, 5, 6]] == 0).all()


@pytest.mark.parametrize("resize, height, width", [(None, 224, 224), (224, 28, 28), (None, 120, 300)])
def test_rectangles_have_the_share_and_the_ratio_of_the_paper(resize, height, width):
    top, left, bottom, right = draws(resize=resize, height=height, width=width, erase=1.0)[:, 3:].T
    if resize:
        height = width = resize
    assert (top >= 0).all() and (left >= 0).all() and (bottom <= height).all() and (right <= width).all()
    tall, wide = bottom - top, right - left
    drawn = tall > 0
    assert drawn.all() and (wide > 0).all()  # ten draws that do not fit are one in a million here
    share = tall * wide / (height * width)
    # 0.02 to 0.33, and 0.3 to 3.3; sides are rounded to whole pixels
    edge = (tall + wide) / 2 / (height * width) + 1e-4
    assert (share > 0.02 - edge).all() and (share < 0.33 + edge).all()
    assert share.min() < 0.025 and share.max() > 0.32
    assert ((tall + 0.5) / (wide - 0.5) > 0.3).all() and ((tall - 0.5) / (wide + 0.5) < 3.3).all()
    if height == width:
        assert abs(share.mean() - 0.175) < 0.005  # uniform; few are too long for the image
        assert abs(np.log(tall / wide).mean()) < 0.03  # the logarithm of the ratio is uniform around 0
    assert (top == 0).any() and (bottom == height).any() and (left == 0).any() and (right == width).any()


def test_the_probability_of_erasing():
    erased = (draws(erase=0.3)[:, 5] > 0).mean()
    assert abs(erased - 0.3) < 0.011  # 3.3 standard deviations of sqrt(0.3 x 0.7 / 20,000)


def test_nothing_is_erased_if_no_rectangle_fits():
    assert (draws(100, height=1, width=1, erase=1.0) == 0).all()  # one pixel would be the complete image


def test_the_draws_depend_only_on_the_random_state():
    settings = {"crop": 2, "flip": True, "erase": 0.5}
    np.random.seed(5)
    first = draws(100, **settings)
    np.random.seed(6)
    assert (draws(100, **settings) == first).all()
    assert (draws(100, seed=1, **settings) != first).any()


# With the loader


def loader(seed=0, resize=None, **part):
    train, _ = load_dataset("fashion-mnist-sample")
    transform = AugmentedTransform(resize, 0.29, 0.35, crop=4, flip=True, erase=0.5)
    return DataLoader(train.take(200), 64, True, transform, last_batch="keep", seed=seed, **part)


def test_iterating_equals_raw_batches_with_their_choices():
    first, second = loader(resize=20), loader(resize=20)
    for _ in range(2):
        whole = [(x.asnumpy(), y.asnumpy()) for x, y in first]
        assert len(whole) == 4
        for i, (images_, labels) in enumerate(second.raw_batches()):
            x, y = second.transform(images_, labels, second.random_choices(i))
            assert (x.asnumpy() == whole[i][0]).all() and (y.asnumpy() == whole[i][1]).all()
            assert (x.asnumpy() != second.transform(images_, labels)[0].asnumpy()).any()


def test_pixels_depend_only_on_seed_epoch_and_batch():
    one = loader()
    epochs = [[x.asnumpy() for x, _ in one] for _ in range(2)]
    again = loader()
    again.epoch = 1
    assert all((x.asnumpy() == expected).all() for (x, _), expected in zip(again, epochs[1]))
    assert (epochs[0][0] != epochs[1][0]).any()
    assert (next(iter(loader(seed=1)))[0].asnumpy() != epochs[0][0]).any()


def test_another_batch_another_epoch_and_another_seed_have_other_choices():
    one, other = loader(), loader(seed=1)
    rows = [
        loader_.random_choices(batch, epoch).asnumpy().tolist()
        for loader_ in (one, other)
        for epoch in range(2)
        for batch in range(3)
    ]
    assert all(rows.count(each) == 1 for each in rows)
    assert one.random_choices(2, 1).asnumpy().tolist() == rows[5]


def test_the_choices_are_those_of_the_epoch_being_iterated():
    one = loader()
    batches = one.raw_batches()
    next(batches)
    assert (one.random_choices(1).asnumpy() == one.random_choices(1, 0).asnumpy()).all()
    next(one.raw_batches(2))
    assert (one.random_choices(1).asnumpy() == one.random_choices(1, 1).asnumpy()).all()
    one.epoch = 7  # of the next iteration
    assert (one.random_choices(1).asnumpy() == one.random_choices(1, 1).asnumpy()).all()


def test_parts_have_the_choices_of_the_complete_batch():
    whole = loader().random_choices(1, 3).asnumpy()
    parts = [loader(num_parts=3, part_index=i).random_choices(1, 3).asnumpy() for i in range(3)]
    assert (np.concatenate(parts) == whole).all()


def test_two_simultaneous_iterations_keep_their_epochs():
    one, two = loader(), loader()
    apart = [[x.asnumpy() for x, _ in two] for _ in range(2)]
    for i, ((x, _), (z, _)) in enumerate(zip(one, one)):
        assert (x.asnumpy() == apart[0][i]).all() and (z.asnumpy() == apart[1][i]).all()


def test_a_transform_without_draw_gets_no_choices():
    data = ImageDataset(images(5), np.zeros(5, int), ["a"], "five")
    for transform in (None, ImageTransform()):
        assert DataLoader(data, 2, True, transform).random_choices(0) is None


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"crop": -1}, "crop is -1"),
        ({"erase": 1.5}, "erase is 1.5, but a probability is 0 to 1"),
        ({"erase": -0.1}, "erase is -0.1"),
        ({"std": 0}, "std is 0"),
        ({"resize": 0}, "resize is 0"),
    ],
)
def test_refuses_invalid_settings(settings, words):
    with pytest.raises(ValueError, match=words):
        AugmentedTransform(**settings)


def test_refuses_a_crop_that_may_leave_nothing_and_choices_for_another_batch():
    with pytest.raises(ValueError, match="crop is 9, but must be less than the 9x12 pixels"):
        draws(3, 9, 12, crop=9)
    draws(3, 9, 12, crop=8)
    with pytest.raises(ValueError, match=r"not \(2, 7\), for 3 images"):
        run(AugmentedTransform(crop=1), images(3), np.zeros((2, 7)))
