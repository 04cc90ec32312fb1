"""What a listing of files means as a data set of images: which are its splits, its classes, and the images of each.

A listing comes from a disk (entries.py) or from an archive; nothing here looks at a file. What is left out is noted,
and what could be meant in two ways is refused: no folder is silently another thing.
"""

import unicodedata
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from keras_azure.data.formats.class_names import problem_with
from keras_azure.data.formats.litter import IDX_IMAGES, is_litter, may_be_image
from keras_azure.data.formats.options import SPLITS
from keras_azure.data.formats.split_names import AS_CLASSES, parse_split_names, said_of_splits, usual_split
from keras_azure.description.commands import command
from keras_azure.errors import DataError

UNLABELLED = "unlabelled"  # the one class of a folder whose images have no classes
LAYOUT = "folders named after classes with images in them, at the top or within train and test"
_DEEPEST_HINT = 5  # folders, in which data is looked for that is not where it should be
_MOST_SPLITS = 50  # folders, of which each is compared with each other; more are not splits


@dataclass(frozen=True)
class Listing:
    """What is there, before anybody has looked at what it is.

    Attributes:
        files: of each file the path below the root, with slashes, in any order.
        folders: paths of folders; those that hold files need not be among them.
        notes: what was not looked into, and why; a line each.
    """

    files: Sequence[str]
    folders: Sequence[str] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClassFolders:
    """What a listing means: the images of each class in each split.

    Attributes:
        place: what the data is called in messages: "/a/b", "photos.zip".
        splits: for each split and class the paths of what may be its images. Class names are in Unicode's composed
            form (NFC). There is always "train"; without "test" some of its images are to be tested on.
        folders: the folder of each split below the root; "" is the root itself. Where each class has folders for the
            splits, this is the name of one of them.
        notes: what was left out, and how folders were understood that are called otherwise than usual; a line each.
        is_labelled: whether the classes say what is in the images; else there is one, `UNLABELLED`.
    """

    place: str
    splits: dict[str, dict[str, list[str]]]
    folders: dict[str, str]
    notes: tuple[str, ...] = ()
    is_labelled: bool = True

    @property
    def paths(self) -> list[str]:
        """Of all images, sorted."""
        return sorted(path for classes in self.splits.values() for found in classes.values() for path in found)

    @property
    def origins(self) -> str:
        """Where the splits come from, for the line that a run begins with; empty if there is nothing to say."""
        said = []
        unusual = [folder for split, folder in self.folders.items() if folder not in ("", split)]
        if unusual:
            said.append(f"splits taken from {some_of([*self.folders.values()])}")
        return "; ".join([*said, *said_of_splits(self.splits)])

    def only(self, kept: Container[str]) -> "ClassFolders":
        """Without the images that are not among `kept`; the notes say which classes have none now.

        Raises:
            DataError: what is left is nothing to train a classifier on.
        """
        splits = {
            split: {name: [path for path in found if path in kept] for name, found in classes.items()}
            for split, classes in self.splits.items()
        }
        return _checked(self.place, splits, self.folders, (), is_labelled=self.is_labelled)


def class_folders(listing: Listing, place: str, *, split_names: str = "", labels: bool = True) -> ClassFolders:
    """What a listing means.

        class_folders(Listing(["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"]), "pets.zip")

    Args:
        listing: what is there.
        place: what it is called in messages.
        split_names: which folders are the splits, as `parse_split_names` understands it; "none" if none is one. By
            default those that are called as splits usually are.
        labels: whether images without classes are refused.

    Raises:
        DataError: it is not laid out as a data set, or could be meant in two ways.
        ValueError: `split_names` cannot be understood.
    """
    named = parse_split_names(split_names)
    root, notes = _tree(listing)
    try:
        return _labelled(root, place, named, split_names.strip(), notes)
    except DataError as error:
        if labels:
            raise
        splits, folders = _without_labels(root, named)
        if not any(splits["train"].values()):
            raise
        notes += (f"The images are taken without classes: {error.problem}",)
        return _checked(place, splits, folders, notes, is_labelled=False)


