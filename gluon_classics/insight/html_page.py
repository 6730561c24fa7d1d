"""One HTML page in one file: no scripts, no requests, light or dark as the reader's system is."""

from __future__ import annotations

import base64
import html
import struct
from collections.abc import Iterable, Sequence
from string import Template

PAGE_WIDTH = 1118  # pixels that a picture has on the widest page: 75rem less margins


class Html(str):
    """Text that is HTML already; all other text is escaped."""


class Section:
    """A part of the page with a heading, to which #name leads."""

    def __init__(self, name: str, title: str, *content: Html):
        self.link = Html(f'<a href="#{name}">{escaped(title)}</a>')
        self.html = Html(f'<section id="{name}"><h2>{escaped(title)}</h2>\n{joined(content)}</section>\n')


def escaped(value: object) -> Html:
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def joined(parts: Iterable) -> Html:
    """The parts one after the other, each escaped unless it is Html."""
    return Html("".join(map(escaped, parts)))


def paragraph(content: object, kind: str = "") -> Html:
    return Html(f'<p class="{kind}">{escaped(content)}</p>' if kind else f"<p>{escaped(content)}</p>")


def bullets(items: Iterable) -> Html:
    return Html("<ul>" + "".join(f"<li>{escaped(item)}</li>" for item in items) + "</ul>")


def command_line(text: str) -> Html:
    return _scrolling("command", f"<pre><code>{escaped(text)}</code></pre>")


def details(summary: str, content: Html, folded: bool) -> Html:
    """What a reader can fold and unfold."""
    state = "" if folded else " open"
    return Html(f"<details{state}><summary>{escaped(summary)}</summary>\n{content}</details>\n")


def tiles(pairs: Iterable[tuple[str, object]]) -> Html:
    """Labels, with a large value under each."""
    return Html(
        '<dl class="tiles">'
        + "".join(f"<div><dt>{escaped(label)}</dt><dd>{escaped(value)}</dd></div>" for label, value in pairs)
        + "</dl>\n"
    )


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence], alignment: str) -> Html:
    """A row's first cell is its heading. Columns: < to the left, > to the right. Wide tables scroll by themselves."""
    sides = ["end" if side == ">" else "start" for side in alignment]
    head = "".join(f'<th scope="col" class="{side}">{escaped(name)}</th>' for name, side in zip(header, sides))
    body = []
    for first, *others in rows:
        cells = "".join(f'<td class="{side}" dir="auto">{escaped(cell)}</td>' for cell, side in zip(others, sides[1:]))
        body.append(f'<tr><th scope="row" class="{sides[0]}" dir="auto">{escaped(first)}</th>{cells}</tr>\n')
    return _scrolling(
        caption,
        f"<table><caption>{escaped(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{''.join(body)}</tbody></table>",
    )


def beside(parts: Iterable) -> Html:
    """Parts next to each other, as many as have room."""
    return Html('<div class="beside">' + "".join(f"<div>{escaped(part)}</div>" for part in parts) + "</div>\n")


def heading(text: str) -> Html:
    """Of a part of a section."""
    return Html(f'<h3 dir="auto">{escaped(text)}</h3>\n')


def bar(share: float) -> Html:
    """A bar as long as the share, 0 to 1, of its cell."""
    return Html(f'<div class="track"><div class="bar" style="width:{100 * share:.1f}%"></div></div>')


def picture(file: str, name: str, description: str, png: bytes) -> Html:
    """A PNG on white paper, as wide as the page, or, where its box is checked, in its own size.

    Raises ValueError for what is no PNG.
    """
    if png[:8] != b"\x89PNG\r\n\x1a\n" or png[12:16] != b"IHDR" or len(png) < 33:
        raise ValueError(f"{file} is no PNG")
    width, height = struct.unpack(">II", png[16:24])
    image = (
        f'<img alt="{escaped(description)}" width="{width}" height="{height}" style="min-width:min(40rem,{width}px)"'
        f' src="data:image/png;base64,{base64.b64encode(png).decode()}">'
    )
    zoom = f'<input type="checkbox" id="{name}-size"><label for="{name}-size"> full size</label>\n'
    kind = "picture" if width > PAGE_WIDTH else "picture fits"
    return Html(f'<div class="{kind}">{zoom if width > 640 else ""}{_scrolling(description, image, "paper")}</div>')


