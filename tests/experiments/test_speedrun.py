import argparse
import importlib
import json
import sys

from gluon_classics import models
from gluon_classics.commands.train import add_arguments
from gluon_classics.training import RunConfig


def test_a_row_over_the_seeds_and_a_log_with_the_source(experiments, tmp_path, monkeypatch, capsys):
    speedrun = importlib.import_module("speedrun")

    def run(target, seed, folder, flags):
        folder.mkdir(parents=True)
        for name in ("config.json", "log.txt"):
            (folder / name).write_text(f"{name} of {seed}")
        (folder / "result.json").write_text(json.dumps({"test_acc": 0.9 + seed / 100}))
        return 0.9 + seed / 100, 10.0 + seed

    monkeypatch.setattr(speedrun, "run", run)
    monkeypatch.setattr(speedrun, "hardware", lambda: "2 cores")
    monkeypatch.setattr(sys, "argv", ["speedrun.py", "90", "--seeds", "3", "--out", str(tmp_path / "out"), "--flip"])
    speedrun.main()
    # 0.90, 0.91, 0.92: mean 0.91, standard deviation 0.01
    expected = "| 90 % | `speedrun.py 90 --flip` | 0.9100 ± 0.0100, 0.9000 to 0.9200 | 3 | 11 | 2 cores |"
    assert capsys.readouterr().out == expected + "\n"
    log = (tmp_path / "out" / "90.log").read_text()
    for words in (expected, "config.json of 2", "log.txt of 0", "RECIPES = {", "def do_exp("):
        assert words in log


def test_every_target_has_a_recipe(experiments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    for flags in importlib.import_module("speedrun").TARGETS.values():
        config = RunConfig.complete(vars(parser.parse_args(flags)))
        assert config.recipe == "speedrun" and config.test_at_end  # the test set is read once
        models.get_model(config.net, **config.net_args)
