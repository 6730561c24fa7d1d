"""What the README shows is what the commands print."""

import re
from pathlib import Path

from gluon_classics.__main__ import main

import pytest

README = Path(__file__).parents[1] / "README.md"


def test_the_table_of_networks_is_generated(capsys):
    # python -m gluon_classics list --markdown
    assert main(["list", "--markdown"]) == 0
    table = README.read_text().split("<!-- list: start -->\n")[1].split("<!-- list: end -->")[0]
    assert table.strip("\n") == capsys.readouterr().out.strip("\n")


def test_the_chinese_readme_has_the_same_code():
    def blocks(name):
        return re.findall(r"^```.*?^```$", (README.parent / name).read_text(), re.DOTALL | re.MULTILINE)

    assert len(blocks("README.md")) > 10
    assert blocks("README.zh-CN.md") == blocks("README.md")


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md", "docs/migration.md", "docs/gallery.md"])
def test_links_lead_somewhere(name):
    page = README.parent / name
    text = page.read_text()
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    for target in targets:
        path, _, anchor = target.partition("#")
        if not target.startswith("http"):
            assert (page.parent / path).exists(), target
            if anchor:
                titles = re.findall(r"^#+ (.+)$", (page.parent / (path or page.name)).read_text(), re.MULTILINE)
                anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
                assert anchor in anchors, target
