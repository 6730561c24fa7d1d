"""Train one of the classic networks: python experiments/do_exp.py --net googlenet"""

import random
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from any folder, installed or not

import gluon_classics
import utils
from gluon_classics import data, devices, models, runtime, training

import mxnet as mx
import numpy as np
from mxnet import gluon, nd
from options import parse_args


def do_exp(args):
    """One run. Returns its exit status; raises ValueError for settings that do not work, before anything is written."""
    seed_everything(args.seed)
    device = devices.parse_gpus(args.gpus) if args.gpus is not None else [utils.try_gpu()]
    train_data, test_data, notes = load_data(args)

    images, classes = train_data.dataset.images, train_data.dataset.classes
    args.net_args = {**args.net_args, "num_classes": len(classes), "in_channels": images.shape[3]}
    net = models.get_model(args.net, **args.net_args)
    net.initialize(ctx=device, init=training.INITIALIZERS[args.init])
    show_one_image(net, train_data, device, args.verbose)
    if args.hybridize:
        net.hybridize(static_alloc=True, static_shape=True)

    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = gluon.Trainer(net.collect_params(), args.optimizer, args.optimizer_settings)

    run = open_run_folder(args, net, train_data, test_data, device, notes)
    try:
        utils.train(
            train_data,
            test_data,
            net,
            loss,
            trainer,
            device,
            args.epochs,
            args.print_batches,
            log=run.log,
            on_epoch_end=lambda record: run.end_of_epoch(record, net),
        )
    except KeyboardInterrupt:
        run.save_weights(net, "last")
        run.log(f"Stopped by Ctrl-C after {len(run.records)} whole epochs; the weights so far are in {run.path}")
        return 130
    except training.NonFiniteLoss as error:
        kept = f"the weights after epoch {run.records[-1].epoch} are kept" if run.records else "no epoch was finished"
        run.log(f"Stopped: {error}. A smaller --lr than {args.lr:g} may help. The run is in {run.path}; {kept}")
        return 2
    run.log(f"The run is in {run.path}")
    return 0


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    mx.random.seed(seed)


def load_data(args):
    """Training and test loader, and the notes for the log on what was not as asked."""
    notes = []
    try:
        train, test = data.load_dataset(args.dataset or "fashion-mnist", args.data_dir)
    except data.DatasetUnavailable as error:
        if args.dataset:
            raise
        train, test = data.load_dataset("fashion-mnist-sample")
        notes = [f"WARNING: {error}", f"WARNING: training on {train.name} instead: expect lower accuracies"]
    train = train.take(args.limit_train)
    if len(train) < args.batch_size:
        raise ValueError(f"--batch-size {args.batch_size} is more than the {len(train):,} training images: lower it")
    transform = data.ImageTransform(args.resize)
    return (
        data.DataLoader(train, args.batch_size, True, transform, seed=args.seed),
        data.DataLoader(test.take(args.limit_test), args.batch_size, False, transform),
        notes,
    )


def show_one_image(net, train_data, device, verbose):
    """Send one image through, which fixes the shapes of all weights; verbose prints the way it takes."""
    image, label = train_data.dataset[:1]
    if verbose:
        print(net)
    for i, each in enumerate(device):
        net.verbose = verbose and i == 0
        net(train_data.transform(image.as_in_context(each), nd.array(label, ctx=each))[0])
    net.verbose = False


def open_run_folder(args, net, train_data, test_data, device, notes):
    dataset = train_data.dataset.name
    own_name = f"{args.net}-{dataset}"
    run = training.new_run_folder("runs", own_name) if args.out is None else training.RunFolder(args.out)
    parameters = sum(p.data(device[0]).size for p in net.collect_params().values() if p.grad_req != "null")
    run.write_config(
        {
            **vars(args),
            "dataset": dataset,
            "data_folder": train_data.dataset.origin,
            "classes": train_data.dataset.classes,
            "train_images": len(train_data.dataset),
            "test_images": len(test_data.dataset),
            "parameters": parameters,
            "devices": [str(each) for each in device],
            "notes": notes,
            "versions": {"gluon_classics": gluon_classics.__version__, **asdict(runtime.describe())},
            "command": sys.argv,
        }
    )
    for note in notes:
        run.log(note)
    run.log(f"{args.net}: {parameters:,} parameters, input {args.resize}x{args.resize}")
    run.log(f"{len(train_data.dataset):,} training images of {dataset} in {train_data.dataset.origin}")
    run.log(f"batch {args.batch_size}, {args.optimizer} {args.optimizer_settings}")
    return run


def main(argv=None):
    """The exit status: 0, 2 for bad input or a loss that is not finite, 130 after Ctrl-C."""
    args = parse_args(argv)
    try:
        return do_exp(args)
    except ValueError as error:
        print(f"do_exp.py: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
