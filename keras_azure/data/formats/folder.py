"""The data set `folder`: which images are in folders that are named after their classes."""

import functools
from pathlib import Path

from keras_azure.data.formats import idx
from keras_azure.data.formats.entries import list_folder
from keras_azure.data.formats.images import Format, check_image, is_image, requirements_of
from keras_azure.data.formats.layout import ClassFolders, class_folders
from keras_azure.data.formats.litter import is_ignored
from keras_azure.data.formats.options import Reading
from keras_azure.data.formats.parts import is_made_of_parts
from keras_azure.data.formats.split_names import parse_split_names
from keras_azure.data.opened_later import OpenedLater
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UnreadableFile

_LOOKED_AT = 20  # files, of which one that is an image tells that the folder is one of images


class Folder(OpenedLater):
    """A folder of pictures: `class/picture`, or `train/class/picture` and `test/class/picture`.

    The splits may be called as usual, in any case and with any separators: `Training`, `test_set`, `valid`, `dev`. The
    validation images take the place of a share of the training images; where there is no `test`, a share of the
    training images is tested on. Pictures may lie deeper within the folder of their class. Links are followed; hidden
    files and folders are left out, and what systems leave behind (`Thumbs.db`, `__MACOSX`, `@eaDir`).

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
        split_names: which folders are the splits, where they are called otherwise: "train=Lehre,test=Pruefung"; or
            "none", where all folders are classes.
        labels: False takes images without classes, too, for what is trained without labels.
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
        split_names: str = "",
        labels: bool = True,
    ) -> None:
        parse_split_names(split_names)
        super().__init__(
            "keras_azure.data.folder:FolderDataset",
            root=Path(path),
            reading=Reading(image_size, channels, test_split, skip_unreadable, bit_depth),
            split_names=split_names,
            labels=labels,
        )
        self._root = Path(path)
        self._skip_unreadable = skip_unreadable
        self._formats: set[Format] = set()
        self._find = functools.partial(find_images, Path(path), split_names=split_names, labels=labels)

    @staticmethod
    def recognises(path: Path) -> bool:
        # A folder of IDX files may hold other folders.
        if not path.is_dir() or idx.Idx.recognises(path):
            return False
        if is_made_of_parts(path):
            return False
        names = sorted(child.name for child in path.iterdir() if not is_ignored(child.name))
        return any((path / name).is_dir() for name in names) or any(
            is_image(path / name) for name in names[:_LOOKED_AT]
        )

    def files(self, observer: Observer) -> list[Path]:
        found = self._find()
        images, others = [], []
        for done, path in enumerate(found.paths, start=1):
            try:
                self._formats.add(check_image(self._root / path))
                images.append(path)
            except UnreadableFile:
                if not self._skip_unreadable:
                    raise
                others.append(path)
            observer.advance("Looking at pictures", done, len(found.paths))
        if others:
            named = ", ".join(others[:3]) + (", ..." if others[3:] else "")
            observer.message(f"Not uploaded, as they are no pictures: {named}")
        kept = found.only(set(images))
        for note in dict.fromkeys((*found.notes, *kept.notes)):
            observer.message(note)
        return [self._root / path for path in kept.paths]

    def requirements(self) -> list[str]:
        return requirements_of(self._formats)


def find_images(root: Path, *, split_names: str = "", labels: bool = True) -> ClassFolders:
    """What may be the images of a folder: none of the files has been opened. Links are followed.

    Args:
        split_names, labels: as in `class_folders`.

    Raises:
        DataError: the folder cannot be read, or is not laid out as a data set.
    """
    try:
        listing = list_folder(root)
    except OSError as error:
        raise DataError(f"The image folder {error.filename} cannot be read: {str(error.strerror).lower()}.") from error
    return class_folders(listing, str(root), split_names=split_names, labels=labels)
