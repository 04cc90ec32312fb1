"""Which data set a `--data` text means: a registered name, `tfds:NAME`, `azureml:NAME:VERSION`, or a folder.

A folder is recognised by its content.

Only names are looked at here, so that a wrong path is reported before anything heavy loads.
"""

from pathlib import Path

from keras_azure.errors import DataError, SpecError, UnknownName
from keras_azure.registry import specs
from keras_azure.registry.registry import DATASETS
from keras_azure.registry.specs import Spec

IDX_NAME = "idx3-ubyte"  # in the name of every IDX file of pictures: train-images-idx3-ubyte.gz
_TFDS = "tfds:"
_AZUREML = "azureml:"


def find_dataset(text: str) -> Spec:
    """The data set's spec, with absolute paths, so that it means the same from any folder.

    Raises:
        UnknownName: no data set is called so and no folder is there.
        DataError: the path holds neither IDX files nor folders of pictures.
    """
    if text.startswith(_TFDS):
        return Spec("tfds", {"name": text.removeprefix(_TFDS)})
    if text.startswith(_AZUREML):
        return Spec("azureml", {"asset": text})
    spec = _registered(text)
    if spec is None:
        return _recognise(_path(text))
    DATASETS.find(spec)  # two packages may claim the name
    path = spec.options.get("path")
    return spec if path is None else spec.with_options(path=str(_path(str(path))))


def _registered(text: str) -> Spec | None:
    try:
        spec = specs.parse(text)
    except SpecError:
        # A call is meant to be a spec; anything else that is no name may well be a path.
        if text.rstrip().endswith(")") and not _exists(text):
            raise
        return None
    known = {entry.name for entry in DATASETS.entries()}
    if spec.name in known:
        return spec
    if _exists(text):
        return None
    hint = f"kaz list datasets, or the path of a folder ({Path(text).absolute()} does not exist)"
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
        children = sorted(path.iterdir())
        if any(IDX_NAME in child.name for child in children):
            return Spec("idx", {"path": str(path)})
        if any(child.is_dir() and not child.name.startswith(".") for child in children):
            return Spec("folder", {"path": str(path)})
    except OSError as error:
        raise DataError(f"The data folder {path} cannot be read: {error.strerror}.") from error
    inside = ", ".join(child.name for child in children[:3]) or "nothing"
    raise DataError(
        f"The data folder {path} is no data set: it holds {inside}{', ...' if len(children) > 3 else ''}.",
        expected="train-images-idx3-ubyte and its three fellows, or folders named after classes with pictures in them",
    )


def _path(text: str) -> Path:
    """The absolute path, which need not exist.

    Raises:
        DataError: the text can be no path, or the system does not let us look.
    """
    try:
        path = Path(text).expanduser().absolute().resolve()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # too long; an unknown ~user or a ring of links; a null byte
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"The data folder {text!r} cannot be looked at: {reason}.") from error
    return path


def _exists(text: str) -> bool:
    try:
        return _path(text).exists()
    except DataError:
        return False
