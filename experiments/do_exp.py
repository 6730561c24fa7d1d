"""Train one of the classic networks: python experiments/do_exp.py --net googlenet

The run itself is gluon_classics/do_exp.py; its flags are the fields of gluon_classics/training/config.py.
`python -m gluon_classics train` is the same command.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from any folder, installed or not

from gluon_classics.commands.train import main

if __name__ == "__main__":
    sys.exit(main())
