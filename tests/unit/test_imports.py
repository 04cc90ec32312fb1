"""Who may import whom: each file's imports are read with `ast`, those inside functions too.

What is reached as text (an entry point, `lazy("module:name")`) is no import: that is how light code reaches heavy code.
Nor is what stands below `if TYPE_CHECKING:`, which nothing but a type checker reads.
"""

import ast
import sys
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import pytest

import keras_azure

REPOSITORY = Path(__file__).parents[2]  # the sources, wherever the package that is tested is installed
PACKAGE = REPOSITORY / "keras_azure"
PLUGINS = REPOSITORY / "plugins"

# A layer: its modules, where a package stands for all that is in it and is not named elsewhere, ...
LAYERS = {
    "light": "__init__ errors files lazy keras_engine redaction registry description data data.azureml "
    "data.formats data.given data.local_files data.locate data.named data.opened_later backends "
    "backends.azure.sizes reporting.charts reporting.curves reporting.notebook reporting.text",
    "command": "cli __main__ api listeners listeners.display",
    "heavy": "data.archive data.array_like data.arrays data.decoding data.digits data.encoded data.figure_text "
    "data.fitted data.folder data.given_arrays data.hashes data.headers data.idx data.images "
    "data.label_forms data.labelled data.labels data.memory data.npz data.orientation data.originals "
    "data.overview data.parquet data.parquet_table data.resizing data.row_groups data.shard_index "
    "data.shown_figure data.sizes data.source data.splits data.store data.streams data.table "
    "data.table_cells data.table_labels data.tfds data.threads data.webdataset augmentations pipeline "
    "models engines explaining planning.operations planning.graph planning.memory throughput.ceiling "
    "throughput.step",
    "tracking": "listeners.tracking",
    "training": "training evaluation testing planning throughput reporting checking comparing",
    "local backend": "backends.local",
    "azure backend": "backends.azure",
}
# ... the layers that it may import beside itself, ...
BELOW = {
    "light": set(),
    "command": {"light"},
    "heavy": {"light"},
    "tracking": {"light"},
    "training": {"light", "heavy", "tracking"},
    "local backend": {"light", "training"},
    "azure backend": {"light"},
}
# ... and the libraries: these alone, where the layer has a line; elsewhere any that no other layer has claimed.
ONLY = {"light": set(), "command": {"typer", "rich"}, "azure backend": {"azure", "packaging", "platformdirs", "yaml"}}
CLAIMED = {
    "tensorflow": "heavy",
    "mlflow": "tracking",
    "azure": "azure backend",
    "azureml": "azure backend",
    "typer": "command",
    "rich": "command",
    "IPython": "command",
}
EXCEPTIONS = {
    ("listeners.display", "IPython"),  # it shows the progress in notebooks
    ("testing.augmentations", "tensorflow"),  # it tries augmentations where they will run, in tf.data
}

PLUGIN_LIBRARIES = {"keras", "sklearn"}
APART = "kaz_azure_emulator"  # a distribution of its own: tests of keras_azure use it, keras_azure does not
PLUGIN_MODULES = {"keras_azure.testing"}


