"""Which files of this machine's disk a data set is made of, and what they are called where they are taken."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from keras_azure.data import Dataset, DatasetOfFiles, tells_files
from keras_azure.data.formats.entries import files_below, links_below
from keras_azure.data.locate import paths_in, shadowed
from keras_azure.description.events import Observer
from keras_azure.errors import BrokenPlugin, DataError, KerasAzureError
from keras_azure.registry.registry import DATASETS, as_spec
from keras_azure.registry.specs import Spec


@dataclass(frozen=True)
class LocalFile:
    """A file, and the name that it has among those of its data set, with slashes."""

    name: str
    path: Path


def is_here(spec: str | Spec) -> bool:
    """Whether a data set can be looked at on this machine without fetching anything.

    Raises:
        KerasAzureError: there is no such data set, or it does not take these options.
    """
    spec = as_spec(spec)
    return tells_files(DATASETS.build(spec)) or bool(paths_in(spec))


def local_files(spec: Spec, dataset: Dataset, observer: Observer) -> list[LocalFile]:
    """The files that a data set is made of; none for one that goes by name. Each has the name that it has below the
    path of its option, or its own name where the option names the file itself.

    Args:
        spec: with absolute paths.
        dataset: what the spec builds, not opened.

    Raises:
        DataError: there are none where there should be some, or they cannot be taken.
        BrokenPlugin: the data set fails, or names a file that none of its options leads to.
    """
    roots = _roots(spec)
    if note := shadowed(spec):
        observer.message(note)
    if tells_files(dataset):
        paths = _asked(spec, dataset, observer)
    else:
        paths = [file for root in roots for file in _all_of(root, spec)]
    if roots and not paths:
        raise DataError(
            f"There are no files to upload in {' and '.join(map(str, roots))}.",
            hint="kaz preview --data shows what is in a folder",
        )
    return [LocalFile(_place(path, roots, spec).as_posix(), path) for path in paths]


def moved(spec: Spec, folder: str) -> Spec:
    """The spec that a data set has where its files lie in `folder`, under the names that `local_files` gives them."""
    roots = _roots(spec)
    places = {option: folder / _place(Path(path), roots, spec) for option, path in paths_in(spec).items()}
    return spec.with_options(**{option: place.as_posix() for option, place in places.items()})


def _roots(spec: Spec) -> dict[Path, PurePosixPath]:
    """The paths of a data set's options that lie below no other, and the place of each among its files."""
    paths = {Path(os.path.normpath(path)): option for option, path in paths_in(spec).items()}
    outer = {path: option for path, option in paths.items() if not paths.keys() & set(path.parents)}
    within = outer if len(outer) > 1 else dict.fromkeys(outer, "")
    return {path: PurePosixPath(within[path], "" if path.is_dir() else path.name) for path in outer}


def _place(path: Path, roots: dict[Path, PurePosixPath], spec: Spec) -> PurePosixPath:
    """The place of a path among the files of its data set: below an option's folder, or beside the one file named."""
    path = Path(os.path.normpath(path))  # without "..", which would lead out again
    for root, place in roots.items():
        if path.is_relative_to(root):
            return place / path.relative_to(root)
        if len(roots) == 1 and path.is_relative_to(root.parent) and root.is_file():
            return place.parent / path.relative_to(root.parent)
    raise BrokenPlugin(
        f"The data set {spec.name!r} is made of {path}, to which none of its options leads.",
        expected="files that an option called `path`, `..._path` or `..._folder` names, or that lie below the folder "
        "that it names; or, where it is the only one, below that of the file that it names",
    )


def _asked(spec: Spec, dataset: DatasetOfFiles, observer: Observer) -> list[Path]:
    try:
        return [*dict.fromkeys(map(Path, dataset.files(observer)))]
    except KerasAzureError:
        raise
    except Exception as error:  # a plugin may raise anything
        raise BrokenPlugin(
            f"The data set {spec} cannot say which files it is made of: {type(error).__name__}: {error}.",
            expected="files(observer) that gives paths",
        ) from error


def _all_of(path: Path, spec: Spec) -> list[Path]:
    """All files at a path, of a data set that does not say which are its own.

    Links are refused: whether it reads what they lead to is unknown, and that may be any file of this machine.
    """
    if path.is_file():
        return [path]
    try:
        link = next(links_below(path), None)
        files = [file for file in files_below(path) if file.is_file()]
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}.") from error
    if link is not None:
        raise DataError(
            f"{link} is a link, and the data set {spec.name!r} does not say whether it reads it.",
            hint="put the file itself there; or give the data set a method files(observer)",
        )
    return files
