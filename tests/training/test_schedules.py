"""Learning rates against formulas, and a new schedule against one that has run."""

import math

from gluon_classics.training.schedules import SCHEDULES, make_schedule

import mxnet as mx
import pytest
from mxnet import autograd, gluon, nd

LR, EPOCHS, BATCHES = 0.3, 8, 25
ALL = EPOCHS * BATCHES  # 200 updates


def rates(name, warmup_epochs=0.0):
    """Return the rates of updates 1 to ALL."""
    schedule = make_schedule(name, LR, EPOCHS, BATCHES, warmup_epochs)
    return [schedule(n) for n in range(1, ALL + 1)]


@pytest.mark.parametrize(
    "name, formula",
    [
        ("constant", lambda n: LR),
        ("step", lambda n: LR if n <= 100 else LR / 10 if n <= 150 else LR / 100),
        ("cosine", lambda n: LR * (1 + math.cos(math.pi * n / 200)) / 2),
        ("poly", lambda n: LR * (1 - n / 200) ** 2),
    ],
)
def test_curves(name, formula):
    assert rates(name) == pytest.approx([formula(n) for n in range(1, 201)], rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    "name, formula",
    [
        ("constant", lambda n: LR),
        ("step", lambda n: LR if n <= 100 else LR / 10 if n <= 150 else LR / 100),
        ("cosine", lambda n: LR * (1 + math.cos(math.pi * (n - 60) / 140)) / 2),
        ("poly", lambda n: LR * (1 - (n - 60) / 140) ** 2),
    ],
)
def test_curves_with_a_warm_up_of_60_updates(name, formula):
    expected = [LR * n / 60 for n in range(1, 60)] + [formula(n) for n in range(60, 201)]
    assert rates(name, warmup_epochs=2.4) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("warmup_epochs", [0.0, 1.5])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_built_anew_goes_on_bit_for_bit(name, warmup_epochs):
    for n, rate in enumerate(rates(name, warmup_epochs), 1):
        fresh = make_schedule(name, LR, EPOCHS, BATCHES, warmup_epochs)
        assert fresh(n) == rate, n


@pytest.mark.parametrize("epochs, batches", [(1, 1), (1, 2), (1, 3), (2, 2)])
@pytest.mark.parametrize("name", SCHEDULES)
def test_runs_of_a_few_updates(name, epochs, batches):
    schedule = make_schedule(name, LR, epochs, batches)
    assert all(0 <= schedule(n) <= LR for n in range(1, epochs * batches + 1))


def test_the_optimizer_uses_these_rates(capsys):
    # SGD on w with gradient 1 takes away the rate of each update; a rate other than the schedule's is printed as such
    weight = gluon.Parameter("w", shape=(1,), dtype="float64")
    weight.initialize(mx.init.Zero())
    schedule = make_schedule("cosine", LR, EPOCHS, BATCHES, 1.0)
    trainer = gluon.Trainer([weight], "sgd", {"learning_rate": LR, "lr_scheduler": schedule}, update_on_kvstore=False)
    seen = []
    for _ in range(ALL):
        before = weight.data().asscalar()
        with autograd.record():
            loss = (weight.data() * nd.ones(1, dtype="float64")).sum()
        loss.backward()
        trainer.step(1)
        seen.append(before - weight.data().asscalar())
    assert seen == pytest.approx(rates("cosine", 1.0), rel=1e-5, abs=1e-7)  # MXNet passes the rate as float32
    assert trainer.learning_rate == pytest.approx(0, abs=1e-12)
    assert capsys.readouterr().out == ""


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ValueError, match="unknown schedule 'cosin': did you mean cosine.*constant, step, cosine, poly"):
        make_schedule("cosin", LR, 1, 1)


@pytest.mark.parametrize("warmup_epochs", [8, 7.99, 9, -1])
def test_a_warm_up_that_leaves_no_update_is_refused(warmup_epochs):
    with pytest.raises(ValueError, match=rf"warm-up of {warmup_epochs} epochs does not fit into 8 epochs of 25"):
        make_schedule("cosine", LR, EPOCHS, BATCHES, warmup_epochs)
