"""Names in figures: what can be drawn of them, and that different ones stay different."""

import logging
import string
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from keras_azure.data import figure_text
from keras_azure.data.figure_text import drawable, drawable_labels, style_of

SCRIPTS = ["猫", "개", "بطة", "सेब", "Собака", "naïve", "cafe\u0301", "🐶🐱", "👩\u200d👩\u200d👧"]
SCRIPTS += ["\u202eevil", "a\nb\x1b[31m", "$x_1^2$", "$", ""]


def drawn(text):
    """What Matplotlib complains of while it draws a text: nothing."""
    figure = Figure()
    figure.text(0.5, 0.5, text, **style_of(text))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()


@pytest.mark.parametrize("text", SCRIPTS)
def test_any_script_is_drawn_without_a_warning(text, caplog):
    with caplog.at_level(logging.WARNING):
        drawn(drawable(text))
    assert not caplog.records


def test_what_no_font_has_is_written_out(monkeypatch):
    monkeypatch.setattr(figure_text, "_families", lambda: ("DejaVu Sans",))
    figure_text._family_of.cache_clear()
    try:
        assert drawable("猫 and Кот") == r"\u732b and Кот"
        assert drawable_labels(["猫" * 5], 16) == {"猫" * 5: r"\u732b\u732b…"}  # and none is cut within
    finally:
        figure_text._family_of.cache_clear()


def test_a_font_that_has_it_is_used(monkeypatch):
    has = {"DejaVu Sans": set(map(ord, string.printable)), "Another": {ord("猫")}}
    monkeypatch.setattr(figure_text, "_families", lambda: tuple(has))
    monkeypatch.setattr(figure_text, "_characters", has.__getitem__)
    figure_text._family_of.cache_clear()
    try:
        assert drawable("cat 猫 🐶") == "cat 猫 \\U0001f436"
        assert style_of("cat 猫")["family"] == ["DejaVu Sans", "Another"]
        assert style_of("cat")["family"] == ["DejaVu Sans"]
        assert drawable_labels(["猫" * 9], 16) == {"猫" * 9: "猫猫猫猫猫猫猫…"}  # each takes the place of two
    finally:
        figure_text._family_of.cache_clear()


def test_short_names_are_as_they_are():
    assert [*drawable_labels(["cat", "x" * 16], 16).values()] == ["cat", "x" * 16]


def test_a_long_name_is_its_beginning():
    assert drawable_labels(["golden retriever puppy"], 16)["golden retriever puppy"] == "golden retrieve…"


def test_names_that_begin_alike_stay_different():
    names = ["Staphylococcus aureus", "Staphylococcus epidermidis", "Staphylococcus hominis"]
    labels = [*drawable_labels(names, 16).values()]
    assert labels == ["Staphylo… aureus", "Staphylo…ermidis", "Staphylo…hominis"]


def test_names_that_begin_and_end_alike_stay_different():
    names = [f"Staphylococcus {middle} culture" for middle in ("one", "two", "six")]
    assert [*drawable_labels(names, 16).values()] == [f"Staphylococcu…#{number}" for number in (1, 2, 3)]


def test_a_short_name_that_looks_like_a_shortened_one():
    long = "golden retriever puppy"
    labels = drawable_labels([long, "golden retrieve…", "\n", r"\n"], 16)
    assert len(set(labels.values())) == 4
    assert labels["golden retrieve…"] == "golden retrieve…"


@given(st.lists(st.text(st.sampled_from("ab猫$…#1\n"), max_size=12), unique=True, max_size=12), st.integers(6, 10))
def test_no_two_are_ever_the_same(names, width):
    labels = drawable_labels(names, width)
    assert list(labels) == names
    assert len({*labels.values()}) == len(names)
    assert all(len(label) <= width for label in labels.values())
