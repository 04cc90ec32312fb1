"""What is found wrong with a plugin, and the words for it."""

import contextlib
import re
import textwrap
from collections.abc import Iterator

import numpy as np

from keras_azure.errors import BrokenPlugin, DataUnavailable, DeviceError
from keras_azure.redaction import redacted
from keras_azure.registry.specs import Spec

SUM_TOLERANCE = 1e-4  # float32 probabilities of many classes do not add up to 1 exactly


class ContractError(BrokenPlugin, AssertionError):
    """A plugin does not keep its contract."""


class Findings:
    """Gathers what is wrong with a plugin, so that one error tells all of it."""

    def __init__(self, subject: str):
        self._subject = subject
        self._problems: list[str] = []
        self._cause: Exception | None = None

    def add(self, problem: str, expected: str) -> None:
        self._problems.append(f"{problem}; expected {expected}")

    def extend(self, problems: Iterator[tuple[str, str]]) -> None:
        for problem, expected in problems:
            self.add(problem, expected)

    def failed(self, case: str, error: Exception, expected: str = "no error") -> None:
        """Notes that the plugin raised an error in this case."""
        self.add(f"{case}, it raises {type(error).__name__}: {message_of(error)}", expected)
        self._cause = self._cause or error

    @contextlib.contextmanager
    def when(self, case: str, expected: str = "no error") -> Iterator[None]:
        """An error in the body is one more finding."""
        try:
            yield
        except (DataUnavailable, DeviceError):
            raise  # not the plugin's fault
        except Exception as error:
            self.failed(case, error, expected)

    def settle(self) -> None:
        """Raises what was found, if anything was."""
        if self._problems:
            listed = "".join(f"\n- {problem}" for problem in self._problems)
            raise ContractError(f"{self._subject} breaks its contract:{listed}") from self._cause


def name_of(plugin: object) -> str:
    if isinstance(plugin, Spec):
        return plugin.name
    return plugin if isinstance(plugin, str) else getattr(plugin, "__name__", type(plugin).__name__)


def message_of(error: Exception) -> str:
    """The one line of an error that tells what happened; TensorFlow and Keras put it between others."""
    text = str(error).rpartition("Exception encountered: ")[2]  # Keras's loading: the whole config, and the error last
    if bold := re.search(r"\x1b\[1m(.+?)\x1b\[0m", text, re.DOTALL):  # Keras's layers: the error is in bold
        text = bold[1]
    elif text.startswith("in user code:"):  # AutoGraph: the traceback, and the error last
        text = text.strip().splitlines()[-1].strip().removeprefix(f"{type(error).__name__}: ")
    return textwrap.shorten(redacted(text), 300, placeholder=" ...")


def with_article(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def numbers(row: np.ndarray) -> str:
    return f"[{', '.join(f'{number:.3g}' for number in row[:4])}{', ...' if len(row) > 4 else ''}]"


def short(value: object) -> str:
    text = redacted(repr(value))
    return text if len(text) <= 80 else text[:77] + "..."


def is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def some_pixels(shape: tuple[int, int, int], count: int = 2) -> np.ndarray:
    """Random pictures, (count, height, width, channels) float32, 0..255, the same ones each time."""
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype(np.float32)
