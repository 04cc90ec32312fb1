"""The data set `webdataset`: tar files of samples, each of an image and its class, as WebDataset has them."""

from dataclasses import dataclass
from pathlib import Path

from keras_azure.data.formats.images import readable_here, requirements_of
from keras_azure.data.formats.layout import some_of
from keras_azure.data.formats.litter import is_ignored
from keras_azure.data.formats.members import Archive, Member
from keras_azure.data.formats.options import Reading
from keras_azure.data.formats.parts import TAR, first_part, is_made_of, parts_of
from keras_azure.data.formats.shard_keys import IMAGE_ENDINGS, key_and_ending
from keras_azure.data.formats.tar_index import is_shard, look_through_tar
from keras_azure.data.opened_later import OpenedLater
from keras_azure.description.events import Observer
from keras_azure.errors import DataError

ENDING = TAR
_LABEL_ENDINGS = ("cls", "cls.txt", "label", "class")


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
        super().__init__(
            "keras_azure.data.webdataset:WebDatasetDataset",
            path=Path(path),
            reading=Reading(image_size, channels, test_split, skip_unreadable, bit_depth),
        )
        self._path = Path(path)

    @staticmethod
    def recognises(path: Path) -> bool:
        if not is_made_of(path, ENDING):
            return False
        return is_shard(first_part(path, ENDING))

    def files(self, observer: Observer) -> list[Path]:
        shards = [shard for shards in parts_of(self._path, ENDING).values() for shard in shards]
        for shard in shards:
            samples_of(look_through_tar(shard))
        return shards

    def requirements(self) -> list[str]:
        return requirements_of(readable_here())


@dataclass(frozen=True)
class Sample:
    """An image of a shard and its label, which is in a member of its own."""

    name: str
    image: Member
    label: Member


def samples_of(shard: Archive) -> list[Sample]:
    """The samples of a shard, in the order in which they lie there.

    Raises:
        DataError: one of them is no image with a class.
    """
    grouped: dict[str, dict[str, str]] = {}
    for name in shard.members:
        if not is_ignored(name.rpartition("/")[2]):
            key, ending = key_and_ending(name)
            grouped.setdefault(key, {})[ending] = name
    samples = []
    for key, members in grouped.items():
        images = [name for ending, name in members.items() if ending in IMAGE_ENDINGS]
        labels = [name for ending, name in members.items() if ending in _LABEL_ENDINGS]
        if len(images) != 1 or len(labels) != 1:
            raise DataError(
                f"The sample {key!r} of the shard {shard.path} has {some_of(sorted(members))}.",
                expected="an image, such as jpg, and its class, cls: a number or a text",
            )
        samples.append(Sample(images[0], shard.members[images[0]], shard.members[labels[0]]))
    if not samples:
        raise DataError(f"The shard {shard.path} has no samples.", expected="members such as 0001.jpg and 0001.cls")
    return sorted(samples, key=lambda sample: sample.image.start)
