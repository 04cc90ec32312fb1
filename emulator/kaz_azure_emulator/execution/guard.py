"""Runs a command and leaves nothing of it behind: `guard.py <grace seconds> <heed: 0 or 1> <command> ...`.

A program of its own, started for each process of a job by `processes.py`, with the standard library alone.

- SIGTERM is passed on to the command; what still runs after the grace is killed.
- When its input closes, its parent is gone or wants an end at once: everything is killed. A pipe closes however its
  owner dies, on every system.
- When the command ends, whatever it left running is killed; that is what the end of a container does.

Ends with the command's exit code, or 128 + n where signal n ended the command.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_CAP_DAC_OVERRIDE = 1
_COMMAND_CANNOT_RUN = 127  # what shells say


def main() -> int:
    grace_seconds, heeds_permissions, command = float(sys.argv[1]), sys.argv[2] == "1", sys.argv[3:]
    if sys.platform == "linux":
        control = ctypes.CDLL(None, use_errno=True).prctl
        # Processes whose parents end become children of the guard, so that none gets away by forking twice.
        control(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        if heeds_permissions and os.geteuid() == 0:
            # The root of a container could write to inputs that Azure mounts read-only.
            control(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)

    # Signals arrive as bytes in a pipe, so that one `select` waits for all that can happen.
    signals, notice = os.pipe()
    os.set_blocking(notice, False)
    signal.set_wakeup_fd(notice)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)

    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201  to the job's log
        return _COMMAND_CANNOT_RUN

    deadline = None
    while child.poll() is None:
        seconds_left = None if deadline is None else deadline - time.monotonic()
        if seconds_left is not None and seconds_left <= 0:
            break
        ready, _, _ = select.select([sys.stdin.fileno(), signals], [], [], seconds_left)
        if sys.stdin.fileno() in ready and not os.read(sys.stdin.fileno(), 1024):
            break
        if signals in ready and signal.SIGTERM in os.read(signals, 1024) and deadline is None:
            deadline = time.monotonic() + grace_seconds
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)

    _kill_all(child)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _kill_all(child: subprocess.Popen) -> None:
    """Kills what is left of the command's group and, on Linux, every descendant outside of it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    # Killed parents hand their children to the guard; each round finds those.
    while pids := _descendants():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _descendants() -> set[int]:
    """The living processes below this one; none where there is no /proc."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            # "pid (name) state parent ...", where a name may have spaces and brackets
            state, parent, *_ = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            if state != "Z" or int(parent) == os.getpid():
                parents[int(folder.name)] = int(parent)
    found, frontier = set(), {os.getpid()}
    while frontier:
        frontier = {pid for pid, parent in parents.items() if parent in frontier} - found
        found |= frontier
    return found


if __name__ == "__main__":
    sys.exit(main())
