"""Child processes that end with this one, however it ends: each has a pipe from it, and stops when that closes."""

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

_GRACE = 5.0  # seconds from being asked to end to being killed


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
