"""Child processes that end with this one, however it ends: each has a pipe from it, and stops when that closes."""

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

_POLL = 0.02  # seconds between two looks at what a server has written
_GRACE = 5.0  # seconds from being asked to end to being killed


class Server:
    """A server as a child of this process, which writes the port that it has chosen into its log.

    Attributes:
        port: where it listens on 127.0.0.1, once `wait` has returned.
    """

    def __init__(self, name: str, log: Path):
        self.port = 0
        self._name = name
        self._log = log
        self._process: subprocess.Popen | None = None

    def start(self, command: list[str], environment: dict[str, str]) -> None:
        """Starts it. `wait` says when it answers."""
        self._log.parent.mkdir(exist_ok=True)
        self._log.unlink(missing_ok=True)
        self._process = start_child(command, self._log, environment)

    def wait(self, listening: str, timeout: float) -> None:
        """Returns when it listens.

        Args:
            listening: a pattern of what it writes then, whose first group is the port.
            timeout: in seconds.

        Raises:
            RuntimeError: it ended, or does not listen in time.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self._process and self._process.poll() is None:
            if found := re.search(listening, self._output()):
                self.port = int(found[1])
                return
            time.sleep(_POLL)
        raise RuntimeError(f"{self._name} did not start:\n{self._output()}")

    def stop(self) -> None:
        if self._process:
            stop_child(self._process)
            self._process = None

    def _output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""


def start_child(command: list[str], log: Path, environment: dict[str, str] | None = None) -> subprocess.Popen:
    """Starts a process whose output goes to a file, and whose input is a pipe that says whether its parent lives.

    The command must end when its input does: `exit_with_parent` does it for Python, `exit_with_parent.js` for Node.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C in a terminal is for the parent, which then ends its children in order
        )


def stop_child(child: subprocess.Popen) -> None:
    """Ends a child of `start_child`, and waits for it."""
    if child.stdin:
        with contextlib.suppress(OSError):
            child.stdin.close()
    child.terminate()
    try:
        child.wait(_GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def exit_with_parent() -> None:
    """Called in a child: ends it at once when the parent's end of the pipe closes."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(sys.stdin.fileno(), 1024):
                pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True, name="exit-with-parent").start()
