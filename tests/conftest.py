import gluon_classics  # noqa: F401  (first of all: it makes `import mxnet` work in every test file)