@dataclass
class _Folder:
    """A folder of the listing; what is litter is not in it."""

    path: str
    files: list[str] = field(default_factory=list)
    folders: dict[str, "_Folder"] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_empty(self) -> bool:
        return not self.files and all(folder.is_empty for folder in self.folders.values())

    @property
    def filled(self) -> "list[_Folder]":
        """Its folders that have a file somewhere, by name."""
        return [self.folders[name] for name in sorted(self.folders) if not self.folders[name].is_empty]

    @property
    def class_names(self) -> set[str]:
        """What its folders with files are called, in the composed form."""
        return {_composed(folder.name) for folder in self.filled}

    @property
    def holds_folders_alone(self) -> bool:
        return bool(self.filled) and not any(map(_is_image_by_name, self.files))

    @property
    def core(self) -> "_Folder":
        """Itself, or what it holds where that is one folder and nothing else: archives are unpacked so."""
        folder = self
        while folder.holds_folders_alone and len(folder.filled) == 1:
            folder = folder.filled[0]
        return folder

    def all_files(self) -> Iterator[str]:
        yield from self.files
        for folder in self.folders.values():
            yield from folder.all_files()

    def below(self, path: str) -> "_Folder | None":
        """The folder of this path below it: exactly so, else in another case or Unicode form if that is one alone."""
        folder = self
        for part in path.split("/"):
            alike = [name for name in folder.folders if _composed(name).casefold() == _composed(part).casefold()]
            if part not in folder.folders and len(alike) != 1:
                return None
            folder = folder.folders[part if part in folder.folders else alike[0]]
        return folder


def _tree(listing: Listing) -> tuple[_Folder, tuple[str, ...]]:
    root, hidden = _Folder(""), set()
    made = {"": root}

    def folder_of(path: str) -> _Folder | None:
        """The folder of a path; None if it is litter or hidden, or lies within what is."""
        if path in made:
            return made[path]
        above, _, name = path.rpartition("/")
        parent = folder_of(above)
        if parent is None or is_litter(name) or name.startswith("."):
            if parent is not None and not is_litter(name):
                hidden.add(path)
            return None
        made[path] = parent.folders[name] = _Folder(path)
        return made[path]

    for path in listing.folders:
        folder_of(path)
    for path in listing.files:
        above, _, name = path.rpartition("/")
        parent = folder_of(above)
        if parent is None or is_litter(name):
            continue
        if name.startswith("."):
            hidden.add(path)
        else:
            parent.files.append(path)
    notes = listing.notes
    if hidden:
        notes += (f"Left out, as hidden files and folders are: {some_of(hidden)}",)
    return root, notes


def _labelled(
    root: _Folder, place: str, named: Mapping[str, str], split_names: str, notes: tuple[str, ...]
) -> ClassFolders:
    try:
        if inverted := {} if split_names else _splits_in_classes(root, place):
            return _from_inverted(root, place, inverted, notes)
        found, said = _named_splits(root, place, named) if split_names else (_usual_splits(root, place), ())
        notes += said
        splits: dict[str, dict[str, list[str]]] = {}
        for split, folder in found.items():
            if not split_names:
                _refuse_splits_as_classes(folder, place, found)
            splits[split], merged = _classes_of(folder)
            notes += merged
        looked_into = {folder.path: folder for folder in (root, *found.values())}
        notes += _left_out(looked_into)
        return _checked(place, splits, {split: each.path for split, each in found.items()}, notes, is_labelled=True)
    except DataError as error:
        if not error.hint and (hint := _where_it_is(root, place)):
            raise DataError(error.problem, expected=error.expected, hint=hint) from None
        raise


def _from_inverted(
    root: _Folder, place: str, inverted: Mapping[str, Mapping[str, _Folder]], notes: tuple[str, ...]
) -> ClassFolders:
    within = {folder.name for classes in inverted.values() for folder in classes.values()}
    notes += (f"The folders {some_of(within)} within each class are taken as splits.",)
    splits = {
        split: {name: list(folder.all_files()) for name, folder in classes.items()}
        for split, classes in inverted.items()
    }
    folders = {split: next(iter(classes.values())).name for split, classes in inverted.items()}
    return _checked(place, splits, folders, notes + _left_out({"": root}), is_labelled=True)


def _classes_of(folder: _Folder) -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """The files of each class; folders whose names are the same text in two forms are one class."""
    classes: dict[str, list[str]] = {}
    notes: list[str] = []
    for child in folder.filled:
        name = _composed(child.name)
        if name in classes:
            notes.append(
                f"Two folders called {name!r} in {folder.path or 'the data'}, written in two forms, are one class."
            )
        classes.setdefault(name, []).extend(child.all_files())
    return classes, tuple(notes)


