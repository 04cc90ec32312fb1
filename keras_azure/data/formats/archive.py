"""The data set `archive`: a zip or tar file of class folders, read in place."""

import functools
from pathlib import Path

from keras_azure.data.formats.images import Format, explained, image_format, readable_here, requirements_of
from keras_azure.data.formats.layout import ClassFolders, Listing, class_folders
from keras_azure.data.formats.litter import is_ignored, may_be_image
from keras_azure.data.formats.members import Archive, refusal
from keras_azure.data.formats.options import Reading
from keras_azure.data.formats.split_names import parse_split_names
from keras_azure.data.formats.tar_index import is_shard, look_through_tar
from keras_azure.data.formats.zip_index import look_through_zip
from keras_azure.data.opened_later import OpenedLater
from keras_azure.description.events import Observer
from keras_azure.errors import DataError

_COMPRESSED = (".gz", ".tgz", ".bz2", ".tbz", ".tbz2", ".xz", ".txz", ".zst", ".lz4", ".z", ".7z", ".rar")
_PLAIN_ENDINGS = (".7z", ".rar", ".tgz", ".tbz", ".tbz2", ".txz")  # which say alone that it is an archive


class ImageArchive(OpenedLater):
    """A zip or tar file of class folders, which are as in a folder of pictures; it is read in place, never unpacked.

    A folder that holds all of it is looked into. What is compressed as a whole, as .tar.gz files are, is refused.

    Args:
        path: the file.
        image_size: height and width that all pictures are stretched to; by default as in a folder of pictures.
        channels: 1 for gray, 3 for colour. By default 3, and 1 if all pictures are gray.
        test_split: the share of each class to test on, where there is only one split.
        skip_unreadable: leaves out what is no picture or is damaged, instead of refusing the archive.
        split_names: which folders are the splits, where they are called otherwise: "train=Lehre,test=Pruefung"; or
            "none", where all folders are classes.
        labels: False takes images without classes, too, for what is trained without labels.
        bit_depth: how many bits the levels of pictures of 16 bits a channel use.
    """

    def __init__(
        self,
        *,
        path: str,
        image_size: tuple[int, int] | None = None,
        channels: int | None = None,
        test_split: float = 0.2,
        skip_unreadable: bool = False,
        split_names: str = "",
        labels: bool = True,
        bit_depth: int = 16,
    ) -> None:
        parse_split_names(split_names)
        super().__init__(
            "keras_azure.data.archive:ArchiveDataset",
            path=Path(path),
            split_names=split_names,
            labels=labels,
            reading=Reading(image_size, channels, test_split, skip_unreadable, bit_depth),
        )
        self._path = Path(path)
        self._skip_unreadable = skip_unreadable
        self._formats: set[Format] = set(readable_here())
        self._find = functools.partial(find_in_archive, split_names=split_names, labels=labels)

    @staticmethod
    def recognises(path: Path) -> bool:
        ending = path.suffix.casefold()
        if not path.is_file():
            return False
        if ending == ".tar":
            return not is_shard(path)
        return ending == ".zip" or _is_compressed(path)

    def files(self, observer: Observer) -> list[Path]:
        archive = look_through(self._path)
        found, within = self._find(archive)
        if not self._skip_unreadable:
            self._formats.clear()
            for done, place in enumerate(found.paths, start=1):
                path = within + place
                name = image_name(archive, path)
                with explained(name):
                    self._formats.add(image_format(archive.image(archive.members[path], name)))
                observer.advance("Looking at pictures", done, len(found.paths))
        for note in found.notes:
            observer.message(note)
        return [self._path]

    def requirements(self) -> list[str]:
        return requirements_of(self._formats)


def look_through(path: Path) -> Archive:
    """
    Raises:
        UnreadableFile: it is no archive that can be read in place.
    """
    if _is_compressed(path):
        raise refusal(
            path,
            "archive",
            "it is compressed as a whole, so that no image can be read alone",
            "unpack it, and pass the folder: --data FOLDER; or pack it as .zip, or as .tar without compressing",
        )
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise refusal(path, "archive", str(error.strerror).lower()) from error
    return look_through_zip(path) if start == b"PK" or path.suffix.casefold() == ".zip" else look_through_tar(path)


def find_in_archive(archive: Archive, *, split_names: str, labels: bool) -> tuple[ClassFolders, str]:
    """What the folders in an archive mean, and the folder that holds all of them: "", or one with a slash behind it.

    Args:
        split_names, labels: as in `class_folders`.

    Raises:
        DataError: they are not laid out as a data set.
    """
    place, within = str(archive.path), ""
    files, folders = list(archive.members), list(archive.folders)
    first: DataError | None = None
    while True:
        try:
            return class_folders(Listing(files, folders), place, split_names=split_names, labels=labels), within
        except DataError as error:
            first = first or error
        outer = _outer_folder(files, folders)
        if outer is None:
            hint = f"unpack it, and {first.hint} there" if first.hint.startswith("--data") else first.hint
            raise DataError(first.problem, expected=first.expected, hint=hint)
        within += f"{outer}/"
        files, folders = (_below(outer, paths) for paths in (files, folders))


def image_name(archive: Archive, path: str) -> str:
    """What errors call an image in an archive."""
    return f"The picture {path} in {archive.path}"


def _outer_folder(files: list[str], folders: list[str]) -> str | None:
    """The one folder that has all images, if there is one."""
    if any("/" not in path and not is_ignored(path) and may_be_image(path) for path in files):
        return None
    first = {path.partition("/")[0] for path in files if "/" in path} | {path.partition("/")[0] for path in folders}
    within = {name for name in first if not is_ignored(name)}
    return within.pop() if len(within) == 1 else None


def _below(folder: str, paths: list[str]) -> list[str]:
    return [path.removeprefix(f"{folder}/") for path in paths if path.startswith(f"{folder}/")]


def _is_compressed(path: Path) -> bool:
    endings = [ending.casefold() for ending in path.suffixes[-2:]]
    return bool(endings) and (
        endings[-1] in _PLAIN_ENDINGS or (endings[-1] in _COMPRESSED and endings[:-1] == [".tar"])
    )
