"""README and docs: links lead somewhere, and command lines are ones that the programs accept."""

import argparse
import re
import runpy
import shlex
import sys
from functools import cache
from pathlib import Path

from gluon_classics.__main__ import COMMANDS
from gluon_classics.__main__ import main as gluon_classics_main
from gluon_classics.data import list_datasets
from gluon_classics.models import list_models
from gluon_classics.training import RECIPES

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    str(page.relative_to(ROOT))
    for pattern in ("README*.md", "CONTRIBUTING.md", "docs/*.md")
    for page in ROOT.glob(pattern)
)
FENCE = re.compile(r"^(```|~~~)(\w*)\n(.*?)^\1$", re.DOTALL | re.MULTILINE)
NAMES = {"net": list_models(), "dataset": [None, *list_datasets()], "recipe": list(RECIPES)}


class Parsed(Exception):
    """A program has parsed its command line; carries what argparse gave."""


@cache
def script(path):
    """The main() of a script. It reads sys.argv."""
    main = runpy.run_path(str(ROOT / path), run_name="parsed")["main"]
    return lambda argv: main()


# What each command runs until its arguments are parsed, and where arguments that it leaves over go.
PROGRAMS = {
    "gluon_classics": (lambda: gluon_classics_main, None),
    "experiments/speedrun.py": (lambda: script("experiments/speedrun.py"), "experiments/do_exp.py"),
}


def parse(name, argv, monkeypatch):
    """Fail unless the program accepts the arguments."""
    load, rest = PROGRAMS.get(name, (lambda: script(name), None))
    plain, inside = argparse.ArgumentParser.parse_known_args, []

    def parse_known_args(self, *args, **kwargs):
        if inside:  # a subparser
            return plain(self, *args, **kwargs)
        inside.append(self)
        raise Parsed(*plain(self, *args, **kwargs))

    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "experiments"))
        patch.setattr(sys, "argv", [name, *argv])
        main = load()
        patch.setattr(argparse.ArgumentParser, "parse_known_args", parse_known_args)
        try:
            main(argv)
        except Parsed as parsed:
            given, left = parsed.args
        except SystemExit as end:
            assert end.code in (None, 0), f"{name} {shlex.join(argv)} is refused"
            return
    if rest:
        return parse(rest, left, monkeypatch)
    assert not left, f"{name} does not know {left}"
    for setting, names in NAMES.items():
        assert getattr(given, setting, names[0]) in names, f"{name} {shlex.join(argv)}"


def commands_of(text):
    """The simple commands of a block of shell, as lists of words."""
    for line in text.replace("\\\n", " ").splitlines():
        if re.match(r"\w+=\$\(", line):
            continue
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        words = []
        for word in [*lexer, ";"]:
            if set(word) <= set("|&;<>"):
                yield words
                words = []
            else:
                words.append(word)


def check(words, targets, monkeypatch):
    while words and re.match(r"\w+=", words[0]):  # the environment
        words = words[1:]
    if not words:
        return
    program, *argv = words
    if program == "horovodrun":
        begin = next(i for i, word in enumerate(argv) if word.endswith("python"))
        check(argv[begin:], targets, monkeypatch)
    elif program == "make":
        for word in argv:
            assert "=" in word or word in targets, f"make has no target {word}"
    elif program == "gluon-classics":
        check_python(["-m", "gluon_classics", *argv], targets, monkeypatch)
    elif program == "python" or program.endswith("/bin/python"):
        check_python(argv, targets, monkeypatch)


