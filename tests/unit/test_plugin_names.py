"""No code decides by a plugin's name but the plugin's own: comparisons and keys are read with `ast`.

What is asked of a backend or a data set goes through its contract; a name is text on the way to the registry.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from keras_azure.registry.registry import BACKENDS, DATASETS, Entry

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "keras_azure"
SEPARATORS = (":", "(")  # behind a name: tfds:mnist, idx(path=...); and "-" behind that of a family: azure-nc6
BY_TEXT = ("startswith", "endswith", "removeprefix", "removesuffix", "partition", "split", "match", "fullmatch", "get")

# Of settings, and of what a backend writes into the description of its job: the only places that name a plugin.
DEFAULTS = {
    ("description/config.py", "digits"),
    ("description/config.py", "local"),
    ("backends/azure/staging.py", "local"),  # a job's node is where it runs
}
# Keys that are no plugin's name: the folder in which files are.
OTHERS = {(file, "folder") for file in ("backends/azure/handle.py", "cli/cache.py", "cli/jobs.py", "data/store.py")}


def names() -> dict[str, Entry]:
    """The registered first-party backends and data sets, by their names."""
    return {
        entry.name: entry
        for registry in (BACKENDS, DATASETS)
        for entry in registry.entries()
        if entry.package == "keras-azure"
    }


def is_own(file: str, entry: Entry) -> bool:
    """Whether a file is the plugin's own: its module, what is beside it in a package of its own, or named after it."""
    path = Path(*entry.target.partition(":")[0].split(".")[1:])
    beside = path.parent.as_posix() not in ("backends", "data", "data/formats")
    own = f"{path.parent.as_posix()}/" if beside else f"{path.as_posix()}.py"
    return file.startswith(own) or (file.startswith("data/") and Path(file).stem == entry.name)


def meant(text: object, known: Mapping[str, Entry], file: str) -> bool:
    """Whether a text is the name of somebody else's plugin, or begins as such a name does."""
    return isinstance(text, str) and any(
        (text == entry.name or text.startswith(beginnings(entry))) and not is_own(file, entry)
        for entry in known.values()
    )


def beginnings(entry: Entry) -> tuple[str, ...]:
    separators = (*SEPARATORS, "-") if entry.is_family else SEPARATORS
    return tuple(entry.name + separator for separator in separators)


def texts(node: ast.expr, constants: Mapping[str, ast.expr]) -> Iterator[object]:
    """The texts in an expression, also those that it has by the name of a constant."""
    for each in ast.walk(node):
        if isinstance(each, ast.Constant):
            yield each.value
        elif isinstance(each, ast.Name) and each.id in constants:
            yield from texts(constants[each.id], {})


def decisions(tree: ast.AST) -> Iterator[ast.expr]:
    """What is compared, matched, or looked up."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=others):
                yield from [left, *others]
            case ast.MatchValue(value=value):
                yield value
            case ast.Dict(keys=keys):
                yield from filter(None, keys)
            case ast.Subscript(slice=key):
                yield key
            case ast.Call(func=ast.Attribute(attr=attr), args=arguments) if attr in BY_TEXT:
                yield from arguments


def violations(file: str, source: str, known: Mapping[str, Entry]) -> list[str]:
    """The names of plugins by which a file that is not theirs decides something."""
    tree = ast.parse(source)
    constants = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and not isinstance(node.value, ast.Call)
    }
    return [
        f"{text!r} in line {node.lineno}"
        for node in decisions(tree)
        for text in texts(node, constants)
        if meant(text, known, file) and (file, text) not in OTHERS
    ]


def mentions(file: str, source: str, known: Mapping[str, Entry]) -> set[tuple[str, str]]:
    """The texts in a file that are names of plugins, and no more than that; it is not theirs."""
    keys = {id(key) for key in decisions(ast.parse(source))}
    tree = ast.parse(source)
    found = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in keys}
    return {(file, text) for text in found if isinstance(text, str) and text in known and meant(text, known, file)}


def sources() -> dict[str, str]:
    return {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}


@pytest.mark.parametrize("file", sorted(sources()))
def test_no_file_decides_by_the_name_of_a_plugin_that_is_not_its_own(file):
    assert violations(file, sources()[file], names()) == []


def test_only_defaults_of_settings_name_a_plugin():
    found = set().union(*(mentions(file, source, names()) for file, source in sources().items()))
    assert found - OTHERS == DEFAULTS


def test_the_names_are_those_that_are_registered():
    assert {"azure", "local", "digits", "idx", "folder", "tfds", "mnist", "azureml"} <= set(names())


@pytest.mark.parametrize(
    "source",
    [
        'if spec.name == "azure": pass',
        'if "local-cpu" != name: pass',
        'if name in ("digits", "mine"): pass',
        '_HERE = ("digits", "idx")\nif name in _HERE: pass',
        '_PREFIX = "azure-"\nname.startswith(_PREFIX)',
        'name.removeprefix("tfds:")',
        'match name:\n    case "mnist": pass',
        'match name:\n    case "mine" | "azureml": pass',
        'device = {"local-cpu": "cpu"}.get(name)',
        'TABLE["azure"]',
        'TABLE.get("idx")',
        'if text.startswith(("theirs:", "azureml:")): pass',
    ],
)
def test_what_is_planted_is_found(source):
    assert violations("planning/plan.py", source, names()) != []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("planning/plan.py", 'if name == "azurelike" or "localhost" in text: pass'),
        ("planning/plan.py", '"""Of azure-nc6."""\nhelp(text="local, azure-nc6, ...")'),
        ("backends/azure/cluster.py", 'name.removeprefix("azure-")'),
        ("data/idx.py", 'if name == "idx": pass'),
    ],
)
def test_what_is_no_decision_or_the_plugins_own_passes(file, source):
    assert violations(file, source, names()) == []


def test_a_planted_mention_is_found():
    assert mentions("api/runs.py", 'backend = "azure"', names()) == {("api/runs.py", "azure")}
