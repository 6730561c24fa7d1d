"""Write docs/gallery.md and the diagrams of all or some networks: python experiments/gallery.py [NAME ...]"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gluon_classics.insight import summarize
from gluon_classics.insight.architecture import architecture
from gluon_classics.insight.diagram import draw_diagram
from gluon_classics.insight.tables import caption
from gluon_classics.models import get_model, list_models, model_info

from gallery_texts import TEXTS

HEAD = """\
# Gallery

All networks by year. Each picture is drawn from the network's own graph by `python -m gluon_classics draw NAME`: a
repeated module appears once, with its layers drawn next to it. `--detail layers` draws every layer.
`python experiments/gallery.py` generates this page.
"""


def main(drawn: list[str] | None = None) -> None:
    folder = ROOT / "docs/gallery"
    folder.mkdir(exist_ok=True)
    parts = [HEAD]
    for name in list_models():
        net = get_model(name)
        summary = summarize(net, model_info(name).input_shape)
        if not drawn or name in drawn:
            draw_diagram(architecture(net, summary), name, caption(name, summary), folder / f"{name}.svg")
        parts.append(entry(name, caption(name, summary)))
    (ROOT / "docs/gallery.md").write_text("\n".join(parts), encoding="utf-8")


def entry(name: str, numbers: str) -> str:
    return f"## {name}\n\n{TEXTS[name]}\n\n*{numbers}*\n\n![The architecture of {name}](gallery/{name}.svg)\n"


if __name__ == "__main__":
    main(sys.argv[1:])
