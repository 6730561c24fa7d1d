import importlib
import json
import sys
from pathlib import Path


def test_a_row_for_each_run_with_a_whole_epoch(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "experiments")
    results = importlib.import_module("results")
    run, unfinished = tmp_path / "run", tmp_path / "unfinished"
    for folder in (run, unfinished):
        folder.mkdir()
    config = {
        "net": "resnet",
        "command": ["do_exp.py", "--net", "resnet", "--out", str(run), "--epochs", "2"],
        "train_images": 60_000,
        "resize": 96,
        "parameters": 11_178_250,
    }
    (run / "config.json").write_text(json.dumps(config))
    (run / "metrics.csv").write_text("epoch,test_acc,seconds\n0,0.5,100.4\n1,0.9126,200.3\n")
    monkeypatch.setattr(sys, "argv", ["results.py", str(run), str(unfinished)])
    results.main()
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| `--net resnet --epochs 2` | 60,000 | 96x96 | 2 | 11,178,250 | 0.913 | 0.913-0.917 | 301 |"
    ]