def layer_of(module: str) -> str:
    """The layer of a module of keras_azure, named without the package: "training.saving"."""
    while True:
        for layer, modules in LAYERS.items():
            if module in modules.split():
                return layer
        assert "." in module, f"no layer is named for keras_azure.{module}: add it to LAYERS"
        module = module.rpartition(".")[0]


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def is_module(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def running(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a tree but those that only a type checker reads."""
    yield tree
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            yield from running(node)


def imports(source: str) -> Iterator[tuple[str, str | None]]:
    """`(module, name)` of each `from module import name`, and `(module, None)` of each `import module`."""
    for node in running(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (("." * node.level + (node.module or ""), alias.name) for alias in node.names)


def violations(module: str, source: str) -> Iterator[str]:
    """What a module of keras_azure must not import."""
    layer = layer_of(module)
    for target, name in imports(source):
        library = target.partition(".")[0]
        if library == "":
            yield f"{target} is relative"
        elif library == "keras_azure":
            inside = target.partition(".")[2]
            if name and is_module(f"{inside}.{name}".strip(".")):
                inside = f"{inside}.{name}".strip(".")
            if not inside:
                if name != "__version__":
                    yield f"{name} from keras_azure, which is for users"
            elif layer_of(inside) not in {layer} | BELOW[layer]:
                yield f"keras_azure.{inside} ({layer_of(inside)})"
        elif library not in sys.stdlib_module_names and (module, library) not in EXCEPTIONS:
            if library == APART:
                yield target
                continue
            allowed = library in ONLY[layer] if layer in ONLY else CLAIMED.get(library, layer) == layer
            if not allowed:
                yield target


def plugin_violations(plugin: str, source: str) -> Iterator[str]:
    for target, name in imports(source):
        library = target.partition(".")[0]
        if library == "keras_azure":
            if target not in PLUGIN_MODULES and not (target == "keras_azure" and name in keras_azure.__all__):
                yield f"{name} from {target}"
        elif library not in sys.stdlib_module_names | PLUGIN_LIBRARIES | {plugin}:
            yield target


def test_few_modules_belong_to_no_folder():
    assert len([*PACKAGE.glob("*.py")]) <= 8


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_import_what_their_layer_may(path):
    assert [*violations(module_of(path), path.read_text(encoding="utf-8"))] == []


def imported_modules(module: str, source: str) -> set[str]:
    """The modules of keras_azure that a module imports, named without the package."""
    found = set()
    for target, name in imports(source):
        package, _, inside = target.partition(".")
        if package == "keras_azure":
            named = f"{inside}.{name}".strip(".")
            inside = named if name and is_module(named) else inside
            # With a module its package is imported, unless that is under way already.
            packages = [inside.rsplit(".", count)[0] for count in range(inside.count(".") + 1)]
            found |= {each for each in packages if not f"{module}.".startswith(f"{each}.") or each == inside}
    return found - {""}


def circle(imported: Mapping[str, Set[str]]) -> list[str]:
    """The modules of a circle, each of which imports the next and the last the first; empty where there is none."""
    clear: set[str] = set()

    def search(module: str, way: list[str]) -> list[str]:
        if module in way:
            return way[way.index(module) :]
        if module in clear:
            return []
        for each in sorted(imported.get(module, ())):
            if found := search(each, [*way, module]):
                return found
        clear.add(module)
        return []

    return next(filter(None, (search(module, []) for module in sorted(imported))), [])


def test_no_imports_go_in_a_circle():
    sources = {module_of(path): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert circle({module: imported_modules(module, source) for module, source in sources.items()}) == []


@pytest.mark.parametrize(
    ("imported", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, ["b", "c"]),
        ({"a": {"a"}}, ["a"]),
    ],
)
def test_circles(imported, found):
    assert circle(imported) == found


@pytest.mark.parametrize("path", sorted(PLUGINS.rglob("*.py")), ids=lambda path: str(path.relative_to(PLUGINS)))
def test_plugins_import_what_a_strangers_could(path):
    plugin = path.relative_to(PLUGINS).parts[0]
    assert [*plugin_violations(plugin, path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("errors", "import difflib, importlib.metadata", []),
        ("errors", "if TYPE_CHECKING:\n    import keras\n    from keras_azure.models.saving import load_model", []),
        ("errors", "if not TYPE_CHECKING:\n    import keras", ["keras"]),
        ("errors", "if TYPE_CHECKING:\n    import keras\nimport tensorflow", ["tensorflow"]),
        (
            "description.config",
            "from keras_azure.registry import specs\nfrom keras_azure.data.locate import find_dataset",
            [],
        ),
        ("description.config", "import numpy", ["numpy"]),
        ("description.config", "def f():\n    import keras.layers", ["keras.layers"]),
        ("description.config", "from keras_azure.data import idx", ["keras_azure.data.idx (heavy)"]),
        ("description.config", "from keras_azure import run", ["run from keras_azure, which is for users"]),
        ("description.config", "from .errors import DataError", [".errors is relative"]),
        ("backends", "from keras_azure.backends.local import local", ["keras_azure.backends.local (local backend)"]),
        ("cli.run", "import typer, rich.console\nfrom keras_azure import api", []),
        ("cli.run", "import keras_azure.training", ["keras_azure.training (training)"]),
        ("cli.run", "from IPython.display import display", ["IPython.display"]),
        ("listeners.display", "from IPython.display import display", []),
        ("pipeline", "import tensorflow, numpy\nfrom keras_azure.data.idx import idx", []),
        ("pipeline", "import mlflow", ["mlflow"]),
        ("pipeline", "from kaz_azure_emulator import AzureEmulator", ["kaz_azure_emulator"]),
        ("data.idx", "from keras_azure.training.data import x", ["keras_azure.training.data (training)"]),
        ("data.idx", "from rich.progress import track", ["rich.progress"]),
        ("listeners.tracking", "import mlflow", []),
        ("listeners.tracking", "import keras_azure.pipeline", ["keras_azure.pipeline (heavy)"]),
        ("training.train", "from keras_azure import pipeline\nfrom keras_azure.listeners import tracking", []),
        ("training.train", "from keras_azure.backends import Backend", []),
        ("training.train", "import tensorflow", ["tensorflow"]),
        ("training.train", "from keras_azure.backends import local", ["keras_azure.backends.local (local backend)"]),
        ("testing", "from keras_azure.cli import main", ["keras_azure.cli (command)"]),
        ("backends.local", "from keras_azure.training.train import train", []),
        ("backends.azure.job", "import azure.ai.ml\nfrom keras_azure.backends.azure import sizes", []),
        ("backends.azure.job", "import tensorflow", ["tensorflow"]),
        ("backends.azure.job", "import keras_azure.training", ["keras_azure.training (training)"]),
    ],
)
def test_the_rules(module, source, found):
    assert [*violations(module, source)] == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (
            "import keras, math\nfrom keras_azure import ArrayDataset\nfrom keras_azure.testing import check_model",
            [],
        ),
        ("import tensorflow", ["tensorflow"]),
        ("import kaz_azure_emulator.sizes", ["kaz_azure_emulator.sizes"]),
        ("from keras_azure.registry.registry import MODELS", ["MODELS from keras_azure.registry.registry"]),
        ("from keras_azure import registry", ["registry from keras_azure"]),
        ("import keras_azure.description.config", ["None from keras_azure.description.config"]),
    ],
)
def test_the_rules_for_plugins(source, found):
    assert [*plugin_violations("kaz_cnn", source)] == found
