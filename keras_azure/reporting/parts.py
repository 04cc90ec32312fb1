"""What a page is made of: sections of texts, tables, charts and images, which the template lays out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from keras_azure.redaction import printable, redacted
from keras_azure.reporting.text import escaped

Value = str | Markup | int | float | None

_SHORT_NAME = 4  # characters, which stand over a column


class Part:
    """What a section has, one below the other."""

    @property
    def kind(self) -> str:
        """What the template calls it."""
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Text(Part):
    """A paragraph."""

    text: Value


@dataclass(frozen=True)
class Code(Part):
    """What is to be copied into a shell, however long it is."""

    text: str

    @property
    def shown(self) -> Markup:
        return escape(printable(redacted(self.text)))


@dataclass(frozen=True)
class Table(Part):
    """
    Attributes:
        caption: what it is of.
        headings: of the columns; none at all where the first column says it.
        rows: the first value of each names the row.
        folded: whether it is behind its caption until somebody unfolds it.
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Value]]
    folded: bool = False


@dataclass(frozen=True)
class Matrix(Part):
    """A confusion matrix that has room for numbers.

    Attributes:
        names: of the classes.
        cells: for each true class the counts of what was said, each with its share of the class, 0..1.
    """

    caption: str
    names: Sequence[str]
    cells: Sequence[Sequence[tuple[int, float]]]

    @property
    def turned(self) -> bool:
        """Whether the names of the columns have room only from top to bottom."""
        return max(map(len, self.names)) > _SHORT_NAME


@dataclass(frozen=True)
class Charts(Part):
    """SVG elements, beside each other where there is room."""

    charts: Sequence[Markup]


@dataclass(frozen=True)
class Image:
    """
    Attributes:
        uri: a data URI with all of the image.
        alt: what it shows, for who does not see it.
    """

    uri: str
    alt: str


@dataclass(frozen=True)
class Figure:
    """Images with one caption."""

    images: Sequence[Image]
    caption: Value


@dataclass(frozen=True)
class Gallery(Part):
    """Figures, beside each other where there is room.

    Attributes:
        wide: whether an image is to be as wide as the page allows.
    """

    figures: Sequence[Figure]
    wide: bool = False


@dataclass(frozen=True)
class Section:
    title: str
    parts: Sequence[Part]

    @property
    def anchor(self) -> str:
        return self.title.lower().replace(" ", "-")


def charts(drawn: Sequence[str]) -> Iterator[Charts]:
    """Those of the charts of which something is drawn."""
    if found := [Markup(chart) for chart in drawn if chart]:
        yield Charts(found)


def named(name: str) -> Markup:
    """A name within a sentence, whichever way its script runs."""
    return Markup(f"<bdi>{escaped(name)}</bdi>")


def sentence(form: str, *values: Value) -> Markup:
    """A text with values in place of `{}`, which are escaped unless they are `named`."""
    return Markup(form).format(
        *(value if isinstance(value, Markup) else Markup(escaped(str(value))) for value in values)
    )


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"