def check_python(argv, targets, monkeypatch):
    if "--" in argv and ("experiments/launch.py" in argv or "launch" in argv):
        after = argv.index("--") + 1
        check(argv[after:], targets, monkeypatch)
        argv = argv[:after]
    if argv[:2] == ["-m", "gluon_classics"]:
        parse("gluon_classics", argv[2:], monkeypatch)
    elif argv[0].endswith(".py"):
        name = argv[0].removeprefix("$PWD/")
        assert (ROOT / name).is_file(), name
        parse(name, argv[1:], monkeypatch)


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_accepted(page, monkeypatch, tmp_path):
    (tmp_path / "runs" / "finished").mkdir(parents=True)  # for RUN latest
    (tmp_path / "runs" / "finished" / "result.json").touch()
    monkeypatch.chdir(tmp_path)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for _, kind, text in FENCE.findall((ROOT / page).read_text()):
        if kind in ("sh", "bash"):
            for words in commands_of(text):
                check(words, targets, monkeypatch)
        elif kind == "python":
            compile(text, page, "exec")


@pytest.mark.parametrize(
    "line",
    [
        "python experiments/do_exp.py --nett lenet",
        "python experiments/do_exp.py --net lennet",
        "python experiments/do_exp.py --epochs many && echo done",
        "python experiments/launch.py -n 2 -- python experiments/do_exp.py --nett lenet",
        "python experiments/speedrun.py 90 --nett lenet",
        "python -m gluon_classics summary lennet",
        "gluon-classics exprt RUN",
        "python experiments/do_experiment.py",
        "make runs",
    ],
)
def test_wrong_commands_are_refused(line, monkeypatch):
    (words, *_) = commands_of(line)
    with pytest.raises(AssertionError):
        check(words, ["run"], monkeypatch)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_prints_its_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        gluon_classics_main([command, "--help"])
    assert end.value.code == 0 and "--help" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    path = ROOT / page
    text = FENCE.sub("", path.read_text())
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href|srcset)="([^"]+)"', text)
    for target in targets:
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        linked = path.parent / file if file else path
        assert linked.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", FENCE.sub("", linked.read_text()), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
            assert anchor in anchors, target


# Messages of pip, NumPy and MXNet in docs/troubleshooting.md
OF_OTHERS = {
    "No matching distribution found for mxnet",
    "ResolutionImpossible",
    "numpy<2",
    "module 'numpy' has no attribute 'bool'",
    "onnx",
    ".venv",
}


def test_troubleshooting_has_the_messages_of_the_code():
    sources = [*ROOT.glob("gluon_classics/**/*.py"), *ROOT.glob("experiments/*.py")]
    code = re.sub(r'"\s*\n\s*f?"', "", "\n".join(source.read_text() for source in sources))
    code = re.sub(r"\{[^{}]*\}", "", code)  # the values of f-strings
    cells = re.findall(r"^\| ([^|]*) \|", (ROOT / "docs/troubleshooting.md").read_text(), re.MULTILINE)
    for message in {message for cell in cells for message in re.findall(r"`([^`]+)`", cell)} - OF_OTHERS:
        for part in message.split("..."):
            assert part.strip(" ,:?'") in code, f"{message!r} is not a message of the code"


def test_the_site_has_every_page():
    listed = re.findall(r"([\w/-]+\.md)", (ROOT / "mkdocs.yml").read_text())
    pages = {page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")}
    generated = {page for page in listed if page.startswith("api/")} | {"index.md"}
    assert {*listed} - generated == pages - generated


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_the_chinese_readme_has_the_same_code():
    blocks = [FENCE.findall((ROOT / name).read_text()) for name in ("README.md", "README.zh-CN.md")]
    assert len(blocks[0]) >= 5
    assert blocks[1] == blocks[0]


def test_the_table_of_networks_is_generated(capsys):
    # python -m gluon_classics list --markdown, with links from docs/
    assert gluon_classics_main(["list", "--markdown"]) == 0
    printed = capsys.readouterr().out.replace("](gluon_classics/", "](../gluon_classics/")
    table = (ROOT / "docs/networks.md").read_text().split("<!-- list: start -->\n")[1].split("<!-- list: end -->")[0]
    assert table.strip("\n") == printed.strip("\n")
