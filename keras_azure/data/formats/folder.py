"""The data set `folder`: which images are in folders that are named after their classes."""

import contextlib
import unicodedata
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from keras_azure.data.formats import idx
from keras_azure.data.formats.entries import files_below, folders_in, is_ignored
from keras_azure.data.formats.images import check_image
from keras_azure.data.formats.options import SPLITS, check_image_size
from keras_azure.data.opened_later import OpenedLater
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UnreadableFile

_SPLIT_FOLDERS = {
    "train": "train",
    "test": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}
_LAYOUT = (
    "folders named after classes with pictures in them, at the top or within train and test; links are not followed"
)


class Folder(OpenedLater):
    """A folder of pictures: `class/picture`, or `train/class/picture` and `test/class/picture`.

    A folder `val`, `valid` or `validation` beside them is the validation split, or the test split where there is no
    `test`. Pictures may lie deeper within the folder of their class. Hidden files and folders are left out.

    JPEG, PNG, BMP, GIF, WebP, TIFF and AVIF files are known by their content, and HEIC where pillow-heif is installed.
    Pictures are turned as their EXIF data says. What is transparent lies on white. Of several frames the first counts.

    Args:
        path: the folder.
        image_size: height and width that all pictures are stretched to. By default they keep their size if they have
            one in common that is no larger than 512 on a side, and are brought to 224x224 otherwise.
        channels: 1 for gray, 3 for colour. By default 3, and 1 if all pictures are gray.
        test_split: the share of each class to test on, where there is only one split.
        skip_unreadable: leaves out what is no picture or is damaged, instead of refusing the folder.
        bit_depth: how many bits the levels of pictures of 16 bits a channel use: 12 with many cameras, whose level
            4095 is then as bright as 65535 is by default.
    """

    def __init__(
        self,
        *,
        path: str,
        image_size: tuple[int, int] | None = None,
        channels: int | None = None,
        test_split: float = 0.2,
        skip_unreadable: bool = False,
        bit_depth: int = 16,
    ) -> None:
        check_image_size(image_size)
        if channels not in (None, 1, 3):
            raise ValueError(f"channels is 1 or 3, and not {channels}")
        if not 0 < test_split < 1:
            raise ValueError(f"test_split is a share above 0 and below 1, and not {test_split}")
        if not 1 <= bit_depth <= 16:
            raise ValueError(f"bit_depth is a number of bits from 1 to 16, and not {bit_depth}")
        super().__init__(
            "keras_azure.data.folder:FolderDataset",
            root=Path(path),
            image_size=image_size,
            channels=channels,
            test_split=test_split,
            skip_unreadable=skip_unreadable,
            bit_depth=bit_depth,
        )
        self._root = Path(path)
        self._skip_unreadable = skip_unreadable

    @staticmethod
    def recognises(path: Path) -> bool:
        # A folder of IDX files may hold other folders. Links count: that they are not followed is said by the reader.
        if not path.is_dir() or idx.Idx.recognises(path):
            return False
        return any(child.is_dir() and not is_ignored(child.name) for child in path.iterdir())

    def files(self, observer: Observer) -> list[Path]:
        found = find_images(self._root)
        images, others = [], []
        for done, path in enumerate(found.paths, start=1):
            try:
                check_image(self._root / path)
                images.append(path)
            except UnreadableFile:
                if not self._skip_unreadable:
                    raise
                others.append(path)
            observer.advance("Looking at pictures", done, len(found.paths))
        if others:
            named = ", ".join(others[:3]) + (", ..." if others[3:] else "")
            observer.message(f"Not uploaded, as they are no pictures: {named}")
        return [self._root / path for path in found.only(set(images)).paths]


@dataclass(frozen=True)
class ClassFolders:
    """The images of a folder, which a classifier can be trained on.

    Attributes:
        splits: for each split and class the paths of its images within the folder, with slashes.
        folders: of each split; that of "train" is the folder itself where there is only one split.

    Raises:
        DataError: there are not two classes with images, or a class is tested that is not trained.
    """

    splits: dict[str, dict[str, list[str]]]
    folders: dict[str, Path]

    def __post_init__(self) -> None:
        _check(self.splits, self.folders)

    @property
    def paths(self) -> list[str]:
        """Of all images, sorted."""
        return sorted(path for classes in self.splits.values() for found in classes.values() for path in found)

    def only(self, kept: Container[str]) -> "ClassFolders":
        """Without the images that are not among `kept`."""
        splits = {
            split: {name: [path for path in found if path in kept] for name, found in classes.items()}
            for split, classes in self.splits.items()
        }
        return ClassFolders(splits, self.folders)


def find_images(root: Path) -> ClassFolders:
    """What may be the images of a folder: none of the files has been opened. Links to files are followed, and links to
    folders are not.

    Raises:
        DataError: the folder cannot be read, or is not laid out as a data set.
    """
    with _readable():
        folders = _find_splits(root)
        splits = {
            split: {
                class_folder.name: [path.relative_to(root).as_posix() for path in files_below(class_folder)]
                for class_folder in folders_in(split_folder)
            }
            for split, split_folder in folders.items()
        }
    return ClassFolders(splits, folders)


def _find_splits(root: Path) -> dict[str, Path]:
    """The folder of each split; the root itself is that of "train" where there is only one."""
    folders = folders_in(root)
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


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"The image folder {error.filename} cannot be read: {str(error.strerror).lower()}.") from error


def _problem_with(name: str) -> str:
    """Why a class cannot be called so: its name is written to files and to terminals. Empty if it can."""
    categories = {unicodedata.category(character) for character in name}
    if "Cs" in categories:  # how Python stands for bytes that are no text
        return "is not UTF-8"
    return "has control characters in it" if "Cc" in categories else ""


def _check(splits: dict[str, dict[str, list[str]]], folders: dict[str, Path]) -> None:
    """Refuses what no classifier can be trained on."""
    for split, classes in splits.items():
        if not classes:
            raise DataError(f"The image folder {folders[split]} holds no class folders.", expected=_LAYOUT)
        for name, paths in classes.items():
            if problem := _problem_with(name):
                raise DataError(f"The class folder {folders[split] / name} has a name that {problem}.")
            if not paths:
                raise DataError(
                    f"The class folder {folders[split] / name} holds no picture that can be read.",
                    hint="put pictures into it, or remove it",
                )
    train, train_folder = splits["train"], folders["train"]
    if len(train) == 1:
        raise DataError(
            f"The image folder {train_folder} has only one class, {next(iter(train))!r}.",
            expected="a folder for each of two classes or more",
        )
    for split, classes in splits.items():
        for name in classes:
            if name not in train:
                raise DataError(
                    f"The class folder {folders[split] / name} has none of the same name in {train_folder}.",
                    expected="the same classes in all splits",
                )
