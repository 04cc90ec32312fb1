import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keras_azure.errors import SpecError
from keras_azure.registry.specs import LONGEST_TEXT, Spec, parse, parse_option

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
option_names = st.from_regex(r"x[A-Za-z0-9_]{0,10}", fullmatch=True)  # an x in front: never a Python keyword
numbers = st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False)
literals = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=10,
)
options = st.dictionaries(option_names, literals, max_size=4)


@given(names, options)
@example("cnn", {"x": -0.0, "y": 'it\'s "both"', "z": ((),), "w": "\ud800\x00\n"})
def test_text_reads_back_as_the_same_spec(name, options):
    spec = Spec(name, options)
    again = parse(str(spec))
    assert again == spec
    assert repr(again) == repr(spec)  # 1 == True == 1.0 in Python, but not here
    assert hash(again) == hash(spec)
    assert str(again) == str(spec)


@given(names, options)
def test_text_survives_json_and_nesting(name, options):
    spec = Spec(name, options)
    assert parse(json.loads(json.dumps(str(spec)))) == spec
    outer = Spec("outer", {"inner": str(spec)})
    assert parse(parse(str(outer)).options["inner"]) == spec


@given(st.text() | st.text("ab(),='\"[]{}:.-+*#\\ 01ex\n").map(lambda text: f"a({text})"))
@example("a(x=1")
@example("a\x00")
@example("a(x='\x00')")
@example("a(x='\ud800')")
def test_any_text_is_read_or_refused(text):
    for read in (parse, parse_option):
        try:
            read(text)
        except SpecError as error:
            assert str(error)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("cnn", {}),
        ("cnn()", {}),
        ("  cnn ( ) ", {}),
        ("cnn(filters=(16, 32), dropout=0.2)", {"filters": (16, 32), "dropout": 0.2}),
        ("cnn(filters=[16, [32]])", {"filters": (16, (32,))}),
        ("cnn(filters=())", {"filters": ()}),
        ("cnn(\n  dropout=0.2,\n)", {"dropout": 0.2}),
        ("cnn(backbone=inceptionv3)", {"backbone": "inceptionv3"}),
        ("cnn(backbone='two words')", {"backbone": "two words"}),
        (
            "cnn(a=-1, b=+2, c=-0.5, d=1e-3, e=0x10, f=1_000)",
            {"a": -1, "b": 2, "c": -0.5, "d": 1e-3, "e": 16, "f": 1000},
        ),
        ("cnn(a=True, b=False, c=None, d=true)", {"a": True, "b": False, "c": None, "d": "true"}),
        ("cnn(head=mlp(units=64, rates=(0.1, -2)))", {"head": "mlp(rates=(0.1, -2), units=64)"}),
        ("cnn(head=a(b=c(d=e)))", {"head": "a(b=\"c(d='e')\")"}),
        ("cnn(heads=(linear(), mlp(units=1)))", {"heads": ("linear", "mlp(units=1)")}),
    ],
)
def test_grammar(text, options):
    spec = parse(text)
    assert spec.name == "cnn"
    assert dict(spec.options) == options


@pytest.mark.parametrize("name", ["local-cpu", "azure-nc6", "kaz.net", "_x", "A9"])
def test_names(name):
    assert parse(name) == Spec(name)
    assert parse(f"{name}(a=1)") == Spec(name, {"a": 1})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a name with options"),
        ("9lives", "is not a name with options"),
        ("two words", "is not a name with options"),
        ("größe", "is not a name with options"),
        ("a/b", "is not a name with options"),
        ("cnn)", "is not a name with options"),
        ("cnn(", "is not a name with options"),
        ("cnn(a=1", "is not a name with options"),
        ("cnn(16)", "a value without an option's name"),
        ("cnn(16, a=1)", "a value without an option's name"),
        ("cnn(*a)", "a value without an option's name"),
        ("cnn(**a)", "unpacks a mapping"),
        ("cnn(a=1, a=2)", "gives 'a' twice"),
        ("cnn(b=c(a=1, a=2))", "gives 'a' twice"),
        ("cnn(a=1)(b=2)", "is not one name with options"),
        ("cnn(a=1) + cnn(a=1)", "is not one name with options"),
        ("cnn(a=1)\n(b=2)", "cannot be read"),
        ("cnn(a=)", "cannot be read"),
        ("cnn(a==1)", "a value without an option's name"),
        ("cnn(class=1)", "cannot be read"),
        ("cnn(a=1+1)", "'1 + 1' is not a plain value"),
        ("cnn(a={})", "'{}' is not a plain value"),
        ("cnn(a=two-words)", "'two - words' is not a plain value"),
        ("cnn(a=b.c)", "'b.c' is not a plain value"),
        ("cnn(a=b(1))", "'b(1)' is not a plain value"),
        ("cnn(a=b'bytes')", "is not a plain value"),
        ("cnn(a=1j)", "is not a plain value"),
        ("cnn(a=...)", "is not a plain value"),
        ("cnn(a=f'{1}')", "is not a plain value"),
        ("cnn(a=__import__('os').system('true'))", "is not a plain value"),
        ("cnn(a=(b for b in c))", "is not a plain value"),
        ("cnn(a=1e999)", "cannot be inf"),
        ("cnn(a=(1, -1e999))", "cannot be -inf"),
    ],
)
def test_refuses_what_is_not_the_grammar(text, reason):
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert reason in caught.value.problem
    assert caught.value.expected


