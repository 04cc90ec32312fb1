"""A run, packed for a node: run.json, wheels of what no index has, and nothing else of this machine's disk.

Nothing here talks to Azure, and the same run gives the same files.
"""

import dataclasses
import shlex
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from keras_azure.backends.azure.manifest import FileSet, files_of_dataset, files_of_weights
from keras_azure.backends.azure.wheels import make_wheel, packages_of
from keras_azure.data import Dataset, has_requirements
from keras_azure.data.local_files import moved
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.description.folder import DESCRIPTION
from keras_azure.errors import BrokenPlugin
from keras_azure.files import write_text
from keras_azure.keras_engine import asked_engine
from keras_azure.registry.registry import DATASETS, as_spec
from keras_azure.registry.specs import Spec

DATA, WEIGHTS, OUTPUT = "data", "weights", "run"  # the job's inputs and its output


@dataclass(frozen=True)
class Staged:
    """What goes to Azure.

    Attributes:
        code: the folder of the job's code.
        requirements: what pip is to install in the job's environment, with versions.
        data, weights: files that are uploaded once; None where there are none.
        asset: data that is in the workspace already, as Azure ML calls it: "azureml:mnist:1".
        arguments: of `kaz run`, beside run.json.
    """

    code: Path
    requirements: tuple[str, ...]
    data: FileSet | None
    weights: FileSet | None
    asset: str | None
    arguments: tuple[str, ...] = ()

    @property
    def code_files(self) -> list[tuple[str, int]]:
        """Names and sizes in bytes."""
        found = sorted(path for path in self.code.rglob("*") if path.is_file())
        return [(path.relative_to(self.code).as_posix(), path.stat().st_size) for path in found]


def stage(config: RunConfig, folder: Path, observer: Observer) -> Staged:
    """Writes the job's code into `folder`/code.

    Args:
        config: with its names resolved.
        folder: where nothing is that is still needed.
    """
    code = folder / "code"
    shutil.rmtree(code, ignore_errors=True)
    (code / "wheels").mkdir(parents=True)
    data_spec, model = as_spec(config.data), as_spec(config.model)
    dataset = DATASETS.build(config.data_to_open)
    data = files_of_dataset(data_spec, dataset, observer)
    weights = _weights(model, observer)
    asset: str | None = getattr(dataset, "asset", None)
    arguments: tuple[str, ...] = ()
    # By name: the node does not know what Keras is set to here.
    engine = asked_engine(config.engine)
    changes: dict[str, Any] = {"backend": "local", "engine": engine if engine != "tensorflow" else config.engine}
    if asset is not None:
        arguments = tuple(_data_arguments(data_spec))
        changes["data"] = DATA
    elif data is not None:
        changes["data"] = str(moved(data_spec, DATA))
    if weights is not None:
        changes["model"] = str(model.with_options(weights=weights.files[0].name))
    node_config = dataclasses.replace(config, **changes)
    write_text(code / DESCRIPTION, node_config.to_json())
    plugins = [(registry.kind, spec) for registry, spec in config.plugins()]
    packages = packages_of(plugins, engine, _requirements(data_spec, dataset))
    for package in packages.shipped:
        observer.message(f"Packing {package.metadata['Name']} {package.version}, which no index has")
        make_wheel(package, code / "wheels")
    return Staged(code, packages.pinned, data, weights, asset, arguments)


def conda_file(requirements: Iterable[str]) -> dict[str, object]:
    """The environment of a job, in conda's words: this Python, and packages from the index."""
    python = f"python={sys.version_info.major}.{sys.version_info.minor}"
    return {
        "name": "keras-azure",
        "channels": ["conda-forge"],
        "dependencies": [python, "pip", {"pip": list(requirements)}],
    }


def _requirements(spec: Spec, dataset: Dataset) -> list[str]:
    """What the files of a data set, which was asked for them, take to be read beside its plugin's package."""
    if not has_requirements(dataset):
        return []
    try:
        return [str(Requirement(text)) for text in dataset.requirements()]
    except Exception as error:  # a plugin may raise anything
        raise BrokenPlugin(
            f"The data set {spec} cannot say what its files take to be read: {type(error).__name__}: {error}.",
            expected="requirements() that gives texts such as 'keras-azure[heic]'",
        ) from error


def _weights(model: Spec, observer: Observer) -> FileSet | None:
    weights = model.options.get("weights")
    if not isinstance(weights, str):
        return None
    places = (Path(weights) / "model.keras", Path(weights))  # of a run its model, as the model itself takes it
    file = next((path for path in places if path.is_file()), None)
    return files_of_weights(file, observer) if file else None


def _data_arguments(dataset: Spec) -> Iterable[str]:
    """The options of data whose kind only the node finds out."""
    size = dataset.options.get("image_size")
    if isinstance(size, tuple):
        yield f"--image-size {size[0]} {size[1]}"
    elif size:
        yield f"--image-size {size}"
    if dataset.options.get("skip_unreadable"):
        yield "--skip-unreadable"
    if split_names := dataset.options.get("split_names"):
        yield f"--split-names {shlex.quote(str(split_names))}"
    if depth := dataset.options.get("bit_depth"):
        yield f"--bit-depth {depth}"
