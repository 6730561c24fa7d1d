"""docs/gallery.md and its pictures are up to date with experiments/gallery.py."""

import importlib
import re
import shutil
from pathlib import Path

from gluon_classics.insight import caption, summarize
from gluon_classics.models import get_model, list_models, model_info

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def gallery(experiments):
    return importlib.import_module("gallery")


def test_every_network_has_its_entry_in_the_order_of_the_years(gallery):
    def written(name):
        return gallery.entry(name, caption(name, summarize(get_model(name), model_info(name).input_shape)))

    expected = "\n".join([gallery.HEAD, *map(written, list_models())])
    assert (ROOT / "docs/gallery.md").read_text() == expected
    assert set(gallery.TEXTS) == set(list_models())


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's dot is not installed")
def test_the_pictures_show_what_the_networks_are(gallery, monkeypatch, tmp_path):
    def texts(path):  # positions depend on Graphviz's version, words do not
        return sorted(re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text()))

    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(gallery, "ROOT", tmp_path)
    gallery.main(list_models())
    stored = {path.name for path in (ROOT / "docs/gallery").iterdir()}
    assert stored == {f"{name}.svg" for name in list_models()}
    for name in stored:
        assert texts(tmp_path / "docs/gallery" / name) == texts(ROOT / "docs/gallery" / name), name
        assert len(texts(tmp_path / "docs/gallery" / name)) > 10
