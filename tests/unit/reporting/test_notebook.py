"""What a notebook shows of a result."""

import math
from html.parser import HTMLParser
from pathlib import Path

import pytest

from keras_azure.description.result import RunResult
from keras_azure.reporting.charts import Line, line_chart, scatter_chart
from keras_azure.reporting.notebook import table_html
from keras_azure.reporting.text import fit, number

HOSTILE = "<script>alert('x')</script>\x1b[31m\"&"


class Read(HTMLParser):
    """The texts of a page by tag, and all attributes; each tag that begins also ends."""

    EMPTY = ("path", "br", "img", "meta", "link")

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag: str) -> list[str]:
        return [text for each, text in self.texts if each == tag]


def result(**changes) -> RunResult:
    history = (
        {"epoch": 1, "loss": 0.9, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.4},
        {"epoch": 2, "loss": 0.5, "accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.7},
    )
    facts = {
        "run_dir": Path("runs/20260101-cnn"),
        "test_loss": 0.55,
        "test_accuracy": 0.75,
        "test_metrics": {"loss": 0.55, "accuracy": 0.75},
        "images_per_second": 1234.5,
        "parameters": 48_000,
        "seconds": 12.34,
        "epochs": 2,
        "history": history,
    }
    return RunResult(**facts | changes)


def test_a_run_shows_its_scores_and_curves():
    read = Read(result()._repr_html_())
    assert read.of("th") == ["test loss", "test accuracy", "epochs", "images/s", "parameters", "seconds", "run folder"]
    assert read.of("td") == ["0.55", "0.75", "2", "1,234", "48,000", "12.3", "runs/20260101-cnn"]
    labels = [attributes["aria-label"] for tag, attributes in read.tags if tag == "svg"]
    assert labels == [
        "Loss over Epoch. training: from 0.9 to 0.5; validation: from 1 to 0.6",
        "Accuracy over Epoch. training: from 0.5 to 0.8; validation: from 0.4 to 0.7",
    ]


def test_a_run_without_validation_or_of_one_epoch_or_none():
    for history in ((), ({"epoch": 1, "loss": 0.5},), ({"epoch": 1, "loss": math.nan},)):
        read = Read(result(history=history, test_accuracy=None, test_metrics={"loss": 0.5})._repr_html_())
        assert len([tag for tag, _ in read.tags if tag == "svg"]) == (1 if history and history[0]["loss"] == 0.5 else 0)


def test_it_is_text_elsewhere():
    assert repr(result()).startswith("RunResult(run_dir=")


def test_a_table_escapes_what_is_in_it(monkeypatch):
    monkeypatch.setenv("MY_SECRET", "a long password of mine")
    shown = table_html(("Class", HOSTILE), [(HOSTILE, 1), ("a long password of mine", None)], caption=HOSTILE)
    read = Read(shown)
    assert "script" not in {tag for tag, _ in read.tags}
    clean = "<script>alert('x')</script>\\x1b[31m\"&"
    assert read.of("th") == ["Class", clean, clean, "***"]
    assert read.of("td") == ["1"]
    assert read.of("b") == [clean]
    assert [attributes["scope"] for tag, attributes in read.tags if tag == "th"] == ["col", "col", "row", "row"]


def test_a_table_without_headings_or_rows():
    assert "<thead" not in table_html(("", ""), [("a", 1)])
    assert Read(table_html(("a", "b"), [])).of("th") == ["a", "b"]


def test_charts_escape_names_and_leave_out_what_is_no_number():
    drawn = line_chart([Line(HOSTILE, [(1, 2.0), (2, math.inf), (3, math.nan), (4, 5)])], title=HOSTILE, up=HOSTILE)
    read = Read(drawn)
    assert "script" not in {tag for tag, _ in read.tags}
    assert "nan" not in drawn
    assert "from 2 to 5" in next(attributes["aria-label"] for tag, attributes in read.tags if tag == "svg")


@pytest.mark.parametrize("values", [(0, 0), (1e-12, 2e-12), (-5, 1e9), (1e300, -1e300), (7, 7)])
def test_charts_of_any_numbers(values):
    for drawn in (
        line_chart([Line("a", list(enumerate(values)))], title="t", diagonal=True),
        scatter_chart(list(zip(values, values, strict=True)), title="t", across="a", up="u", diagonal=True),
    ):
        Read(drawn)
        assert "inf" not in drawn
        assert "nan" not in drawn


def test_nothing_is_drawn_of_nothing():
    assert line_chart([], title="t") == line_chart([Line("a", [])], title="t") == ""
    assert scatter_chart([(math.nan, 1)], title="t", across="a", up="u") == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.98612345, "0.9861"),
        (48000, "48,000"),
        (48000.5, "48,000"),
        (1234.5678, "1,235"),
        (1.25e-5, "1.25e-05"),
        (-0.5, "-0.5"),
        (-3, "-3"),
        (math.nan, "not a number"),
        (-math.inf, "-∞"),
        (1e20, "1e+20"),
    ],
)
def test_numbers(value, shown):
    assert number(value) == shown


def test_joined_letters_and_emoji_stay_joined():
    family, persian = "👩\u200d👧", "می\u200cرود"
    assert fit(family) == family
    assert fit(persian) == persian
    assert fit("a\u202eb") == "a\\u202eb"  # which would turn what follows around


def test_of_a_very_long_text_there_is_the_beginning():
    assert len(fit("x" * 5000)) == 1001
