"""What the options of data sets can be."""

from dataclasses import dataclass

SPLITS = ("train", "validation", "test")
LARGEST_SIDE = 10_000  # of an image, in pixels


def check_image_size(image_size: tuple[int, int] | None) -> None:
    """Refuses an option `image_size` that no image can have.

    Raises:
        ValueError: a side is not in 1 .. 10,000.
    """
    if image_size is not None and not all(1 <= side <= LARGEST_SIDE for side in image_size):
        raise ValueError(f"image_size is height and width, each from 1 to {LARGEST_SIDE}, and not {image_size}")


def check_bit_depth(bit_depth: int) -> None:
    """Refuses an option `bit_depth` that levels of 16 bits cannot have.

    Raises:
        ValueError: it is not in 1 .. 16.
    """
    if not 1 <= bit_depth <= 16:
        raise ValueError(f"bit_depth is a number of bits from 1 to 16, and not {bit_depth}")


def check_test_split(test_split: float) -> None:
    """Refuses an option `test_split` that is no share.

    Raises:
        ValueError: it is not between 0 and 1.
    """
    if not 0 < test_split < 1:
        raise ValueError(f"test_split is a share above 0 and below 1, and not {test_split}")


def check_channels(channels: int | None) -> None:
    """Refuses an option `channels` that no image can have.

    Raises:
        ValueError: it is neither 1 nor 3.
    """
    if channels not in (None, 1, 3):
        raise ValueError(f"channels is 1 or 3, and not {channels}")


@dataclass(frozen=True)
class Reading:
    """How images are read: the options that all data sets of encoded images have.

    Raises:
        ValueError: one of them cannot be so.
    """

    image_size: tuple[int, int] | None
    channels: int | None
    test_split: float
    skip_unreadable: bool
    bit_depth: int

    def __post_init__(self) -> None:
        check_image_size(self.image_size)
        check_channels(self.channels)
        check_test_split(self.test_split)
        check_bit_depth(self.bit_depth)
