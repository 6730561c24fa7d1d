"""Train one of the classic networks: python experiments/do_exp.py --net googlenet"""

import contextlib
import random
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from any folder, installed or not

import gluon_classics
import utils
from gluon_classics import devices, insight, models, runtime, training

import mxnet as mx
import numpy as np
from mxnet import gluon, nd
from options import apply_recipe, make_parser, optimizer_settings
from resume import find_run, given_flags, settings_of
from run_data import class_counts, load_data


def do_exp(args, stop, changes=()):
    """One run, or the rest of one. Returns its exit status; raises ValueError for settings that do not work."""
    seed_everything(args.seed)
    device = devices.parse_gpus(args.gpus) if args.gpus is not None else [utils.try_gpu()]
    training.check_dtype(args.dtype, device, args.force)
    if args.optimizer == "nadam" and len(device) > 1:
        raise ValueError("--optimizer nadam: MXNet lets the devices' weights drift apart; take adam, or one device")
    train_data, val_data, test_data, split, notes = load_data(args)
    images, classes = train_data.dataset.images, train_data.dataset.classes
    args.net_args = {**args.net_args, "num_classes": len(classes), "in_channels": images.shape[3]}
    trial = training.Trial(args.net, args.net_args, args.resize, args.batch_size, device)
    if args.dtype == "auto":
        args.dtype, why = training.choose_dtype(trial)
        notes.append(why)
    if args.auto_batch:
        args.accumulate, why = training.choose_accumulate(trial, args.dtype, args.accumulate)
        notes.append(why)
    training.enable_dtype(args.dtype)

    net = models.get_model(args.net, **args.net_args)
    net.initialize(ctx=device, init=training.INITIALIZERS[args.init])
    show_one_image(net, train_data, device, args.verbose)
    if args.hybridize:
        devices.hybridize(net, device)
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = make_trainer(args, net, len(train_data))
    smooth = training.LabelSmoothing(args.label_smoothing) if args.label_smoothing else loss
    step = training.Step(net, smooth, trainer, args.accumulate, args.clip, args.dtype)
    average = training.WeightAverage(net, args.ema) if args.ema else None

    run = open_run_folder(args, net, train_data, val_data, test_data, device, notes, changes)
    if split:
        run.write_text("split.json", split)
    checkpointer = training.Checkpointer(run, step, average, stop, args.checkpoint_batches, args.checkpoint_minutes)

    def on_epoch_end(record):
        with averaged(average):
            run.end_of_epoch(record, net)
        checkpointer.on_epoch_end(record)
        stop_early(run, args.patience)

    try:
        start = checkpointer.restore() if args.resume else None
        if start:
            run.log(f"Resumed after {start.batch} batches of epoch {start.epoch}")
            train_data.epoch = start.epoch
            stop_early(run, args.patience)
        utils.train(
            train_data,
            None if val_data or args.test_at_end else test_data,
            net,
            loss,
            trainer,
            device,
            args.epochs,
            args.print_batches,
            val_data=val_data,
            step=step,
            average=average,
            seed=args.seed if training.draws_random_numbers(net) else None,
            start=start,
            log=run.log,
            on_batch_end=checkpointer.on_batch_end,
            on_epoch_end=on_epoch_end,
        )
    except training.StopTraining:
        if stop.signal is not None:
            with averaged(average):
                run.save_weights(net, "last")
            name = "Ctrl-C" if stop.status == 130 else "SIGTERM"
            run.log(
                f"Stopped by {name} after {len(run.records)} whole epochs: do_exp.py --resume goes on with {run.path}"
            )
            return stop.status
    except ArithmeticError as error:  # NonFiniteLoss, NonFiniteWeights
        run.log(f"Stopped: {error}. A smaller --lr than {args.lr:g} may help, in a new run, or in this one with")
        run.log(f"--resume --force --lr {args.lr / 2:g} --out {run.path}: its last checkpoint is good")
        return 2
    finish(args, run, net, train_data, test_data, loss, device)
    return 0


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    mx.random.seed(seed)


def show_one_image(net, train_data, device, verbose):
    """Send one image through, which fixes the shapes of all weights; verbose prints the way it takes."""
    image, label = train_data.dataset[:1]
    if verbose:
        print(net)
    for i, each in enumerate(device):
        net.verbose = verbose and i == 0
        net(train_data.transform(image.as_in_context(each), nd.array(label, ctx=each))[0])
    net.verbose = False


def make_trainer(args, net, batches_per_epoch):
    if args.wd_weights_only:
        training.weight_decay_on_weights_only(net)
    schedule = training.make_schedule(args.schedule, args.lr, args.epochs, batches_per_epoch, args.warmup_epochs)
    settings = {**optimizer_settings(args), "lr_scheduler": schedule}
    return gluon.Trainer(net.collect_params(), args.optimizer, settings, update_on_kvstore=False)


