"""What the options of data sets can be."""

SPLITS = ("train", "validation", "test")
LARGEST_SIDE = 10_000  # of an image, in pixels


def check_image_size(image_size: tuple[int, int] | None) -> None:
    """Refuses an option `image_size` that no image can have.

    Raises:
        ValueError: a side is not in 1 .. 10,000.
    """
    if image_size is not None and not all(1 <= side <= LARGEST_SIDE for side in image_size):
        raise ValueError(f"image_size is height and width, each from 1 to {LARGEST_SIDE}, and not {image_size}")


def check_test_split(test_split: float) -> None:
    """Refuses an option `test_split` that is no share.

    Raises:
        ValueError: it is not between 0 and 1.
    """
    if not 0 < test_split < 1:
        raise ValueError(f"test_split is a share above 0 and below 1, and not {test_split}")
