"""What the README shows is what the commands print."""

from pathlib import Path

from gluon_classics.__main__ import main

README = Path(__file__).parents[1] / "README.md"


def test_the_table_of_networks_is_generated(capsys):
    # python -m gluon_classics list --markdown
    assert main(["list", "--markdown"]) == 0
    table = README.read_text().split("<!-- list: start -->\n")[1].split("<!-- list: end -->")[0]
    assert table.strip("\n") == capsys.readouterr().out.strip("\n")
