"""The data set `webdataset`: tar files of samples, each of an image and its class, as WebDataset has them."""

import re
from pathlib import Path

from keras_azure.data.formats.litter import is_ignored
from keras_azure.data.formats.options import check_reading
from keras_azure.data.formats.shard_keys import are_samples
from keras_azure.data.formats.split_names import usual_split
from keras_azure.data.formats.tar_index import first_names
from keras_azure.data.opened_later import OpenedLater
from keras_azure.description.events import Observer
from keras_azure.errors import DataError

ENDING = ".tar"
_LOOKED_AT = 64  # members, which tell shards from class folders


class WebDataset(OpenedLater):
    """Shards of WebDataset: tar files whose members share keys, an image `key.jpg` and its class `key.cls`.

    A class is a number or a text. A shard with `train`, `val` or `test` in its name is of that split, any other one of
    the training split. An index of each shard is made once and kept in the cache folder.

    Args:
        path: a shard, or a folder of shards.
        image_size: height and width that all pictures are stretched to; by default as in a folder of pictures.
        channels: 1 for gray, 3 for colour. By default 3, and 1 if all pictures are gray.
        test_split: the share of each class to test on, where there is no test split.
        skip_unreadable: leaves out what is no picture or is damaged.
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
        bit_depth: int = 16,
    ) -> None:
        check_reading(image_size, channels, test_split, bit_depth)
        super().__init__(
            "keras_azure.data.webdataset:WebDatasetDataset",
            path=Path(path),
            image_size=image_size,
            channels=channels,
            test_split=test_split,
            skip_unreadable=skip_unreadable,
            bit_depth=bit_depth,
        )
        self._path = Path(path)

    @staticmethod
    def recognises(path: Path) -> bool:
        if path.is_dir():
            children = [child for child in path.iterdir() if not is_ignored(child.name)]
            if any(child.is_dir() for child in children):
                return False
            path = next((child for child in sorted(children) if child.suffix.casefold() == ENDING), path)
        return path.is_file() and path.suffix.casefold() == ENDING and are_samples(first_names(path, _LOOKED_AT))

    def files(self, observer: Observer) -> list[Path]:
        return [shard for shards in shards_of(self._path).values() for shard in shards]


def shards_of(path: Path) -> dict[str, list[Path]]:
    """The shards of each split, by name.

    Raises:
        DataError: there are none to train on.
    """
    try:
        shards = sorted(
            child
            for child in (path.iterdir() if path.is_dir() else [path])
            if child.suffix.casefold() == ENDING and not is_ignored(child.name)
        )
    except OSError as error:
        raise DataError(f"The folder of shards {path} cannot be read: {str(error.strerror).lower()}.") from error
    splits: dict[str, list[Path]] = {}
    for shard in shards:
        splits.setdefault(split_of_file(shard), []).append(shard)
    if "train" not in splits:
        raise DataError(
            f"There is no shard to train on in {path}.", expected="tar files, such as train-000000.tar, or one alone"
        )
    return splits


def split_of_file(path: Path) -> str:
    """The split that a word in the name of a file says, such as "test" of "mnist-test-000001.tar"; "train" without.

    Raises:
        DataError: it says two.
    """
    words = re.findall(r"[^\W\d_]+", path.stem)
    found = sorted({split for word in words if (split := usual_split(word)) is not None})
    if len(found) > 1:
        raise DataError(f"The name of {path} is that of two splits, {' and '.join(found)}.", hint="rename it")
    return found[0] if found else "train"
