from pathlib import Path

import pytest


@pytest.fixture
def experiments(monkeypatch):
    """Put experiments/, whose modules the tests import by name, on sys.path."""
    folder = Path(__file__).parents[2] / "experiments"
    monkeypatch.syspath_prepend(folder)
    return folder
