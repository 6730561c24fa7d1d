"""Who may import whom, read from the source."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gluon_classics"
# a part may import the parts of the rows above, and itself; utils.py and experiments may import all
ROWS = [
    ["runtime", "nearest", "whole_file"],
    ["devices", "models", "data"],
    ["training", "insight", "convert", "deploy"],
]


def imported_parts(path):
    """The parts of gluon_classics, and their modules, that a file imports: models, models.layers, ..."""
    parent = ".".join(["gluon_classics", *path.relative_to(PACKAGE).parts[:-1]])
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                module = f"{parent.rsplit('.', node.level - 1)[0]}.{module}".rstrip(".")
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name.removeprefix("gluon_classics.") for name in found if name.startswith("gluon_classics.")}


def part_of(name):
    return name.split(".")[0]


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_imports_go_from_left_to_right(row):
    later = {part for parts in ROWS[row + 1 :] for part in parts}
    files = [p for part in ROWS[row] for p in [PACKAGE / f"{part}.py", *(PACKAGE / part).glob("*.py")] if p.exists()]
    assert files
    for path in files:
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        parts = {part_of(name) for name in imported_parts(path)}
        assert not parts & later, f"{path} imports {parts & later}"
        if row == 1:
            assert not parts & (set(ROWS[1]) - {own}), f"{path} imports a part of its own row"


def test_files_of_models_import_registry_and_layers_only():
    for path in (PACKAGE / "models").glob("*.py"):
        if path.name == "__init__.py":
            continue
        siblings = {name for name in imported_parts(path) if part_of(name) == "models"}
        allowed = ("models.registry", "models.layers")
        assert all(name.startswith(allowed) or name == "models" for name in siblings), f"{path}: {siblings}"


def test_the_package_never_imports_what_stands_on_it():
    for path in PACKAGE.rglob("*.py"):
        imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import)]
        names = {alias.name for node in imports for alias in node.names}
        assert not names & {"utils", "experiments"}, path


def test_no_network_asks_whether_it_is_training():
    # hybridized in evaluation, the branch would be frozen
    for path in (PACKAGE / "models").glob("*.py"):
        assert "autograd" not in path.read_text(), path