def page(title: str, subtitle: str, head: Iterable[Html], sections: Sequence[Section]) -> str:
    return _PAGE.substitute(
        title=escaped(title),
        subtitle=escaped(subtitle),
        style=_STYLE,
        links=Html("".join(f"{section.link}\n" for section in sections)),
        head=joined(head),
        sections=joined(section.html for section in sections),
    )


def _scrolling(name: str, content: str, kind: str = "") -> Html:
    """What is wider than the page scrolls by itself, with the keyboard, too."""
    return Html(
        f'<div class="{f"scroll {kind}".strip()}" role="region" aria-label="{escaped(name)}" tabindex="0">'
        f"{content}</div>\n"
    )


_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<header>
<h1 dir="auto">$title</h1>
<p dir="auto">$subtitle</p>
<nav>
$links</nav>
</header>
<main>
$head$sections</main>
</body>
</html>
""")

_STYLE = """\
:root { --page: #f4f5f7; --card: #ffffff; --text: #1c2024; --faint: #5b6570; --line: #d9dee3; --bar: #2f6fb2;
  --link: #0b5cad; --warning: #8a4b00; --warning-card: #fff4e0; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171a; --card: #1e2226; --text: #e6e8ea; --faint: #a0a9b2; --line: #3a4149; --bar: #5d9fe0;
    --link: #8ec1f5; --warning: #ffc46b; --warning-card: #33291a; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
header, main { max-width: 75rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.5rem; }
h1 { margin: 0; font-size: 1.75rem; line-height: 1.25; overflow-wrap: anywhere; }
header p { margin: 0.25rem 0 1rem; color: var(--faint); overflow-wrap: anywhere; }
h2 { margin: 0 0 0.5rem; font-size: 1.2rem; }
h3 { margin: 1rem 0 0.25rem; font-size: 1rem; overflow-wrap: anywhere; }
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(16rem, 100%), 1fr)); gap: 1rem; }
.beside > div { min-width: 0; }
.beside img { min-width: 0 !important; }
.beside .track { width: 5rem; }
.beside .beside { grid-template-columns: repeat(auto-fit, minmax(min(10rem, 100%), 1fr)); }
.beside .beside .track { width: 2rem; }
section { margin: 1rem 0; padding: 1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 0.5rem; }
p, ul { margin: 0.5rem 0; overflow-wrap: anywhere; }
.missing { color: var(--faint); font-style: italic; }
.warning { padding: 0.5rem 0.75rem; background: var(--warning-card); color: var(--warning); border-radius: 0.5rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 0.75rem; margin: 1rem 0; }
.tiles div { padding: 0.5rem 0.75rem; background: var(--card); border: 1px solid var(--line); border-radius: 0.5rem; }
.tiles dt { color: var(--faint); font-size: 0.875rem; }
.tiles dd { margin: 0; font-size: 1.25rem; white-space: nowrap; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
.paper { padding: 0.5rem; background: #ffffff; border-radius: 0.5rem; }
.paper img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
.picture label { color: var(--faint); font-size: 0.875rem; }
.picture input:checked ~ .paper img { max-width: none; }
@media (min-width: 75rem) { .fits > input, .fits > label { display: none; } }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { padding-bottom: 0.25rem; color: var(--faint); text-align: start; font-size: 0.875rem; }
th, td { padding: 0.2rem 0.75rem; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
th:first-child { padding-left: 0; }
thead th { border-top: 0; color: var(--faint); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 400; }
td { overflow-wrap: anywhere; min-width: 4rem; }
.end { text-align: right; white-space: nowrap; }
.track { width: 10rem; }
.bar { min-width: 1px; height: 0.75rem; margin-top: 0.4rem; background: var(--bar); border-radius: 2px; }
nav { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; margin-bottom: 1rem; }
a { color: var(--link); }
summary { margin: 0.5rem 0; cursor: pointer; }
pre { margin: 0.5rem 0; }
"""