def _usual_splits(root: _Folder, place: str) -> dict[str, _Folder]:
    """The folder of each split; the root itself is that of "train" where no folders are called as splits are."""
    splits: dict[str, list[_Folder]] = {}
    for folder in root.filled:
        if (split := usual_split(folder.name)) is not None:
            splits.setdefault(split, []).append(folder)
    others = [folder for folder in root.filled if usual_split(folder.name) is None]
    # A class may be called "train", too: it is the split if there is another one, or nothing else.
    if "train" not in splits:
        return {"train": root}
    if len(splits) == 1 and others:
        for train in splits["train"]:
            if train.holds_folders_alone and len(train.filled) > 1:
                raise _beside(train, others, place)
        return {"train": root}
    for split, folders in splits.items():
        if len(folders) > 1:
            names = " and ".join(_full(place, folder.path) for folder in folders)
            first = {each: splits[each][0] for each in SPLITS if each in splits}
            raise DataError(
                f"The folders {names} would both be the {split} split.",
                hint=f"--split-names {_as_option(first)}, with the one that is meant",
            )
    found = {split: splits[split][0] for split in SPLITS if split in splits}
    if any(map(_may_hold_images, others)):
        raise _beside(found["train"], [folder for folder in others if _may_hold_images(folder)], place)
    return found


def _beside(train: _Folder, others: Sequence[_Folder], place: str) -> DataError:
    names = some_of([folder.name for folder in others])
    return DataError(
        f"The image folder {place} holds the split folder {train.name}, and beside it {names}.",
        expected=LAYOUT,
        hint=f"move it elsewhere, or into {train.name} if it is a class; --split-names {_as_option({'train': train})} "
        f"leaves out what is called unlike a split, --split-names {AS_CLASSES} takes all folders as classes",
    )


def _named_splits(root: _Folder, place: str, named: Mapping[str, str]) -> tuple[dict[str, _Folder], tuple[str, ...]]:
    """The folders that the option names, and those of the other splits that are called as usual."""
    if not named:
        return {"train": root}, ()
    found: dict[str, _Folder] = {}
    for split, path in named.items():
        folder = root.below(path)
        if folder is None:
            raise DataError(
                f"The image folder {place} has no folder {path}, which is to be the {split} split.",
                expected=f"one of {some_of([each.name for each in root.filled])}" if root.filled else LAYOUT,
                hint="--split-names train=FOLDER,test=FOLDER",
            )
        found[split] = folder
    taken = {folder.path for folder in found.values()}
    for split in SPLITS:
        usual = [each for each in root.filled if usual_split(each.name) == split and each.path not in taken]
        if split not in found and len(usual) == 1 and not any(path.startswith(usual[0].path + "/") for path in taken):
            found[split] = usual[0]
    if "train" not in found:
        raise DataError(
            f"No folder of {place} is named as its train split.",
            expected=f"one of {some_of([each.name for each in root.filled])}" if root.filled else LAYOUT,
            hint="--split-names train=FOLDER,test=FOLDER",
        )
    used = {folder.path.split("/")[0] for folder in found.values()}
    beside = [folder.name for folder in root.filled if folder.name not in used]
    notes = (f"Left out, as no split is named after it: {some_of(beside)}",) if beside else ()
    return {split: found[split] for split in SPLITS if split in found}, notes


def _splits_in_classes(root: _Folder, place: str) -> dict[str, dict[str, _Folder]]:
    """The folders of each split and class, where every class has folders that are called as splits are."""
    classes = root.filled
    if len(classes) < 2 or any(usual_split(folder.name) is not None for folder in classes):
        return {}
    split_of = [
        {each.name: usual_split(each.name) for each in folder.filled} if folder.holds_folders_alone else {}
        for folder in classes
    ]
    are_splits = [bool(found) and None not in found.values() for found in split_of]
    if not all(are_splits):
        return {}
    splits: dict[str, dict[str, _Folder]] = {}
    for folder in classes:
        for each in folder.filled:
            by_class = splits.setdefault(usual_split(each.name) or "", {})
            if _composed(folder.name) in by_class:
                raise DataError(
                    f"The class folder {_full(place, folder.path)} has two folders that would be one split: "
                    f"{by_class[_composed(folder.name)].name} and {each.name}.",
                    expected=LAYOUT,
                )
            by_class[_composed(folder.name)] = each
    if "train" not in splits:
        return {}
    return {split: splits[split] for split in SPLITS if split in splits}