@pytest.mark.parametrize(
    "text",
    [
        "a(x=" + "(" * 4000 + ")" * 4000 + ")",
        "a(x=" + "(" * 150 + ")" * 150 + ")" + ")" * 10,
        "a(x=" + "b(y=" * 1500 + "1" + ")" * 1501,
        "a(x=" + "-" * 9000 + "1)",
        "a(x=" + "-" * 900 + "1)",
        "a(x=" + "not " * 2000 + "1)",
        "a(x=1" + "+1" * 4000 + ")",
        "a(x=b" + ".b" * 4000 + ")",
        "a(x=b" + "[0]" * 3000 + ")",
        "a(x=b" + "()" * 3000 + ")",
        "a(x=" + "lambda:" * 1000 + "1)",
        "a(x=" + "1if 1else " * 900 + "1)",
        "a(x=" + "f'{" * 100 + "1" + "}'" * 100 + ")",
        "a(x=1)" * 1000,
        "a" * (LONGEST_TEXT + 1),
        "a(x=" + "1," * LONGEST_TEXT + ")",
        "a(x=" + "9" * 9000 + ")",
        "a(x=0x" + "f" * 9000 + ")",
        "a(x=-0x" + "f" * 9000 + ")",
        "a(x=1" + "_0" * 3000 + ")",
    ],
    ids=lambda text: f"{text[:14]}...{len(text)}",
)
def test_hostile_texts_are_refused_shortly(text):
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert len(str(caught.value)) < 1000


def test_deep_but_readable_nesting_is_fine():
    text = "a(x=" + "(" * 50 + "1," + ")" * 50 + ")"
    assert parse(str(parse(text))) == parse(text)


def test_the_reason_is_the_right_one():
    with pytest.raises(SpecError, match="null"):
        parse("a(x='\x00')")
    with pytest.raises(SpecError, match=r"deeply nested|too many nested"):
        parse("a(x=" + "(" * 400 + ")" * 400 + ")")


def test_reading_gives_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse(r"folder(path='C:\data')").options["path"] == r"C:\data"


def test_numbers_of_numpy_are_plain_numbers():
    spec = Spec("cnn", {"dropout": np.float64(0.5), "name": np.str_("x")})
    assert str(spec) == "cnn(dropout=0.5, name='x')"
    assert type(spec.options["dropout"]) is float


@pytest.mark.parametrize("value", [math.nan, math.inf, b"x", {}, {1}, 1j, object(), ..., 2**2000])
def test_refuses_values_that_text_cannot_carry(value):
    for options in ({"x": value}, {"x": (1, [value])}):
        with pytest.raises(SpecError, match="'x' cannot be"):
            Spec("cnn", options)


def test_specs_are_values():
    spec = Spec("cnn", {"b": [1, 2], "a": 1})
    assert spec == Spec("cnn", {"a": 1, "b": (1, 2)})
    assert {spec: "found"}[parse("cnn(a=1, b=(1, 2))")] == "found"
    assert str(spec) == "cnn(a=1, b=(1, 2))"
    assert spec != Spec("cnn") != Spec("other")
    with pytest.raises(TypeError):
        spec.options["a"] = 2


def test_options_can_be_laid_over():
    spec = parse("cnn(a=1, b=2)").with_options(b=3, c="x")
    assert str(spec) == "cnn(a=1, b=3, c='x')"


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("dropout=0.2", ("dropout", 0.2)),
        (" filters = (16, 32) ", ("filters", (16, 32))),
        ("head=mlp(units=64)", ("head", "mlp(units=64)")),
        ("weights='a/b.keras'", ("weights", "a/b.keras")),
        ("weights=a/b-c.keras", ("weights", "a/b-c.keras")),
        ("weights=~/runs/20261124-cnn", ("weights", "~/runs/20261124-cnn")),
        (r"weights=C:\\runs\\a.h5", ("weights", r"C:\\runs\\a.h5")),
        ("weights=model.keras", ("weights", "model.keras")),
        ("a=-.5", ("a", -0.5)),
        ("a=1.5e-3", ("a", 1.5e-3)),
    ],
)
def test_one_option(text, option):
    assert parse_option(text) == option


@pytest.mark.parametrize(
    "text", ["", "dropout", "dropout=", "=1", "a=1, b=2", "a=1)(b=2", "a=1), b=(2", "weights=a b/c", "9=1"]
)
def test_not_one_option(text):
    with pytest.raises(SpecError) as caught:
        parse_option(text)
    assert repr(text) in str(caught.value)
