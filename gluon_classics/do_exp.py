"""One training run, as experiments/do_exp.py starts it: the tutorial's steps, with this project's settings."""

from __future__ import annotations

from gluon_classics import devices, insight, models, training
from gluon_classics.training import ALONE, Resumed, StopSignals, Workers
from gluon_classics.training.config import RunConfig

from mxnet import gluon


def do_exp(config: RunConfig, stop: StopSignals, resumed: Resumed | None = None, workers: Workers = ALONE) -> int:
    """Train a network and report on it, or continue the run `resumed`. Returns the exit status.

    Raises ValueError for settings that do not work.
    """
    training.seed_everything(config.seed)
    device = workers.devices(config.gpus)
    training.check_settings(config, device, workers)

    data = training.load_data(config, workers)
    found = training.find_out(config, data, device, workers)
    training.enable_dtype(found.dtype)

    net = models.get_model(config.net, **found.net_args)
    net.initialize(ctx=device, init=training.INITIALIZERS[config.init])
    training.show_one_image(net, data.train, device, config.verbose)
    if config.hybridize:
        devices.hybridize(net, device)

    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = training.make_trainer(config, net, len(data.train), workers)
    step = training.make_step(config, found, net, loss, trainer, workers)

    run = training.open_run(config, data.train.dataset.name, workers)
    callbacks = training.make_callbacks(config, run, step, data.train, stop)
    start = training.continue_from(callbacks, config, resumed)
    training.write_config(run, config, found, data, net, device, resumed, workers)
    try:
        training.train(
            data.train, data.evaluated, net, loss, trainer, device, config.epochs, None, step, callbacks, start
        )
        insight.report(run, config, found, data, net, loss, device, callbacks.checkpointer.check_stop, workers)
    except (training.StopTraining, training.NonFiniteLoss, training.NonFiniteWeights) as reason:
        return training.say_why(reason, callbacks, config, stop, workers)
    return 0
