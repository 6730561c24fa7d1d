"""Train one of the classic networks: python experiments/do_exp.py --net googlenet"""

import os
import random
import sys
from argparse import Namespace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from any folder, installed or not

import utils
from gluon_classics import devices, insight, models, training

import mxnet as mx
import numpy as np
from mxnet import gluon, nd
from options import apply_recipe, make_parser, optimizer_settings
from resume import (
    OF_THE_MACHINE,
    Resumed,
    commit,
    find_run,
    given_flags,
    is_finished,
    settings_of,
    versions,
    versions_that_must_agree,
)
from run_data import class_counts, fingerprint, load_data


def do_exp(args, stop, resumed=None, workers=training.ALONE):
    """One run, or the rest of one. Returns its exit status; raises ValueError for settings that do not work."""
    seed_everything(args.seed)
    if args.batch_size % workers.size:
        less = max(args.batch_size // workers.size, 1) * workers.size
        take = f"{less}, or {less + workers.size}"
        problem = f"--batch-size {args.batch_size} cannot be divided among {workers.size} workers: take {take}"
        raise training.SharedError(problem)
    device = workers.devices(args.gpus)
    training.check_dtype(args.dtype, device, args.force or args.resume)
    if args.optimizer == "nadam" and len(device) > 1:
        raise ValueError("--optimizer nadam: MXNet lets the devices' weights drift apart; take adam, or one device")
    loaded = load_data(args, workers)
    train_data, val_data, test_data, split, notes = loaded
    workers.must_agree("data", lambda: fingerprint(loaded))
    images, classes = train_data.dataset.images, train_data.dataset.classes
    args.net_args = {**args.net_args, "num_classes": len(classes), "in_channels": images.shape[3]}
    notes += try_out(args, device, workers)
    for each in filter(None, (val_data, test_data)):  # no more images at a time than in training
        each.batch_size = -(-args.batch_size // args.accumulate)
    training.enable_dtype(args.dtype)

    net = models.get_model(args.net, **args.net_args)
    net.initialize(ctx=device, init=training.INITIALIZERS[args.init])
    show_one_image(net, train_data, device, args.verbose)
    if args.hybridize:
        devices.hybridize(net, device)
    loss = gluon.loss.SoftmaxCrossEntropyLoss()
    trainer = make_trainer(args, net, len(train_data), workers)
    smooth = training.LabelSmoothing(args.label_smoothing) if args.label_smoothing else loss
    step = training.Step(net, smooth, trainer, args.accumulate, args.clip, args.dtype, workers)
    average = training.WeightAverage(net, args.ema) if args.ema else None

    run = open_run_folder(args, train_data.dataset.name, workers)
    checkpointer = training.Checkpointer(
        run, step, average, stop, args.checkpoint_batches, args.checkpoint_minutes, workers
    )
    start = checkpointer.restore() if resumed else None
    if start and not resumed.same_batches:
        start = training.Progress(start.epoch)
    if start and (start.epoch, start.batch) > (args.epochs, 0):
        raise ValueError(f"--epochs {args.epochs}: {run.path} is in its epoch {start.epoch + 1} already; name more")
    write_config(run, args, net, train_data, val_data, test_data, device, notes, resumed, workers)
    if split:
        run.write_text("split.json", split)
    if resumed:
        run.log(f"Resumed after {start.batch} batches of epoch {start.epoch}" if start else "No checkpoint: begun anew")

    def on_epoch_end(record):
        checkpointer.on_epoch_end(record)
        stop_early(run, args.patience)

    stop.training = True
    try:
        if start:
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
            workers=workers,
            seed=args.seed if training.draws_random_numbers(net) else None,
            start=start,
            log=run.log,
            on_batch_end=checkpointer.on_batch_end,
            on_epoch_end=on_epoch_end,
            check_stop=checkpointer.check_stop,
        )
    except StoppedEarly as reason:
        run.log(str(reason))
    except training.StopTraining:
        checkpointer.save_weights("last")
        return say_stopped(run, stop, workers)
    except (training.NonFiniteLoss, training.NonFiniteWeights) as error:
        say(workers, run, f"Stopped: {error}. A smaller --lr than {args.lr:g} may help, in a new run")
        if run.checkpoints.is_dir():
            run.log(f"or from this one's last checkpoint: --resume --force --lr {args.lr / 10:g} --out {run.path}")
        return 2
    try:
        finish(args, run, net, train_data, test_data, loss, device, checkpointer.check_stop, workers)
    except training.StopTraining:
        return say_stopped(run, stop, workers)
    return 0


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    mx.random.seed(seed)


def say(workers, run, line):
    """What ends the run, on the worker that has found it first."""
    if workers.rank == 0:
        run.log(line)
    else:
        print(line, file=sys.stderr)


def try_out(args, device, workers):
    """Choose slices and dtype, where these are to be found out, and return lines on why."""
    notes = workers.from_first(lambda: [*choose_slices_and_dtype(args, device, workers), args.accumulate, args.dtype])
    *notes, args.accumulate, args.dtype = notes
    return notes


def choose_slices_and_dtype(args, device, workers):
    notes, settings = [], optimizer_settings(args)
    trial = training.Trial(
        args.net,
        args.net_args,
        args.resize,
        args.batch_size // workers.size,
        device,
        args.optimizer,
        settings,
        args.ema,
    )
    if args.auto_batch:
        dtype = "float32" if args.dtype == "auto" else args.dtype
        args.accumulate, why = training.choose_accumulate(trial, dtype, args.accumulate)
        notes.append(why)
    if args.dtype == "auto":
        args.dtype, why = training.choose_dtype(trial, args.accumulate)
        notes.append(why)
    elif args.dtype == "bfloat16" and not args.resume:
        notes.append("bfloat16 is slower than float32 for some networks and processors: --dtype auto finds out")
    return notes


def show_one_image(net, train_data, device, verbose):
    """Send one image through, which fixes the shapes of all weights; verbose prints the way it takes."""
    image, label = train_data.dataset[:1]
    if verbose:
        print(net)
    for i, each in enumerate(device):
        net.verbose = verbose and i == 0
        net(train_data.transform(image.as_in_context(each), nd.array(label, ctx=each))[0])
    net.verbose = False


def make_trainer(args, net, batches_per_epoch, workers):
    if args.wd_weights_only:
        training.weight_decay_on_weights_only(net)
    settings = optimizer_settings(args, workers.size)
    schedule = training.make_schedule(
        args.schedule, settings["learning_rate"], args.epochs, batches_per_epoch, args.warmup_epochs
    )
    return workers.trainer(net, args.optimizer, {**settings, "lr_scheduler": schedule})


class StoppedEarly(training.StopTraining):
    """The epochs that --patience allows are over."""


def stop_early(run, patience):
    if patience and run.records and run.records[-1].epoch - run.best_record.epoch >= patience:
        raise StoppedEarly(f"Stopped early: no better validation accuracy for {patience} epochs")


def say_stopped(run, stop, workers):
    """Returns the exit status."""
    name = "Ctrl-C" if stop.status == 130 else "SIGTERM"
    again = f"do_exp.py --resume --out {run.path} goes on"
    if workers.size > 1:
        again = f"the same job goes on, all its {workers.size} workers, with --resume --out {run.path}"
    run.log(f"Stopped by {name} after {len(run.records)} whole epochs: {again}")
    return stop.status


def open_run_folder(args, dataset, workers):
    if workers.rank > 0:
        return training.UnwrittenRun(args.out or "")
    if args.out is None:
        return training.new_run_folder("runs", f"{args.net}-{dataset}", args.tensorboard)
    return training.RunFolder(args.out, args.resume, args.tensorboard)


def write_config(run, args, net, train_data, val_data, test_data, device, notes, resumed, workers):
    """Write config.json, and say in the log what begins."""
    dataset, images = train_data.dataset.name, train_data.dataset.images
    before = resumed.config if resumed else {}
    parameters = sum(p.data(device[0]).size for p in net.collect_params().values() if p.grad_req != "null")
    config = {
        **vars(args),
        "dataset": dataset,
        "data_folder": train_data.dataset.origin,
        "classes": train_data.dataset.classes,
        "train_images": len(train_data.dataset),
        "val_images": len(val_data.dataset) if val_data else 0,
        "test_images": len(test_data.dataset),
        "stored_size": list(images.shape[1:3]),
        "class_counts": class_counts(train_data.dataset),
        "parameters": parameters,
        "devices": [str(each) for each in device] * workers.size,
        "notes": before.get("notes", []) + notes,
        "versions": versions(),
        "commit": commit(),
        "command": before.get("command", sys.argv),
        "resumed_by": [*before.get("resumed_by", []), sys.argv] if resumed else [],
    }
    run.write_json("config", config)
    run.remove("result.json")  # of fewer epochs
    for note in notes:
        run.log(note)
    for change in resumed.changes if resumed else ():
        run.log(f"Resuming with another setting: {change}")
    run.log(f"{args.net}: {parameters:,} parameters, input {args.resize}x{args.resize}, {args.dtype}")
    run.log(f"{len(train_data.dataset):,} training images of {dataset} in {train_data.dataset.origin}")
    if workers.size > 1:
        each = args.batch_size // workers.size
        run.log(f"{workers.size} workers over {workers.engine}, each with {each} images of a batch")
    settings = optimizer_settings(args, workers.size)
    if args.scale_lr:
        run.log(f"learning rate {args.lr:g} times {workers.size} workers: {settings['learning_rate']:g}")
    run.log(f"batch {args.batch_size}, {args.optimizer} {settings}, {args.schedule} learning rate")


def finish(args, run, net, train_data, test_data, loss, device, check_stop, workers):
    """The final accuracies, over the whole test set, of the best weights by validation, or else of the last ones."""
    test, classes = test_data.dataset, test_data.dataset.classes
    name = "best" if run.records[-1].val_acc is not None else "last"
    if workers.rank == 0:
        net.load_parameters(str(run.path / f"{name}.params"), ctx=device)
    workers.share_weights(net)
    labels, logits = predict_together(test_data, net, device, check_stop, workers)
    if workers.rank > 0:
        return
    matrix = insight.confusion_matrix(labels, logits.argmax(axis=1), len(classes))
    insight.write_confusion(matrix, classes, run.path)
    accuracy = float((logits.argmax(axis=1) == labels).mean())
    run.log(insight.format_per_class(matrix, classes))
    run.log(f"Test acc {accuracy:.4f} with {name}.params, over {len(labels):,} images")
    train_data.epoch = 0
    images, shown = next(iter(train_data))
    insight.draw_samples(images.asnumpy(), shown.asnumpy(), classes, run.path / "samples.png", args.mean, args.std)
    insight.draw_mistakes(test.images, labels, logits, classes, run.path / "mistakes.png", test.files)
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
    report = insight.write_report(run.path)
    run.log(f"The run is in {run.path}, and {report.name} there shows it")
    if args.open:
        insight.open_report(report, run.log)


def predict_together(data, net, device, check_stop, workers):
    """Labels and logits of every image, on all workers, each of which has sent its part through the network."""
    labels, logits = training.predict(data, net, device, check_stop)
    if workers.size == 1:
        return labels, logits
    everything = np.zeros((len(data.dataset), logits.shape[1]), logits.dtype)
    everything[data.rows()] = logits
    return data.dataset.labels.astype(labels.dtype), workers.sum(everything)


def main(argv=None):
    """The exit status: 0; 2 for bad input or a loss that is not finite; 130 after Ctrl-C, 143 after SIGTERM; 1 for a
    disk that is full or cannot be written, for too little memory, and where another worker is lost."""
    parser = make_parser()
    args, workers = parser.parse_args(argv), training.ALONE
    try:
        workers = training.connect(args.distributed, args.distributed_timeout)
        status = start(args, given_flags(parser, argv), workers)
    except training.SharedError as error:  # of all workers
        status = 2
        if workers.rank == 0:
            print(f"do_exp.py: error: {error}", file=sys.stderr)
    except ValueError as error:
        status = 2
        print(f"do_exp.py: error: {error}", file=sys.stderr)
    except BrokenPipeError:  # who reads the lines, as `| head`, has seen enough
        status = 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
    except OSError as error:
        status = 1
        print(f"do_exp.py: error: {error}. Checkpoints written before stand: --resume goes on", file=sys.stderr)
    except mx.MXNetError as error:
        if training.out_of_memory(error):
            advice = training.advice_on_memory(args.batch_size, args.accumulate)
            print(f"do_exp.py: error: {advice}", file=sys.stderr, flush=True)
            os._exit(1)  # without memory, MXNet often crashes on its way out
        if workers.size == 1:
            raise
        status = 1
        print(
            f"do_exp.py: error: worker {workers.rank}: another worker is lost, or the engine failed: {error}. "
            "Checkpoints written before stand: --resume goes on",
            file=sys.stderr,
        )
    except KeyboardInterrupt:
        status = 130
    workers.leave(status)
    return status


def start(args, given, workers):
    """Settle which run it is, and with which settings, the same for all workers; then train."""
    flags = {f"--{name.replace('_', '-')}": value for name, value in given.items() if name not in OF_THE_MACHINE}
    workers.must_agree("settings", lambda: flags)
    workers.must_agree("versions", versions_that_must_agree)
    own = {name: getattr(args, name) for name in OF_THE_MACHINE}
    chosen = workers.from_first(lambda: choose_run(args, given, workers))
    if chosen["finished"]:
        return 0
    args = Namespace(**{**chosen["args"], **(own if workers.rank > 0 else {})})
    resumed = chosen["resumed"] and Resumed(args, **chosen["resumed"])
    with training.StopSignals() as stop:
        return do_exp(args, stop, resumed, workers)


def choose_run(args, given, workers):
    """The run to resume, or a new one, as a value fit for JSON."""
    run = find_run(given) if args.resume else None
    if run and is_finished(run, given):
        print(f"{run} is finished: there is nothing to resume; more --epochs would go on")
        return {"finished": True}
    resumed = None
    if run:
        print(f"Resuming {run}")
        resumed = settings_of(run, given, set(vars(args)), workers)._asdict()
        args = resumed.pop("args")
    else:
        if args.resume:
            print(f"There is no run in {args.out}: a new one begins")
            args.resume, args.force = False, args.force and args.dtype == "bfloat16"
        apply_recipe(args)
    return {"finished": False, "args": vars(args), "resumed": resumed}


if __name__ == "__main__":
    sys.exit(main())
