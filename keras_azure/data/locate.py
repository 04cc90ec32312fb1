"""Which data set a `--data` text means: a registered name, a text that begins with one (`tfds:mnist`), or a path, which
the data sets themselves recognise.

Nothing heavy loads here, so that a wrong path is reported at once. Data sets of other packages are imported only where
none of ours recognises a path.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from keras_azure.description.commands import command
from keras_azure.errors import AmbiguousName, DataError, SpecError, UnknownName
from keras_azure.registry import specs
from keras_azure.registry.registry import DATASETS, Entry
from keras_azure.registry.specs import Spec

_OURS = "keras_azure."  # the modules of this package, which are light


def find_dataset(text: str) -> Spec:
    """The data set's spec, with absolute paths, so that it means the same from any folder.

    Raises:
        UnknownName: no data set is called so and nothing of that name is there.
        DataError: the path holds no data set.
        AmbiguousName: two packages claim the name, or recognise the path.
        SpecError: it was given in Python, and the text alone is left.
    """
    if isinstance(text, specs.Given):
        return text.spec
    if (spec := _addressed(text)) is not None:
        return spec
    spec = _registered(text)
    if spec is None:
        return _recognise(_path(text))
    DATASETS.find(spec)  # two packages may claim the name
    return spec.with_options(**{option: str(_path(path)) for option, path in paths_in(spec).items()})


def shadowed(spec: Spec) -> str:
    """A line for a data set that goes by its name alone, where there is a folder or a file of that name; else empty."""
    if any(isinstance(value, str) for value in spec.options.values()) or spec.given is not None:
        return ""
    if not specs.is_name(spec.name) or not _exists(spec.name):
        return ""
    kind = "a folder" if Path(spec.name).is_dir() else "a file"
    return f"{spec.name} is the data set of that name. There is {kind} {spec.name} here, too: --data ./{spec.name}"


def paths_in(spec: Spec) -> dict[str, str]:
    """The options of a data set that are paths: by their names, as nothing is imported to know it."""
    return {
        option: value
        for option, value in spec.options.items()
        if isinstance(value, str) and (option == "path" or option.endswith(("_path", "_folder")))
    }


def _addressed(text: str) -> Spec | None:
    """What `NAME:TEXT` means to the data set NAME; None if there is no such one, or it makes nothing of texts."""
    name, colon, _ = text.partition(":")
    if not colon or name not in {entry.name for entry in DATASETS.entries()}:
        return None
    from_text = getattr(DATASETS.load(Spec(name)), "from_text", None)
    return None if from_text is None else Spec(name, from_text(text))


def _registered(text: str) -> Spec | None:
    try:
        spec = specs.parse(text)
    except SpecError:
        # A call is meant to be a spec; anything else that is no name may well be a path.
        if (text.rstrip().endswith(")") or specs.is_object(text)) and not _exists(text):
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
    if not path.exists():
        raise _no_dataset(path, "does not exist")
    try:
        inside = sorted(child.name for child in path.iterdir()) if path.is_dir() else None
    except OSError as error:
        raise DataError(f"The data folder {path} cannot be read: {error.strerror}.") from error
    entries = DATASETS.entries()
    ours = [entry for entry in entries if entry.target.startswith(_OURS)]
    theirs = [entry for entry in entries if entry not in ours]
    broken: list[str] = []
    for asked in (ours, theirs):
        found = [*_recognising(path, asked, broken)]
        if len(found) > 1:
            raise AmbiguousName(
                f"The data {path} is recognised by {' and '.join(found)}.",
                hint=command("--data", Spec(found[0], {"path": str(path)})),
            )
        if found:
            return Spec(found[0], {"path": str(path)})
    note = f"; {', '.join(broken)} cannot be loaded: kaz check" if broken else ""
    if inside is None:
        raise _no_dataset(path, "is a file of no data set", note)
    named = ", ".join(inside[:3]) or "nothing"
    raise DataError(
        f"The data folder {path} is no data set: it holds {named}{', ...' if len(inside) > 3 else ''}.",
        expected="train-images-idx3-ubyte and its three fellows, or folders named after classes with pictures in them",
        hint=note.removeprefix("; "),
    )


def _recognising(path: Path, entries: Iterable[Entry], broken: list[str]) -> Iterator[str]:
    """The names of the data sets that recognise a path; `broken` gets those that cannot say."""
    for name in sorted({entry.name for entry in entries if specs.is_name(entry.name)}):
        try:
            recognises = getattr(DATASETS.load(Spec(name)), "recognises", None)
            if recognises is not None and recognises(path):
                yield name
        except Exception:  # somebody's plugin, which may have nothing to do with this path
            broken.append(name)


def _no_dataset(path: Path, problem: str, note: str = "") -> DataError:
    return DataError(
        f"The data folder {path} {problem}.",
        expected="one folder of pictures per class, a .zip or .tar file of such folders, a folder of IDX files, "
        "a table such as .csv, or files such as .npz and .parquet",
        hint=f"kaz list datasets shows the data sets that go by name{note}",
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
