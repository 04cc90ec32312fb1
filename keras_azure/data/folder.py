"""The data set `folder`: picture files in folders that are named after their classes."""

import hashlib
import os
import unicodedata
from pathlib import Path

import numpy as np

from keras_azure.data.pictures import hash_file, picture_header, read_picture
from keras_azure.data.sizes import DEFAULT_SIZE, check_image_size, different_sizes, in_words
from keras_azure.data.splits import SPLITS, check_index, described, stratified_split
from keras_azure.data.threads import map_in_threads
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UnreadableFile

_SPLIT_FOLDERS = {
    "train": "train",
    "test": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
_LITTER = ("thumbs.db", "desktop.ini")  # what Windows leaves in folders of pictures
_THREADS = 16  # more than processors: a folder may lie on a network drive
_LAYOUT = (
    "folders named after classes with pictures in them, at the top or within train and test; links are not followed"
)

Listing = dict[str, dict[str, list[str]]]  # split -> class name -> paths within the root, with slashes
Header = tuple[int, int, int]  # height, width, channels


def folder(
    *,
    path: str,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    test_split: float = 0.2,
    skip_unreadable: bool = False,
) -> "FolderDataset":
    """A folder of JPEG, PNG, BMP or GIF pictures: `class/picture`, or `train/class/picture` and `test/class/picture`.

    A folder `val`, `valid` or `validation` beside them is the validation split, or the test split where there is no
    `test`. Pictures may lie deeper within the folder of their class. Hidden files and folders are left out.

    Args:
        path: the folder.
        image_size: height and width that all pictures are stretched to. By default they keep their size if they have
            one in common, and are brought to 224x224 if they have not.
        channels: 1 for gray, 3 for colour. By default 3, and 1 if all pictures are gray.
        test_split: the share of each class to test on, where there is only one split.
        skip_unreadable: leaves out what is no picture or is damaged, instead of refusing the folder.
    """
    check_image_size(image_size)
    if channels not in (None, 1, 3):
        raise ValueError(f"channels is 1 or 3, and not {channels}")
    if not 0 < test_split < 1:
        raise ValueError(f"test_split is a share above 0 and below 1, and not {test_split}")
    return FolderDataset(Path(path), image_size, channels, test_split, skip_unreadable)


class FolderDataset:
    """Pictures in class folders, read from their files each time; ready to use after `prepare`."""

    def __init__(
        self,
        root: Path,
        image_size: tuple[int, int] | None,
        channels: int | None,
        test_split: float,
        skip_unreadable: bool,
    ):
        self._root = root
        self._image_size = image_size
        self._channels = channels
        self._test_split = test_split
        self._skip_unreadable = skip_unreadable

    def prepare(self, observer: Observer) -> None:
        """Lists the pictures and looks at the header of each.

        Raises:
            UnreadableFile: a file is no picture, or is damaged.
            DataError: the folder is not laid out as a data set.
        """
        listing, split_folders = _list_pictures(self._root)
        _check_listing(listing, split_folders)
        paths = sorted(path for classes in listing.values() for found in classes.values() for path in found)
        headers = self._look(paths, observer)
        if len(headers) < len(paths):
            listing = {
                split: {name: [path for path in found if path in headers] for name, found in classes.items()}
                for split, classes in listing.items()
            }
            _check_listing(listing, split_folders)
        self.class_names = tuple(sorted(listing["train"]))
        self._splits = self._divide(listing)
        self.split_sizes = {split: len(labels) for split, (_, labels) in self._splits.items()}
        self.image_shape = (*self._common_size(headers, observer), self._channels or _common_channels(headers))
        self.description = described(
            f"image folder {self._root}", self.split_sizes, self.image_shape, len(self.class_names)
        )

    def read(self, split: str, index: int) -> tuple[np.ndarray, int]:
        check_index(split, index, self.split_sizes)
        paths, labels = self._splits[split]
        return read_picture(self._root / paths[index], self.image_shape[:2], self.image_shape[2]), int(labels[index])

    def fingerprint(self, split: str, observer: Observer) -> str:
        paths, labels = self._splits[split]
        content = hashlib.blake2b(digest_size=16)
        hashes = map_in_threads(lambda path: hash_file(self._root / path), paths, _THREADS)
        for done, (path, label, file_hash) in enumerate(zip(paths, labels, hashes, strict=True), start=1):
            content.update(os.fsencode(f"{path}\0{label}\0") + file_hash)
            observer.advance(f"Looking for changes in {split} pictures", done, len(paths))
        return content.hexdigest()

    def _look(self, paths: list[str], observer: Observer) -> dict[str, Header]:
        """The headers of all pictures that can be read, by path."""
        headers: dict[str, Header] = {}
        left_out: list[str] = []
        found = map_in_threads(self._header, paths, _THREADS)
        for done, (path, header) in enumerate(zip(paths, found, strict=True), start=1):
            if header is None:
                left_out.append(path)
            else:
                headers[path] = header
            observer.advance("Looking at pictures", done, len(paths))
        if left_out:
            named = ", ".join(left_out[:3]) + (", ..." if len(left_out) > 3 else "")
            observer.message(f"Left out {len(left_out)} of {len(paths)} files, which cannot be read: {named}")
        return headers

    def _header(self, path: str) -> Header | None:
        if not self._skip_unreadable:
            return picture_header(self._root / path)
        try:
            header = picture_header(self._root / path)
            read_picture(self._root / path, None, header[2])  # only decoding finds a file that ends too early
        except UnreadableFile:
            return None
        return header

    def _divide(self, listing: Listing) -> dict[str, tuple[list[str], np.ndarray]]:
        """Each split's paths, sorted, and their labels."""
        number = {name: label for label, name in enumerate(self.class_names)}
        splits = {}
        for split, classes in listing.items():
            samples = sorted((path, number[name]) for name, found in classes.items() for path in found)
            splits[split] = [path for path, _ in samples], np.array([label for _, label in samples])
        if "test" not in splits:
            for name, found in listing["train"].items():
                if len(found) == 1:
                    raise DataError(
                        f"The class {name!r} of {self._root} has just one picture, {found[0]}, "
                        "which cannot be both trained and tested on.",
                        hint="add pictures to its folder, or remove it",
                    )
            paths, labels = splits["train"]
            for split, chosen in zip(("train", "test"), stratified_split(labels, self._test_split), strict=True):
                splits[split] = [paths[index] for index in chosen], labels[chosen]
        return splits

    def _common_size(self, headers: dict[str, Header], observer: Observer) -> tuple[int, int]:
        if self._image_size is not None:
            return self._image_size
        path, (*size, _) = next(iter(headers.items()))
        other = next((other for other, header in headers.items() if header[:2] != tuple(size)), None)
        if other is None:
            return tuple(size)
        observer.message(
            different_sizes(f", such as {in_words(size)} ({path}) and {in_words(headers[other])} ({other})")
        )
        return DEFAULT_SIZE


def _common_channels(headers: dict[str, Header]) -> int:
    return max(channels for _, _, channels in headers.values())


def _list_pictures(root: Path) -> tuple[Listing, dict[str, Path]]:
    """The pictures of each split and class, and each split's folder."""
    split_folders = _find_splits(root)
    listing = {
        split: {class_folder.name: _files_within(class_folder, root) for class_folder in _folders_in(split_folder)}
        for split, split_folder in split_folders.items()
    }
    return listing, split_folders


def _find_splits(root: Path) -> dict[str, Path]:
    """The folder of each split; the root itself is that of "train" where there is only one."""
    folders = _folders_in(root)
    splits: dict[str, Path] = {}
    for found in folders:
        split = _SPLIT_FOLDERS.get(found.name.casefold())
        if split in splits:
            raise DataError(f"The folders {splits[split]} and {found} would both be the {split} split.")
        if split is not None:
            splits[split] = found
    # A class may be called "train", too: it is the split if there is another one, or nothing else.
    if "train" not in splits or (len(splits) == 1 and len(folders) > 1):
        return {"train": root}
    if len(folders) > len(splits):
        beside = next(found for found in folders if found not in splits.values())
        raise DataError(
            f"The image folder {root} holds train and test folders, and beside them {beside.name}.",
            expected=_LAYOUT,
            hint="move it elsewhere, or into the train folder if it is a class",
        )
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
    return {split: splits[split] for split in SPLITS if split in splits}


def _folders_in(parent: Path) -> list[Path]:
    try:
        with os.scandir(parent) as found:
            names = [child.name for child in found if child.is_dir(follow_symlinks=False)]
    except OSError as error:
        raise _unreadable(error) from error
    return [parent / name for name in sorted(names) if not _ignored(name)]


def _files_within(class_folder: Path, root: Path) -> list[str]:
    paths = []
    for parent, subfolders, names in os.walk(class_folder, onerror=_raise_unreadable):
        subfolders[:] = [name for name in subfolders if not _ignored(name)]
        paths += [(Path(parent) / name).relative_to(root).as_posix() for name in names if not _ignored(name)]
    return paths


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _LITTER


def _unreadable(error: OSError) -> DataError:
    return DataError(f"The image folder {error.filename} cannot be read: {str(error.strerror).lower()}.")


def _raise_unreadable(error: OSError) -> None:
    raise _unreadable(error) from error


def _problem_with(name: str) -> str:
    """Why a class cannot be called so: its name is written to files and to terminals. Empty if it can."""
    categories = {unicodedata.category(character) for character in name}
    if "Cs" in categories:  # how Python stands for bytes that are no text
        return "is not UTF-8"
    return "has control characters in it" if "Cc" in categories else ""


def _check_listing(listing: Listing, split_folders: dict[str, Path]) -> None:
    """Refuses what no classifier can be trained on."""
    for split, classes in listing.items():
        if not classes:
            raise DataError(f"The image folder {split_folders[split]} holds no class folders.", expected=_LAYOUT)
        for name, paths in classes.items():
            if problem := _problem_with(name):
                raise DataError(f"The class folder {split_folders[split] / name} has a name that {problem}.")
            if not paths:
                raise DataError(
                    f"The class folder {split_folders[split] / name} holds no picture that can be read.",
                    hint="put pictures into it, or remove it",
                )
    train, train_folder = listing["train"], split_folders["train"]
    if len(train) == 1:
        raise DataError(
            f"The image folder {train_folder} has only one class, {next(iter(train))!r}.",
            expected="a folder for each of two classes or more",
        )
    for split, classes in listing.items():
        for name in classes:
            if name not in train:
                raise DataError(
                    f"The class folder {split_folders[split] / name} has none of the same name in {train_folder}.",
                    expected="the same classes in all splits",
                )
