"""Shards of WebDataset: a sample is made of the members of a tar file that share a key, as `a.jpg` and `a.cls` do."""

from collections.abc import Iterable

IMAGE_ENDINGS = frozenset(
    ("jpg", "jpeg", "jpe", "jfif", "png", "bmp", "gif", "webp", "tif", "tiff", "avif", "heic", "heif", "img", "image")
)


def key_and_ending(name: str) -> tuple[str, str]:
    """The key of a member, up to the first dot of its last part, and its ending in small letters.

    >>> key_and_ending("a/b.c/0001.seg.png")
    ('a/b.c/0001', 'seg.png')
    """
    folder, slash, last = name.rpartition("/")
    key, _, ending = last.partition(".")
    return f"{folder}{slash}{key}", ending.casefold()


def is_image(ending: str) -> bool:
    return ending.rpartition(".")[2] in IMAGE_ENDINGS


def are_samples(names: Iterable[str]) -> bool:
    """Whether among these members an image shares its key with something else."""
    endings: dict[str, list[bool]] = {}
    for name in names:
        key, ending = key_and_ending(name)
        if ending and key.rpartition("/")[2]:  # no hidden file
            endings.setdefault(key, []).append(is_image(ending))
    return any(True in found and False in found for found in endings.values())
