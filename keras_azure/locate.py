"""Which data set a `--data` text means: a registered name, `tfds:NAME`, or a folder, which is recognised by its content.

Only names are looked at here, so that a wrong path is reported before anything heavy loads.
"""

import os
from pathlib import Path

from keras_azure import specs
from keras_azure.errors import DataError, SpecError, UnknownName
from keras_azure.registry import DATASETS
from keras_azure.specs import Spec

IDX_NAME = "idx3-ubyte"  # in the name of every IDX file of pictures: train-images-idx3-ubyte.gz
_TFDS = "tfds:"


def find_dataset(text: str) -> Spec:
    """The data set's spec, with absolute paths, so that it means the same from any folder.

    Raises:
        UnknownName: no data set is called so and no folder is there.
        DataError: the path holds neither IDX files nor folders of pictures.
    """
    if text.startswith(_TFDS):
        return Spec("tfds", {"name": text.removeprefix(_TFDS)})
    spec = _registered(text)
    if spec is None:
        return _recognise(Path(text).expanduser())
    DATASETS.find(spec)  # two packages may claim the name
    path = spec.options.get("path")
    return spec if path is None else spec.with_options(path=_absolute(Path(str(path)).expanduser()))


def _registered(text: str) -> Spec | None:
    try:
        spec = specs.parse(text)
    except SpecError:
        # A call is meant to be a spec; anything else that is no name may well be a path.
        if text.rstrip().endswith(")") and not Path(text).exists():
            raise
        return None
    known = {entry.name for entry in DATASETS.entries()}
    if spec.name in known:
        return spec
    if Path(text).expanduser().exists():
        return None
    hint = f"kaz list datasets, or the path of a folder ({_absolute(Path(text))} does not exist)"
    raise UnknownName.among(DATASETS.kind, spec.name, known, hint=hint)


def _recognise(path: Path) -> Spec:
    if not path.is_dir():
        problem = "is a file, not a folder" if path.exists() else "does not exist"
        raise DataError(
            f"The data folder {path} {problem}.",
            expected="a folder of IDX files, or one folder of pictures per class",
            hint="kaz list datasets shows the data sets that go by name",
        )
    try:
        with os.scandir(path) as found:
            children = sorted(found, key=lambda child: child.name)
    except OSError as error:
        raise DataError(f"The data folder {path} cannot be read: {error.strerror}.") from error
    if any(IDX_NAME in child.name for child in children):
        return Spec("idx", {"path": _absolute(path)})
    if any(child.is_dir() and not child.name.startswith(".") for child in children):
        return Spec("folder", {"path": _absolute(path)})
    inside = ", ".join(child.name for child in children[:3]) or "nothing"
    raise DataError(
        f"The data folder {path} is no data set: it holds {inside}{', ...' if len(children) > 3 else ''}.",
        expected="train-images-idx3-ubyte and its three fellows, or folders named after classes with pictures in them",
    )


def _absolute(path: Path) -> str:
    return str(path.absolute().resolve())
