"""Who may import whom, read from the source.

Imports inside functions and through lazy_loader count; those for type checkers alone do not.
"""

import ast
import os
from pathlib import Path

import pytest

# another checkout can be looked at
ROOT = Path(os.environ.get("GLUON_CLASSICS_CHECKOUT", Path(__file__).parents[1]))
PACKAGE = ROOT / "gluon_classics"
# A part may import the parts in the rows above it, and itself. utils.py, experiments and notebooks may import all.
ROWS = [
    ["nearest", "printable"],
    ["whole_file", "params_file"],
    ["runtime"],
    ["devices", "models", "data"],
    ["training", "inference"],
    ["insight", "convert", "deploy"],
    ["do_exp"],
    ["commands"],
]


def module_name(path, root=ROOT):
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(folder):
    return {module_name(path): path for path in sorted(folder.rglob("*.py"))}


def is_for_type_checkers(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports(tree, package, known):
    """The names in `known` that the source of a module in `package` imports."""
    found, nodes = set(), [tree]
    while nodes:
        node = nodes.pop()
        if is_for_type_checkers(node):
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join(filter(None, [*package.split(".")[: len(package.split(".")) - node.level + 1], base]))
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in known else base)
    return found & set(known)


def import_graph(folder):
    known = modules(folder)
    graph = {}
    for name, path in known.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        graph[name] = imports(ast.parse(path.read_text()), package, known) - {name}
        stub = path.with_suffix(".pyi")  # what lazy_loader imports
        if stub.exists() and "." in name:  # the package's own offers what is in all of its folders
            graph[name] |= imports(ast.parse(stub.read_text()), package, known) - {name}
    return graph


def circle(graph):
    """The first circle of imports, as a list of names; an empty list if there is none."""
    done = set()

    def visit(name, way):
        if name in way:
            return way[way.index(name) :] + [name]
        if name in done:
            return []
        for each in sorted(graph[name]):
            found = visit(each, [*way, name])
            if found:
                return found
        done.add(name)
        return []

    for name in sorted(graph):
        found = visit(name, [])
        if found:
            return found
    return []


def part_of(name):
    return name.split(".")[1] if "." in name else name


GRAPH = import_graph(PACKAGE)


def test_no_circle_of_files():
    assert not circle(GRAPH)


def test_no_circle_of_folders():
    folders = {}
    for name, imported in GRAPH.items():
        if part_of(name) not in ("gluon_classics", "__main__"):
            folders.setdefault(part_of(name), set()).update(
                {part_of(each) for each in imported} - {part_of(name), "gluon_classics"}
            )
    assert not circle(folders)


def test_no_circle_among_the_experiments():
    known = modules(ROOT / "experiments")
    graph = {}
    for name, path in known.items():
        folder = name.rpartition(".")[0]
        # scripts find the modules of their own folder, and of experiments/; "" is for relative imports
        names = {each.removeprefix(f"{top}."): each for top in {folder, "experiments", ""} for each in known}
        found = imports(ast.parse(path.read_text()), folder, names)
        graph[name] = {names[each] for each in found} - {name}
    assert not circle(graph)


@pytest.mark.parametrize("name", sorted(GRAPH))
def test_imports_go_downwards(name):
    row_of = {part: number for number, row in enumerate(ROWS) for part in row}
    own = part_of(name)
    if own in ("gluon_classics", "__main__"):
        return
    assert own in row_of, f"{own} is in no row of this test"
    for imported in GRAPH[name]:
        part = part_of(imported)
        if part in (own, "gluon_classics"):
            continue
        allowed = row_of[part] < row_of[own] or {own, part} == {"devices", "runtime"}
        assert allowed, f"{name} imports {imported}"


def test_files_of_models_import_registry_and_layers_only():
    for name, imported in GRAPH.items():
        if name.startswith("gluon_classics.models."):
            siblings = {each for each in imported if part_of(each) == "models"}
            assert siblings <= {"gluon_classics.models.registry", "gluon_classics.models.layers"}, name


def test_the_package_never_imports_what_stands_on_it():
    for path in PACKAGE.rglob("*.py"):
        imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import)]
        names = {alias.name for node in imports for alias in node.names}
        assert not names & {"utils", "experiments"}, path


def test_no_network_asks_whether_it_is_training():
    # hybridized in evaluation, the branch would be frozen
    for path in (PACKAGE / "models").glob("*.py"):
        assert "autograd" not in path.read_text(), path


@pytest.mark.parametrize("stub", sorted(PACKAGE.rglob("__init__.pyi")), ids=lambda path: path.parent.name)
def test_no_lazy_name_is_also_a_module(stub):
    """Importing the module would replace the function of the same name in the package."""
    modules_of_stub = {path.stem for path in stub.parent.glob("*.py")}
    froms = [node for node in ast.parse(stub.read_text()).body if isinstance(node, ast.ImportFrom)]
    names = {alias.name: node.module for node in froms for alias in node.names if node.module}
    assert not {name for name, module in names.items() if name in modules_of_stub and name != module}
