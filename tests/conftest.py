import os

# One thread: the tests' networks are small, and on a busy machine two threads that wait for each other after every
# small operator take minutes for what one does in seconds.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import gluon_classics  # noqa: F401  (first of all: it makes `import mxnet` work in every test file)