def _refuse_splits_as_classes(folder: _Folder, place: str, splits: Mapping[str, _Folder]) -> None:
    """Refuses what would train the splits of a data set, or whatever its folders are, as classes."""
    children = folder.filled
    whole = [each for each in children if each.core.holds_folders_alone]
    siblings = {_composed(each.name) for each in children}
    for each in whole:
        within = each.core.class_names
        if within & (siblings - {_composed(each.name)}) and within <= siblings:
            raise DataError(
                f"The folder {_full(place, each.path)} holds folders that are called as those beside it: "
                f"{some_of(within)}.",
                expected=LAYOUT,
                hint=f"move those beside it into a folder train, and {each.name} beside that; or --split-names "
                f"{AS_CLASSES} if it is a class",
            )
    for each, other in _of_equal_folders(whole):
        shared = some_of(each.core.class_names & other.core.class_names)
        raise DataError(
            f"The folders {_full(place, other.path)} and {_full(place, each.path)} hold the same folders ({shared}) "
            "and no images of their own: they may be splits.",
            expected=LAYOUT,
            hint=_split_or_class([other, each], folder, splits),
        )
    for each in whole:
        called = {usual_split(name) for name in each.class_names}
        if len(children) > 1 and len(called) > 1 and "train" in called and None not in called:
            raise DataError(
                f"The class folder {_full(place, each.path)} holds folders that are called as splits are "
                f"({some_of(each.class_names)}), and others beside it do not.",
                expected=LAYOUT,
                hint=f"--split-names {AS_CLASSES} to train all of it",
            )


def _of_equal_folders(whole: Sequence[_Folder]) -> Iterator[tuple[_Folder, _Folder]]:
    """Pairs of folders of which one holds all folders that the other does, two or more."""
    seen: dict[frozenset[str], _Folder] = {}
    few = len(whole) <= _MOST_SPLITS
    for each in whole:
        names = frozenset(each.core.class_names)
        if len(names) < 2:
            continue
        if names in seen:
            yield each, seen[names]
        elif few:
            yield from ((each, other) for others, other in seen.items() if names < others or others < names)
        seen.setdefault(names, each)


def _split_or_class(alike: Sequence[_Folder], above: _Folder, splits: Mapping[str, _Folder]) -> str:
    if above.path:
        return f"--split-names {_as_option(splits)} if they are classes"
    likely = sorted(alike, key=lambda each: ("train" not in each.name.casefold(), -sum(1 for _ in each.all_files())))
    guess = dict(zip(("train", "test"), (each.core for each in likely), strict=True))
    return f"--split-names {_as_option(guess)} if they are splits; --split-names {AS_CLASSES} if they are classes"


def _as_option(splits: Mapping[str, _Folder]) -> str:
    return command(",".join(f"{split}={folder.path}" for split, folder in splits.items()))


def _left_out(folders: Mapping[str, _Folder]) -> tuple[str, ...]:
    """Of what may be images beside the folders of classes, and of folders with nothing in them."""
    strays = [path for folder in folders.values() for path in folder.files if _is_image_by_name(path)]
    empty = {each.path for folder in folders.values() for each in folder.folders.values() if each.is_empty}
    return tuple(
        f"Left out, as {why}: {some_of(set(paths))}"
        for why, paths in (("they are in no class folder", strays), ("there is nothing in it", empty))
        if paths
    )


def _without_labels(root: _Folder, named: Mapping[str, str]) -> tuple[dict[str, dict[str, list[str]]], dict[str, str]]:
    """All images as one class, in the splits whose folders are called as usual."""
    usual = [(usual_split(folder.name), folder) for folder in root.filled if not named]
    found = {split: folder for split, path in named.items() if (folder := root.below(path)) is not None}
    found = found or {split: folder for split, folder in usual if split is not None}
    is_all = named or (len(found) == len(usual) and not any(map(_is_image_by_name, root.files)))
    if "train" not in found or not is_all:
        found = {"train": root}
    splits = {
        split: {UNLABELLED: [path for path in found[split].all_files() if may_be_image(path.rpartition("/")[2])]}
        for split in SPLITS
        if split in found
    }
    return splits, {split: found[split].path for split in splits}


