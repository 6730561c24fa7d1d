import importlib
import json
import sys


def test_a_row_for_each_finished_run(experiments, tmp_path, monkeypatch, capsys):
    results = importlib.import_module("results")
    run, unfinished = tmp_path / "run", tmp_path / "unfinished"
    for folder in (run, unfinished):
        folder.mkdir()
    config = {
        "net": "resnet",
        "dataset": "fashion-mnist",
        "command": ["do_exp.py", "--net", "resnet", "--out", str(run), "--epochs", "2"],
        "train_images": 60_000,
        "resize": 96,
        "parameters": 11_178_250,
    }
    (run / "config.json").write_text(json.dumps(config))
    (run / "result.json").write_text(json.dumps({"test_acc": 0.9126, "epochs": 2, "seconds": 300.7}))
    (unfinished / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(sys, "argv", ["results.py", str(run), str(unfinished)])
    results.main()
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| `--net resnet --epochs 2` | 60,000 | 96x96 | 2 | 11,178,250 | 0.913 | 0.913-0.917 | 301 |"
    ]


def test_splits_are_columns_of_one_table(experiments, tmp_path, monkeypatch, capsys):
    results = importlib.import_module("results")
    accuracies = {
        ("coil20_lenet", "random"): 0.99,
        ("coil20_vgg16", "random"): 1.0,
        ("coil20_lenet", "pose-block"): 0.5,
    }
    for (net, split), accuracy in accuracies.items():
        run = tmp_path / f"{net}-{split}"
        run.mkdir()
        command = ["do_exp.py", "--net", net, "--split", split, "--out", str(run), "--dtype", "bfloat16"]
        config = {"net": net, "split": [split], "command": command, "resize": 128, "parameters": 73_450}
        (run / "config.json").write_text(json.dumps(config))
        (run / "result.json").write_text(json.dumps({"test_acc": accuracy, "epochs": 2, "seconds": 100 * accuracy}))
    monkeypatch.setattr(sys, "argv", ["results.py", *(str(tmp_path / "-".join(each)) for each in accuracies)])
    results.main()
    assert capsys.readouterr().out.splitlines() == [
        "| flags of do_exp.py | size | epochs | parameters | random | pose-block | seconds, random |"
        " seconds, pose-block |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| `--net coil20_lenet --dtype bfloat16` | 128x128 | 2 | 73,450 | 0.990 | 0.500 | 99 | 50 |",
        "| `--net coil20_vgg16 --dtype bfloat16` | 128x128 | 2 | 73,450 | 1.000 |  | 100 |  |",
    ]
