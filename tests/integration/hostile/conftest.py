"""Bad inputs, thrown at a parser by the hundred: what must hold for each of them, whatever it is.

Only a KerasAzureError comes out, whose message can be printed as it is; nothing hangs, no code from the input runs, and
nothing is written outside of the test's folder.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from keras_azure.errors import KerasAzureError

_RUN_CODE = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "pickle.find_class", "socket.connect")
_CHANGE_FILES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod")
_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class TookTooLong(BaseException):
    """No Exception, so that no parser takes it for damage."""


class _Watch:
    """Hears of what Python does to files and processes, in the thread and while `folder` is watched.

    An audit hook cannot be taken away again, so there is one for all tests.
    """

    def __init__(self):
        self.folder: str | None = None
        self.thread: int | None = None
        self.offences: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple) -> None:
        if self.folder is None or threading.get_ident() != self.thread:
            return
        if event in _RUN_CODE:
            self.offences.append(f"{event} {arguments!r}")
        elif event in _CHANGE_FILES or (event == "open" and (arguments[2] or 0) & _TO_WRITE):
            self._check(event, arguments[0])

    def _check(self, event: str, path: Any) -> None:
        if isinstance(path, int) or path == os.devnull:
            return
        place = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - pathlib would be heard of again
        # Python and Numba keep compiled code there, of our modules and not of the input.
        if not place.startswith(self.folder) and "__pycache__" not in place:
            self.offences.append(f"{event} {place}")


_watch = _Watch()


@contextlib.contextmanager
def _watched(folder: Path) -> Iterator[None]:
    _watch.folder, _watch.thread, _watch.offences = str(folder), threading.get_ident(), []
    try:
        yield
    finally:
        _watch.folder = None
    assert _watch.offences == []


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def stop(*_):
        raise TookTooLong(f"more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _check_message(text: str) -> None:
    raw = [character for character in text if not character.isprintable() and character != "\n"]
    assert not raw, f"{raw} would reach the terminal: {text!r}"


@pytest.fixture
def survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], Any]:
    """`survives(parse)` gives what `parse()` gives, or the KerasAzureError that it raises; all else fails the test.

    Temporary files go to the test's folder, so that what is written elsewhere stands out.
    """
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    def survive(parse: Callable[[], Any], seconds: float = 300) -> Any:
        try:
            with _limited(seconds), _watched(tmp_path):
                return parse()
        except KerasAzureError as error:
            _check_message(str(error))
            return error

    return survive


@pytest.fixture
def throw(request: pytest.FixtureRequest, survives: Callable) -> Callable:
    """`throw(strategy, parse)` calls `parse(value)` with 25 values, always the same, or with `--long` with 200 of them;
    `parse` may be slow, then it gets a `share`, ten at least.

    With `--bad-inputs N` there are N of each whatever the share, other ones each time.
    """
    wanted = request.config.getoption("--bad-inputs")
    fixed = 200 if request.config.getoption("--long") else 25

    def throw_at(strategy: st.SearchStrategy, parse: Callable[[Any], Any], share: float = 1.0) -> None:
        count = wanted or max(10, round(fixed * share))
        tried = refused = 0

        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            derandomize=wanted is None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        )
        @given(strategy)
        def check(value):
            nonlocal tried, refused
            tried += 1
            refused += isinstance(survives(lambda: parse(value)), KerasAzureError)

        begun = time.perf_counter()
        check()
        assert tried >= count, f"only {tried} different inputs could be made"
        assert refused, "nothing that was tried is refused"
        if wanted:
            seconds = time.perf_counter() - begun
            request.node.add_report_section("call", "inputs", f"{tried} inputs, {refused} refused, {seconds:.0f} s")

    return throw_at


_NUMBERS = st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF])


@st.composite
def _changed(draw: st.DrawFn, contents: list[bytes]) -> bytes:
    """One of the files, with a few bits flipped, pieces cut out, doubled or put in, or numbers made enormous."""
    content = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(1, 4))):
        # The beginning, where headers are, is as likely as all the rest.
        place = draw(st.integers(0, min(64, len(content)))) if draw(st.booleans()) else None
        place = draw(st.integers(0, len(content))) if place is None else place
        match draw(st.sampled_from(["flip", "put in", "cut", "end", "double", "number"])):
            case "flip" if place < len(content):
                content[place] ^= draw(st.integers(1, 255))
            case "put in":
                content[place:place] = draw(st.binary(min_size=1, max_size=40))
            case "cut":
                del content[place : place + draw(st.integers(1, 64))]
            case "end":
                del content[place:]
            case "double":
                content[place:place] = content[place : place + draw(st.integers(1, 64))]
            case "number":
                size = draw(st.sampled_from([1, 2, 4, 8]))
                number = draw(_NUMBERS) & (256**size - 1)
                content[place : place + size] = number.to_bytes(size, draw(st.sampled_from(["little", "big"])))
    return bytes(content)


@pytest.fixture
def changed() -> Callable[[list[bytes]], st.SearchStrategy[bytes]]:
    """`changed(contents)`: damaged copies of files."""
    return _changed


# What a terminal, a file system or a parser may stumble over, and whole numbers and words that mean something.
_NASTY = [
    *(
        "",
        "..",
        "../..",
        "/",
        "/etc/passwd",
        "a/../b",
        "~",
        "~nobody-at-all",
        "$HOME",
        "\0",
        "a\0b",
        "\n",
        "\x1b[31mred",
    ),
    *(
        "\x1b]0;title\x07",
        "\u202egnp.exe",
        "\ud800",
        "\udcff",
        "ﬁ",
        "é" * 300,
        "🙈",
        "a" * 5000,
        "nan",
        "Infinity",
        "None",
    ),
    *(
        "cnn",
        "digits",
        "cnn()",
        "cnn(units=1)",
        "(",
        ")",
        "cnn(" * 50,
        "[" * 200,
        "a=b",
        "tfds:",
        "tfds:../..",
        "os:system",
    ),
]


@pytest.fixture
def texts() -> st.SearchStrategy[str]:
    """Any text, now and then of surrogates, and such as is known to cause trouble."""
    anything = st.text(st.characters(codec=None), max_size=30)
    grammar = st.text("abz_=(),.:;'\"[]{}\\/-+*0123456789eE \n\t#@!~", max_size=40)
    return st.one_of(st.sampled_from(_NASTY), grammar, anything, st.tuples(grammar, anything).map("".join))