def _checked(
    place: str,
    splits: dict[str, dict[str, list[str]]],
    folders: dict[str, str],
    notes: tuple[str, ...],
    *,
    is_labelled: bool,
) -> ClassFolders:
    """Without what is empty, and with a line for it; refuses what no classifier can be trained on.

    Raises:
        DataError: there are not two classes with images, or a class is tested that is not trained.
    """
    empty = [
        _full(folders[split], name) for split, classes in splits.items() for name, found in classes.items() if not found
    ]
    if empty:
        notes += (f"Left out, as no image in it can be read: {some_of(empty)}",)
    for split, classes in splits.items():
        if not classes:
            raise DataError(f"The image folder {_full(place, folders[split])} holds no class folders.", expected=LAYOUT)
    splits = {split: {name: found for name, found in classes.items() if found} for split, classes in splits.items()}
    if is_labelled:
        _check_classes(place, splits, folders)
        notes += _untrained(splits)
    elif not splits["train"]:
        raise DataError(f"The image folder {place} holds no image that can be read.")
    return ClassFolders(place, {split: found for split, found in splits.items() if found}, folders, notes, is_labelled)


def _check_classes(place: str, splits: Mapping[str, Mapping[str, list[str]]], folders: Mapping[str, str]) -> None:
    for split, classes in splits.items():
        for name in classes:
            if problem := problem_with(name):
                raise DataError(f"The class folder {_full(place, folders[split], name)} has a name that {problem}.")
    train, train_folder = splits["train"], _full(place, folders["train"])
    if not train:
        raise DataError(f"The image folder {train_folder} holds no image that can be read.", expected=LAYOUT)
    if len(train) == 1:
        raise DataError(
            f"The image folder {train_folder} has only one class, {next(iter(train))!r}.",
            expected="a folder for each of two classes or more",
        )
    for split, classes in splits.items():
        for name in classes:
            if name not in train:
                alike = next((each for each in train if each.casefold() == name.casefold()), None)
                raise DataError(
                    f"The class folder {_full(place, folders[split], name)} has none of the same name in "
                    f"{train_folder}.",
                    expected="the same classes in all splits",
                    hint="" if alike is None else f"call it {alike}, as there",
                )


def _untrained(splits: Mapping[str, Mapping[str, list[str]]]) -> tuple[str, ...]:
    """Of classes without images to validate or to test on."""
    notes = []
    for split in ("validation", "test"):
        missing = [name for name in splits["train"] if name not in splits.get(split, splits["train"])]
        if missing:
            notes.append(f"There are no {split} images of {some_of(sorted(missing))}.")
    return tuple(notes)


def _where_it_is(root: _Folder, place: str) -> str:
    """Where data lies that is not where it should be: a hint, or nothing."""
    if wrapped := _wrapped_splits(root):
        return f"--split-names {_as_option(wrapped)}"
    level = [root]
    for _ in range(_DEEPEST_HINT):
        for folder in level:
            if any(IDX_IMAGES in path.rpartition("/")[2] for path in folder.files):
                return command("--data", _full(place, folder.path))
            if folder is not root and _is_data(folder, place):
                return command("--data", _full(place, folder.path))
        level = [child for folder in level for child in folder.filled]
    images = sum(map(_is_image_by_name, root.all_files()))
    if images and all(not each.filled for each in root.filled) and len(root.filled) != 1:
        return (
            f"put the images of each class into a folder of its own; those {images} have no classes, which an "
            "autoencoder does not need: kaz run autoencoder"
        )
    return ""


def _wrapped_splits(root: _Folder) -> dict[str, _Folder]:
    """The splits that lie one folder too deep, as train/train/class."""
    splits = {usual_split(each.name): each for each in root.filled}
    if "train" not in splits or None in splits or not 1 < len(splits) == len(root.filled):
        return {}
    cores = {split: splits[split].core for split in SPLITS if split in splits}
    is_wrapped = any(cores[split] is not splits[split] for split in cores)
    return cores if is_wrapped and all(len(each.filled) > 1 for each in cores.values()) else {}


def _is_data(folder: _Folder, place: str) -> bool:
    try:
        splits = _usual_splits(folder, place)
        for each in splits.values():
            _refuse_splits_as_classes(each, place, splits)
        classes = {split: _classes_of(each)[0] for split, each in splits.items()}
        _checked(place, classes, {split: each.path for split, each in splits.items()}, (), is_labelled=True)
    except DataError:
        return False
    return True


def _may_hold_images(folder: _Folder) -> bool:
    return any(map(_is_image_by_name, folder.all_files()))


def _is_image_by_name(path: str) -> bool:
    return may_be_image(path.rpartition("/")[2])


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _full(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def some_of(names: Iterable[str], most: int = 3) -> str:
    """Some of the names, in their order, and how many more there are; a set is sorted.

    >>> some_of(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    names = sorted(names) if isinstance(names, set) else list(names)
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
