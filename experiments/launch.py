"""Start a training with parameter servers; the same command is `python -m gluon_classics launch`.

python experiments/launch.py -n 2 -s 1 -- python experiments/do_exp.py --net lenet --distributed dist_sync
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from any folder, installed or not

from gluon_classics.commands.launch import main

if __name__ == "__main__":
    sys.exit(main())
