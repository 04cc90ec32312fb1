"""How much a page may show: it is one file that a browser opens at once, whatever the run was on."""

from dataclasses import dataclass

LARGEST_PAGE = 5_000_000  # bytes


@dataclass(frozen=True)
class Limits:
    """
    Attributes:
        images: characters of all images, which are text in a page.
        rows: of a table.
        unfolded: rows of a table that is not folded.
    """

    images: int
    rows: int
    unfolded: int = 20


# Tried one after another, until the page is small enough.
LIMITS = (Limits(3_500_000, 2000), Limits(1_500_000, 1000), Limits(0, 200), Limits(0, 20))
