import importlib
import subprocess
import sys


def test_help_lists_all_benchmarks_without_importing_mxnet(experiments, tmp_path):
    command = [sys.executable, "-X", "importtime", experiments / "benchmark.py", "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in importlib.import_module("benchmark").BENCHMARKS)
    assert "mxnet" not in done.stderr and "numpy" not in done.stderr


def test_every_benchmark_is_a_module_with_arguments_and_run(experiments):
    for name in importlib.import_module("benchmark").BENCHMARKS:
        module = importlib.import_module(f"benchmarks.{name}")
        assert callable(module.add_arguments) and callable(module.run)


def test_a_command_runs_in_any_folder(experiments, tmp_path):
    command = [sys.executable, experiments / "benchmark.py", "models", "lenett"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "did you mean lenet" in done.stderr and "Traceback" not in done.stderr
