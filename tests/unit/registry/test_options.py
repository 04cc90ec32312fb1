import functools
import inspect
from typing import Annotated, Any, Literal, Optional, Union

import numpy as np
import pytest

from keras_azure.errors import WrongOption
from keras_azure.registry.options import coerce, coerce_options, option_parameters, option_texts
from keras_azure.registry.specs import Spec


def network(
    input_shape,
    num_classes,
    *,
    filters: tuple[int, ...] = (16, 32),
    dropout: float = 0.0,
    head: Literal["linear", "mlp"] = "mlp",
    weights: str | None = None,
    size: tuple[int, int] = (28, 28),
    anything=None,
):
    return locals()


class Layer:
    def __init__(self, degrees: float, *, fill: str = "nearest"):
        self.degrees, self.fill = degrees, fill


def loose(first, second, **settings):
    pass


@pytest.mark.parametrize(
    ("value", "hint", "result"),
    [
        (1, int, 1),
        (1, float, 1.0),
        (0.5, float, 0.5),
        (True, bool, True),
        ("x", str, "x"),
        (None, None, None),
        (None, int | None, None),
        (3, Optional[int], 3),  # noqa: UP045 the older spelling is in older plugins
        (3, Union[float, str], 3.0),  # noqa: UP007
        (3, float | int, 3),
        (3.5, int | float, 3.5),
        ("b", Literal["a", "b"], "b"),
        (2, Literal[1, 2], 2),
        (8, tuple[int, ...], (8,)),
        ((8, 16), tuple[int, ...], (8, 16)),
        ((), tuple[int, ...], ()),
        ((1, 2), tuple[float, float], (1.0, 2.0)),
        ([1, "a"], tuple[int, str], (1, "a")),
        ((1, 2), list[int], [1, 2]),
        ("flip", list[str], ["flip"]),
        ((1, 2), list, [1, 2]),
        ([1, 2], tuple, (1, 2)),
        (((1, 2), (3, 4)), tuple[tuple[int, int], ...], ((1, 2), (3, 4))),
        (None, tuple[int, ...] | None, None),
        (4, tuple[int, ...] | None, (4,)),
        (1, Annotated[float, "a share"], 1.0),
        ({"a": 1}, dict, {"a": 1}),
        ("x", Any, "x"),
        ("x", inspect.Parameter.empty, "x"),
    ],
)
def test_coerces(value, hint, result):
    coerced = coerce(value, hint)
    assert coerced == result
    assert type(coerced) is type(result)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("1", int),
        (1.0, int),
        (True, int),
        (False, float),
        ("1", float),
        (10**400, float),  # more than a float can hold
        (1, str),
        (None, str),
        (1, bool),
        ("true", bool),
        (0, None),
        ("x", int | None),
        ("c", Literal["a", "b"]),
        (True, Literal[1, 2]),
        (1.0, Literal[1, 2]),
        ("16", tuple[int, ...]),
        ((1, "2"), tuple[int, ...]),
        (1, tuple[int, int, int]),
        (1, tuple[float, float]),
        ((1, 2, 3), tuple[int, int]),
        (1, tuple),
        ("text", list),
        ((1, (2,)), list[int]),
    ],
)
def test_refuses(value, hint):
    with pytest.raises(ValueError):
        coerce(value, hint)


def test_numbers_of_numpy_are_numbers():
    assert coerce(np.float64(0.5), float) == 0.5


def test_options_are_converted_by_the_signature():
    spec = Spec("net", {"filters": 8, "dropout": 1, "head": "linear", "size": (3, 4), "anything": "goes"})
    assert coerce_options(spec, network, 2, "model") == {
        "filters": (8,),
        "dropout": 1.0,
        "head": "linear",
        "size": (3, 4),
        "anything": "goes",
    }


def test_options_of_a_class_are_those_of_its_constructor():
    assert coerce_options(Spec("rotate", {"degrees": 20}), Layer, 0, "augmentation") == {"degrees": 20.0}
    with pytest.raises(WrongOption, match="needs the option 'degrees'"):
        coerce_options(Spec("rotate"), Layer, 0, "augmentation")


def test_any_option_is_taken_by_double_stars():
    assert coerce_options(Spec("loose", {"a": 1}), loose, 2, "model") == {"a": 1}


def test_annotations_may_be_text():
    namespace = {}
    code = "from __future__ import annotations\ndef net(a, b, *, rate: float = 0.0, other: Unknown = 1): ..."
    exec(code, namespace)
    assert coerce_options(Spec("net", {"rate": 1}), namespace["net"], 2, "model") == {"rate": 1}
    exec(code.replace("Unknown", "int"), namespace)
    assert coerce_options(Spec("net", {"rate": 1}), namespace["net"], 2, "model") == {"rate": 1.0}


def test_partial_functions_are_plugins_too():
    plugin = functools.partial(network, head="mlp")
    assert coerce_options(Spec("net", {"dropout": 1}), plugin, 2, "model") == {"dropout": 1}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"droput": 0.1}, "has no option 'droput'"),
        ({"input_shape": (1, 1, 1)}, "has no option 'input_shape'"),
        ({"num_classes": 3}, "has no option 'num_classes'"),
        ({"dropout": "much"}, "'dropout' of the model 'net' cannot be 'much': it is not float"),
        ({"head": "foot"}, "cannot be 'foot'"),
        ({"filters": (1, "a")}, "it is not tuple[int, ...]"),
        ({"weights": 5}, "it is not str | None"),
    ],
)
def test_a_wrong_option_shows_the_signature(options, problem):
    with pytest.raises(WrongOption) as caught:
        coerce_options(Spec("net", options), network, 2, "model")
    assert problem in caught.value.problem
    assert caught.value.expected == f"net{inspect.signature(network)}"


def test_option_parameters_leave_out_what_the_framework_fills():
    assert [*option_parameters(network, 2)] == ["filters", "dropout", "head", "weights", "size", "anything"]
    assert [*option_parameters(Layer, 0)] == ["degrees", "fill"]
    assert [*option_parameters(loose, 2)] == []


def documented(*, size: str = "small", low: int = 0, high: int = 1, plain: int = 0):
    """What it is.

    Args:
        size: of the machines,
            as they are listed.
        low, high: between which it scales: at 0 it costs nothing.

    Raises:
        ValueError: never.
    """


def test_the_docstring_says_what_options_are():
    assert option_texts(documented) == {
        "size": "of the machines, as they are listed.",
        "low": "between which it scales: at 0 it costs nothing.",
        "high": "between which it scales: at 0 it costs nothing.",
    }
    assert option_texts(network) == {}