def averaged(average):
    """The net holds the averaged weights inside, where there are some."""
    return average.applied() if average else contextlib.nullcontext()


def stop_early(run, patience):
    if patience and run.records and run.records[-1].epoch - run.best_record.epoch >= patience:
        run.log(f"Stopped early: no better validation accuracy for {patience} epochs")
        raise training.StopTraining


def open_run_folder(args, net, train_data, val_data, test_data, device, notes, changes):
    dataset = train_data.dataset.name
    if args.out is None:
        run = training.new_run_folder("runs", f"{args.net}-{dataset}", args.tensorboard)
    else:
        run = training.RunFolder(args.out, args.resume, args.tensorboard)
    parameters = sum(p.data(device[0]).size for p in net.collect_params().values() if p.grad_req != "null")
    config = {
        **vars(args),
        "dataset": dataset,
        "data_folder": train_data.dataset.origin,
        "classes": train_data.dataset.classes,
        "train_images": len(train_data.dataset),
        "val_images": len(val_data.dataset) if val_data else 0,
        "test_images": len(test_data.dataset),
        "class_counts": class_counts(train_data.dataset),
        "parameters": parameters,
        "devices": [str(each) for each in device],
        "notes": notes,
        "versions": {"gluon_classics": gluon_classics.__version__, **asdict(runtime.describe())},
        "command": sys.argv,
    }
    run.write_json("config", config)
    for note in notes:
        run.log(note)
    for change in changes:
        run.log(f"Resuming with another setting: {change}")
    run.log(f"{args.net}: {parameters:,} parameters, input {args.resize}x{args.resize}, {args.dtype}")
    run.log(f"{len(train_data.dataset):,} training images of {dataset} in {train_data.dataset.origin}")
    run.log(f"batch {args.batch_size}, {args.optimizer} {optimizer_settings(args)}, {args.schedule} learning rate")
    return run


def finish(args, run, net, train_data, test_data, loss, device):
    """The final accuracies, over the whole test set, of the best weights by validation, or else of the last ones."""
    test, classes = test_data.dataset, test_data.dataset.classes
    name = "best" if run.records[-1].val_acc is not None else "last"
    net.load_parameters(str(run.path / f"{name}.params"), ctx=device)
    labels, logits = training.predict(test_data, net, device)
    matrix = insight.confusion_matrix(labels, logits.argmax(axis=1), len(classes))
    insight.write_confusion(matrix, classes, run.path)
    accuracy = float((logits.argmax(axis=1) == labels).mean())
    run.log(insight.format_per_class(matrix, classes))
    run.log(f"Test acc {accuracy:.4f} with {name}.params, over {len(labels):,} images")
    run.write_json(
        "result",
        {
            "weights": f"{name}.params",
            "test_acc": accuracy,
            "test_loss": float(loss(nd.array(logits), nd.array(labels)).mean().asscalar()),
            "epochs": len(run.records),
            "seconds": sum(record.seconds for record in run.records),
        },
    )
    train_data.epoch = 0
    images, shown = next(iter(train_data))
    insight.draw_samples(images.asnumpy(), shown.asnumpy(), classes, run.path / "samples.png", args.mean, args.std)
    insight.draw_mistakes(test.images, labels, logits, classes, run.path / "mistakes.png", test.files)
    report = insight.write_report(run.path)
    run.log(f"The run is in {run.path}, and {report.name} there shows it")
    if args.open:
        insight.open_report(report, run.log)


def main(argv=None):
    """The exit status: 0; 2 for bad input or a loss that is not finite; 130 after Ctrl-C, 143 after SIGTERM; 1 for a
    disk that is full or cannot be written, and for too little memory."""
    parser = make_parser()
    args, changes = parser.parse_args(argv), []
    try:
        run = find_run(given_flags(parser, argv)) if args.resume else None
        if run and (run / "result.json").exists():
            print(f"{run} is finished: there is nothing to resume")
            return 0
        if run:
            args, changes = settings_of(run, given_flags(parser, argv), set(vars(args)))
        else:
            args.resume = False
            apply_recipe(args)
        with training.StopSignals() as stop:
            return do_exp(args, stop, changes)
    except ValueError as error:
        print(f"do_exp.py: error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"do_exp.py: error: {error}. Earlier checkpoints stand: mend it, and add --resume", file=sys.stderr)
        return 1
    except mx.MXNetError as error:
        if not training.out_of_memory(error):
            raise
        print(f"do_exp.py: error: {training.advice_on_memory(args.batch_size, args.accumulate)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
