"""The benchmarks of experiments/benchmark.py: each has `add_arguments(parser)` and `run(args)`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # for the processes that the benchmarks start
