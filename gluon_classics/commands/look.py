"""python -m gluon_classics look RUN PICTURE: a page with Grad-CAM, occlusion and feature maps of a picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_classics.commands.arguments import run_folder
from gluon_classics.whole_file import whole_file

NOTES = """\
RUN is a run folder of do_exp.py. The picture is resized and converted like the images of the training, as in `predict`.

examples:
  python -m gluon_classics look runs/lenet-fashion-mnist-20170901-120000 boot.png -o look.html
  python -m gluon_classics look --compare RUN1 RUN2 -- boot.png
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, NOTES
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="a run folder, or latest, and one picture")
    add("--compare", nargs=2, metavar=("RUN1", "RUN2"), help="compare two runs; PATH is the picture only")
    add("--layer", metavar="NAME", help="layer for Grad-CAM (default: the last with more than one pixel)")
    add("-o", "--out", type=Path, default=Path("look.html"), metavar="HTML", help="the page (default look.html)")


def run(args: argparse.Namespace) -> int:
    from gluon_classics.insight.look import look_page

    *runs, file = args.paths
    runs = [*runs, *(args.compare or ())]
    if len(runs) != (2 if args.compare else 1):
        raise ValueError("name a run folder and one picture, or two run folders after --compare and one picture")
    try:
        text = look_page([str(run_folder(name)) for name in runs], file, args.layer)
    except argparse.ArgumentTypeError as error:
        raise ValueError(str(error)) from None
    try:
        with whole_file(args.out) as temporary:
            temporary.write_text(text, "utf-8", "backslashreplace")  # a file name may not be UTF-8
    except OSError as error:
        raise ValueError(f"{args.out} cannot be written: {error.strerror}") from error
    print(args.out)
    return 0
