"""What the headers of a data set's images say of all of them, and what a user should hear of it."""

from collections.abc import Callable
from typing import Any

from keras_azure.data.decoding import BIT_DEPTH, Header
from keras_azure.data.resizing import Size
from keras_azure.data.sizes import DEFAULT_SIZE, LARGEST_KEPT, different_sizes, in_words, too_large
from keras_azure.description.events import Observer

_SAMPLE = 16  # images of 16 bits a channel of which the levels are looked at
_USUAL_DEPTHS = (8, 10, 12, 14)  # of cameras, in bits; more are as good as all


class Headers:
    """Made of one header after the other; what is kept does not grow with their number, but for `deep`.

    Attributes:
        deep: the keys of images of 16 bits a channel.
    """

    def __init__(self, named: Callable[[Any], str] = str) -> None:
        """
        Args:
            named: what an image is called, by its key.
        """
        self.deep: list[Any] = []
        self._named = named
        self._count = self._transparent = self._animated = self._turned = 0
        self._channels = 1
        self._first: tuple[Any, Size] | None = None
        self._other: tuple[Any, Size] | None = None

    def add(self, key: Any, header: Header) -> None:
        size = header.height, header.width
        if self._first is None:
            self._first = key, size
        elif self._other is None and size != self._first[1]:
            self._other = key, size
        self._count += 1
        self._channels = max(self._channels, header.channels)
        self._transparent += header.transparent
        self._animated += header.animated
        self._turned += header.turned
        if header.deep:
            self.deep.append(key)

    def image_shape(self, image_size: Size | None, channels: int | None, observer: Observer) -> tuple[int, int, int]:
        """Height, width and channels that all images are brought to: as asked for, or what they have in common.

        Images that differ in size, or are larger than what networks are usually trained on, are brought to 224x224.
        The observer hears of that, and of what else the images are not taken as they are.
        """
        self.tell(observer)
        return (*(image_size or self._common_size(observer)), channels or self._channels)

    def check_levels(self, largest_level: Callable[[Any], int], bit_depth: int, observer: Observer) -> None:
        """Looks at some images of 16 bits a channel: the levels of many cameras use a small part of them.

        Args:
            largest_level: the largest level in the image of a key.
            bit_depth: as the user says it is; then only a depth that changes nothing is said.

        Raises:
            UnreadableFile: an image cannot be read.
        """
        if bit_depth != BIT_DEPTH:
            if not self.deep:
                observer.message("No picture has 16 bits a channel: --bit-depth changes nothing.")
            return
        sample = self.deep[:: -(-len(self.deep) // _SAMPLE)] if self.deep else []
        largest = max(map(largest_level, sample), default=2**BIT_DEPTH - 1)
        depth = next((depth for depth in _USUAL_DEPTHS if largest < 2**depth), None)
        if depth is not None:
            observer.message(
                f"The pictures of 16 bits a channel use a small part of their range: no level is above {largest} of "
                f"65535 in {len(sample)} of {len(self.deep)}. Pass --bit-depth {depth} to scale by {2**depth - 1}."
            )

    def tell(self, observer: Observer) -> None:
        """Says which images are not taken as they are."""
        if self._turned:
            observer.message(f"{self._turned} of {self._count} pictures are turned upright, as their EXIF data says.")
        if self._transparent:
            observer.message(f"{self._transparent} of {self._count} pictures may be transparent in parts: on white.")
        if self._animated:
            observer.message(f"{self._animated} of {self._count} pictures have several frames: the first one is taken.")

    def _common_size(self, observer: Observer) -> Size:
        if self._first is None:  # whoever asks has refused a data set without images
            return DEFAULT_SIZE
        key, size = self._first
        if self._other is not None:
            other, its_size = self._other
            shown = f"{in_words(size)} ({self._named(key)}) and {in_words(its_size)} ({self._named(other)})"
            observer.message(different_sizes(shown))
            return DEFAULT_SIZE
        if max(size) > LARGEST_KEPT:
            observer.message(too_large(size))
            return DEFAULT_SIZE
        return size
