"""The end of a run: evaluate the test set, and write the results, pictures and report page."""

from __future__ import annotations

from typing import Callable

from gluon_classics.data import DataLoader
from gluon_classics.inference.runs import WEIGHTS
from gluon_classics.insight.confusion import confusion_matrix, format_per_class, write_confusion
from gluon_classics.insight.mistakes import draw_mistakes
from gluon_classics.insight.report_page import open_report, write_report
from gluon_classics.insight.samples import draw_samples
from gluon_classics.params_file import check_params
from gluon_classics.training.config import RunConfig
from gluon_classics.training.distributed import Workers
from gluon_classics.training.expected import compared, expected_accuracy
from gluon_classics.training.found import Found
from gluon_classics.training.loop import predict
from gluon_classics.training.run_data import RunData
from gluon_classics.training.run_folder import RunFolder
from gluon_classics.whole_file import sha256

import mxnet as mx
import numpy as np
from mxnet import nd
from mxnet.gluon import HybridBlock
from mxnet.gluon.loss import Loss


def report(
    run: RunFolder,
    config: RunConfig,
    found: Found,
    loaded: RunData,
    net: HybridBlock,
    loss: Loss,
    devices: list[mx.Context],
    check_stop: Callable[[], None],
    workers: Workers,
) -> None:
    """Evaluate the weights with the best validation accuracy, or the last ones, on the test set.

    Writes result.json, confusion.csv, confusion.png, samples.png, mistakes.png and report.html. `check_stop` is called
    after each batch and may raise StopTraining.
    """
    test, classes = loaded.test.dataset, loaded.test.dataset.classes
    name = "best" if run.records[-1].val_acc is not None else "last"
    if workers.rank == 0:
        check_params(run.path / f"{name}.params")
        hashes = {file: sha256(run.path / file) for file in WEIGHTS if (run.path / file).is_file()}
        net.load_parameters(str(run.path / f"{name}.params"), ctx=devices)
    workers.share_weights(net)
    labels, logits = _predict_together(loaded.test, net, devices, check_stop, workers)
    if workers.rank > 0:
        return
    matrix = confusion_matrix(labels, logits.argmax(axis=1), len(classes))
    write_confusion(matrix, classes, run.path)
    accuracy = float((logits.argmax(axis=1) == labels).mean())
    run.log(format_per_class(matrix, classes))
    run.log(f"Test acc {accuracy:.4f} with {name}.params, over {len(labels):,} images")
    loaded.train.epoch = 0
    images, shown = next(iter(loaded.train))
    draw_samples(images.asnumpy(), shown.asnumpy(), classes, run.path / "samples.png", found.mean, found.std)
    draw_mistakes(test.images, labels, logits, classes, run.path / "mistakes.png", test.files)
    result = {
        "weights": f"{name}.params",
        "sha256": hashes,
        "test_acc": accuracy,
        "test_loss": float(loss(nd.array(logits), nd.array(labels)).mean().asscalar()),
        "epochs": len(run.records),
        "seconds": sum(record.seconds for record in run.records),
    }
    run.write_json("result", result)
    page = write_report(run.path)
    expected = expected_accuracy(config, test.name)
    if expected:
        run.log(compared(accuracy, expected))
    run.log(f"The run is in {run.path}; {page.name} there shows it")
    if config.open:
        open_report(page, run.log)


def _predict_together(
    data: DataLoader, net: HybridBlock, devices: list[mx.Context], check_stop: Callable[[], None], workers: Workers
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and logits of every image on all workers. Each worker predicts its part."""
    labels, logits = predict(data, net, devices, check_stop)
    if workers.size == 1:
        return labels, logits
    everything = np.zeros((len(data.dataset), logits.shape[1]), logits.dtype)
    everything[data.rows()] = logits
    return data.dataset.labels.astype(labels.dtype), workers.sum(everything)
