"""What mkdocs.yml runs to build the site of docs/.

The README becomes the home page, each package gets a page of its public names, links from docs/ to files outside the
site become their paths, and indented tables in docstrings become code blocks.
"""

from __future__ import annotations

import ast
import posixpath
import re
from pathlib import Path

import griffe
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("models", "data", "training", "inference", "insight", "convert", "deploy")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?!\w+:|#)[^)\s]+)\)")


def on_files(files: Files, config) -> Files:
    """Add README.md as index.md, its links without the folder docs/, and the pages of the packages."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("[中文](README.zh-CN.md)\n\n", "")
    text = re.sub(r'((?:\]\(|src="|href="|srcset="))docs/', r"\1", text)
    files.append(File.generated(config, "index.md", content=text))
    for package in PACKAGES:
        files.append(File.generated(config, f"api/{package}.md", content=api_page(package)))
    return files


def api_page(package: str) -> str:
    """The public names of a package, as its __init__.pyi has them, under the modules that define them."""
    names: dict[str, list[str]] = {}
    stub = (ROOT / f"gluon_classics/{package}/__init__.pyi").read_text(encoding="utf-8")
    for line in ast.parse(stub).body:
        if isinstance(line, ast.ImportFrom) and line.module:
            names.setdefault(line.module, []).extend(alias.name for alias in line.names)
    parts = [f"# gluon_classics.{package}"]
    for module, members in names.items():
        options = f"    options:\n      heading_level: 3\n      members: [{', '.join(members)}]"
        parts.append(f"## {module}\n\n::: gluon_classics.{package}.{module}\n{options}")
    return "\n\n".join(parts)


def on_page_markdown(markdown: str, page, config, files: Files) -> str:
    """Turn a link to a network's file into one to its API page, and to another file outside the site into its path."""
    folder = posixpath.dirname(page.file.src_uri)

    def replaced(match: re.Match) -> str:
        text, target = match.groups()
        path = posixpath.normpath(posixpath.join(folder, target.partition("#")[0]))
        if files.get_file_from_path(path):
            return match[0]
        outside = posixpath.normpath(posixpath.join("docs", path))
        network = re.fullmatch(r"gluon_classics/models/(\w+)\.py", outside)
        if network:
            return f"[{text}]({posixpath.relpath('api/models.md', folder)}#{network[1]})"
        if page.file.src_uri == "index.md" and not (ROOT / outside).exists():
            outside = path
        return f"`{outside}`" if (ROOT / outside).exists() else match[0]

    return LINK.sub(replaced, markdown)


class PlainDocstrings(griffe.Extension):
    """Convert what is not plain text in docstrings, indented tables and lists of parameters, to Markdown."""

    def on_object(self, *, obj: griffe.Object, **_kwargs) -> None:
        if obj.docstring:
            text = re.sub(r"(?m)^(\S.*)\n(?= {4})", r"\1\n\n", obj.docstring.value)
            head, parameters, rest = text.partition("Parameters\n----------\n")
            if parameters:
                text = head + re.sub(r"(?m)^([\w, ]+) : ", r"- `\1`: ", rest)
            obj.docstring.value = text
