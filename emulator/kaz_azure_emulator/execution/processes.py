"""Processes that end with this one, and take with them all that they started."""

import contextlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_GUARD = Path(__file__).with_name("guard.py")


class GuardedProcess:
    """A command under `guard.py`, with its output in a file.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        environment: all of its environment variables.
        output: the file that takes its standard output and error.
        grace_seconds: how long `stop` lets it end by itself.
        heeds_permissions: it cannot write to what is read-only, even where it runs as root.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        output: Path,
        grace_seconds: float,
        heeds_permissions: bool = False,
    ):
        # -I and -S: the job's PYTHON* variables and installed packages are for the job, not for its guard.
        guard = [sys.executable, "-I", "-S", str(_GUARD), str(grace_seconds), str(int(heeds_permissions))]
        with output.open("ab") as file:
            self._process = subprocess.Popen(
                [*guard, *command],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=dict(environment),
                start_new_session=True,  # Ctrl-C in a terminal is for the emulator, which ends its jobs in order
            )

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Asks it to end: SIGTERM, and SIGKILL after the grace. Does not wait."""
        self._process.terminate()

    def close(self) -> None:
        """Ends it at once, if it still runs, and waits until nothing of it is left."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
