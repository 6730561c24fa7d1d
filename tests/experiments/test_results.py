import importlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def write_run(folder, config, accuracy, seconds=300.7):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "result.json").write_text(json.dumps({"test_acc": accuracy, "epochs": 2, "seconds": seconds}))


def resnet(*flags):
    return {
        "net": "resnet",
        "recipe": "book",
        "dataset": "fashion-mnist",
        "command": ["do_exp.py", "--net", "resnet", *flags],
        "train_images": 60_000,
        "resize": 96,
        "parameters": 11_178_250,
    }


def printed(results, folders, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["results.py", *map(str, folders)])
    results.main()
    return capsys.readouterr().out.splitlines()


def test_a_row_for_each_finished_run(experiments, tmp_path, monkeypatch, capsys):
    results = importlib.import_module("results")
    run, unfinished = tmp_path / "run", tmp_path / "unfinished"
    write_run(run, resnet("--out", str(run), "--epochs", "2", "--print-batches=5"), 0.9126)
    write_run(unfinished, resnet(), 0.5)
    (unfinished / "result.json").unlink()
    assert printed(results, [run, unfinished], monkeypatch, capsys)[4:5] == [
        "| `--net resnet --epochs 2` | 60,000 | 96x96 | 2 | 11,178,250 | 1 | 0.913 | 0.913-0.917 | 301 |"
    ]


def test_seeds_are_one_row_with_mean_and_range(experiments, tmp_path, monkeypatch, capsys):
    results = importlib.import_module("results")
    folders = [tmp_path / str(seed) for seed in range(3)]
    for seed, folder in enumerate(folders):
        write_run(folder, resnet("--seed", str(seed), "--out", str(folder)), 0.91 + seed / 100, 100 + seed)
    (row,) = printed(results, folders, monkeypatch, capsys)[4:5]
    assert row.endswith("| 3 | 0.920 (0.910-0.930) | 0.913-0.917 | 101 |")


def test_splits_are_columns_of_one_table(experiments, tmp_path, monkeypatch, capsys):
    results = importlib.import_module("results")
    accuracies = {
        ("coil20_lenet", "random"): 0.99,
        ("coil20_vgg16", "random"): 1.0,
        ("coil20_lenet", "pose-block"): 0.5,
    }
    for (net, split), accuracy in accuracies.items():
        folder = tmp_path / f"{net}-{split}"
        command = ["do_exp.py", "--net", net, "--split", split, "--out", str(folder), "--dtype", "bfloat16"]
        config = {"net": net, "recipe": "default", "split": [split], "command": command, "resize": 128}
        write_run(folder, {**config, "parameters": 73_450}, accuracy, 100 * accuracy)
    folders = [tmp_path / "-".join(each) for each in accuracies]
    assert printed(results, folders, monkeypatch, capsys)[2:6] == [
        "| flags of do_exp.py | size | epochs | parameters | random | pose-block | seconds, random |"
        " seconds, pose-block |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| `--net coil20_lenet --dtype bfloat16` | 128x128 | 2 | 73,450 | 0.990 | 0.500 | 99 | 50 |",
        "| `--net coil20_vgg16 --dtype bfloat16` | 128x128 | 2 | 73,450 | 1.000 |  | 100 |  |",
    ]


def test_the_page_of_results_has_the_tables_of_the_logs(experiments):
    results = importlib.import_module("results")
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    found = results.tables(results.read_runs(sorted((ROOT / "docs" / "logs").iterdir())))
    assert set(found) <= {name for name in (*found, "splits") if f"<!-- table: {name} -->" in page}
    assert results.fill(page, found) == page


def test_the_tables_of_reproduce_are_commands_of_do_exp(experiments):
    reproduce = importlib.import_module("reproduce")
    train = importlib.import_module("gluon_classics.commands.train")
    from gluon_classics.commands.arguments import Parser
    from gluon_classics.training.config import RunConfig

    parser = Parser()
    train.add_arguments(parser)
    for table in reproduce.TABLES:
        for flags, minutes in reproduce.runs(table, None, "coil-20-proc.zip").values():
            given = vars(parser.parse_args(flags))
            if "split" in given:
                given["split"] = list(given["split"])
            assert RunConfig.complete(given).recipe == ("default" if table == "coil20" else table)
            assert minutes > 0
