"""Virtual environments for jobs, built once for the same requirements and kept in a cache.

A folder under its final name is whole: it is built beside and renamed. Virtual environments do not survive that, but no
job runs in one of these: `overlay.py` lays an environment of the job's own over it.

A lock file for each environment is held exclusively to build or delete it, and shared by the jobs that use it. The
system releases it however its owner ends.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kaz_azure_emulator.cache import cache_folder
from kaz_azure_emulator.execution.conda import Requirements, read_conda_file
from kaz_azure_emulator.execution.errors import JobCanceled, JobFailed
from kaz_azure_emulator.execution.processes import GuardedProcess

LIMIT_VARIABLE = "KAZ_AZURE_EMULATOR_CACHE_BYTES"  # how large they may be together
BUILD_LOG = "azureml-logs/20_image_build_log.txt"  # where Azure writes what its image build says

_DEFAULT_LIMIT_BYTES = 30e9  # half a dozen with TensorFlow for GPUs
_FORMAT = 1  # part of every key: a change to how environments are built makes others of them
_DESCRIPTION = "environment.json"  # its time of change is when the environment was last used
_GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.1
_NUM_LAST_LINES = 20
# What pip needs from its surroundings: its settings, and the way to the index.
_PASSED_ON = re.compile(
    r"PATH|HOME|LANG|LC_.*|TMPDIR|(HTTPS?|ALL|NO)_PROXY|(https?|all|no)_proxy|XDG_.*|PIP_.*|UV_.*"
    r"|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
)


@dataclass(frozen=True)
class Environment:
    """A finished virtual environment.

    Args:
        folder: where it is.
        built_in: where it was built, which its scripts still name.
        interpreter: the Python it was made with.
    """

    folder: Path
    built_in: Path
    interpreter: Path


@contextlib.contextmanager
def prepared_environment(
    conda_file: str | None,
    code: Path,
    log: Path,
    canceled: threading.Event,
    machine: Mapping[str, str] = os.environ,
) -> Iterator[Environment]:
    """The environment that a conda file asks for, kept for as long as the block runs.

    Args:
        conda_file: YAML text, or None for Python alone.
        code: the job's code, where relative paths in the pip section lead.
        log: takes what there is to say of it; left alone if it was there and as asked for.
        canceled: ends the build.
        machine: the variables that say how this machine reaches a package index.

    Raises:
        JobFailed: it cannot be built.
        JobCanceled: the event was set.
    """
    requirements = read_conda_file(conda_file)
    interpreter, notes = _find_interpreter(requirements)
    key = _key(requirements, interpreter, code)
    if notes:
        log.write_text("".join(f"{note}\n" for note in notes), encoding="utf-8")
    store = _store()
    with _Lock(store / f"{key}.lock") as lock:
        while True:
            lock.take(fcntl.LOCK_SH, canceled)
            if (store / key).exists():
                break
            lock.take(fcntl.LOCK_EX, canceled)
            if not (store / key).exists():
                build = _Build(code, log, canceled, surroundings(machine))
                build.make(requirements, interpreter, store / key)
                _bound_size(store, keep=key)
        description = store / key / _DESCRIPTION
        os.utime(description)
        yield Environment(store / key, Path(json.loads(description.read_text())["built_in"]), interpreter)


def last_lines(file: Path, count: int = _NUM_LAST_LINES) -> str:
    """The end of a log, at most 4,000 characters of it."""
    if not file.exists():
        return ""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - 16_000))
        text = stream.read().decode(errors="replace")
    return "\n".join(text.rstrip().splitlines()[-count:])[-4000:]


def remove_tree(folder: Path) -> None:
    """Removes a folder, with what is read-only in it."""
    for parent, _, _ in os.walk(folder):  # a folder is made writable before it is looked into
        with contextlib.suppress(OSError):
            Path(parent).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _store() -> Path:
    folder = cache_folder() / "environments"
    folder.mkdir(exist_ok=True)
    return folder


class _Lock:
    def __init__(self, file: Path):
        self._file = file

    def __enter__(self) -> "_Lock":
        self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def take(self, kind: int, canceled: threading.Event) -> None:
        """Waits for the lock; gives up first what is held of it, so that two that want more cannot block each other."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        while not self.is_taken(kind):
            if canceled.wait(_POLL_SECONDS):
                raise JobCanceled

    def is_taken(self, kind: int) -> bool:
        try:
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _find_interpreter(requirements: Requirements) -> tuple[Path, list[str]]:
    """The Python that is asked for, where this machine has it; else the emulator's own, with a note."""
    notes = list(requirements.notes)
    here = Path(sys.executable)
    match = re.match(r"\d+\.\d+", requirements.python or "")
    if not match or match[0] == f"{sys.version_info.major}.{sys.version_info.minor}":
        return here, notes
    other = shutil.which(f"python{match[0]}")
    # A version manager has a name for each version that it could have; those that it has not got say so when they run.
    if other and not subprocess.run([other, "-c", ""], capture_output=True).returncode:
        return Path(other), notes
    running = ".".join(map(str, sys.version_info[:3]))
    notes.append(f"Python {requirements.python} is asked for, but not on this machine: the job gets {running}.")
    return here, notes


def _key(requirements: Requirements, interpreter: Path, code: Path) -> str:
    code = code.resolve()
    named = sorted(_named_paths(requirements.lines, code, code))
    files = {str(path.relative_to(code)): _digest(path) for path in named}
    parts = [_FORMAT, str(interpreter.resolve()), sys.platform, requirements.lines, files]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _named_paths(lines: Iterable[str], listed_in: Path, code: Path) -> set[Path]:
    """The files and folders that lines of a requirements file name, and those that these name in turn.

    As pip reads them: other requirements files are looked for from the folder of the one that names them, packages from
    where pip runs, which is the code's folder.
    """
    found: set[Path] = set()
    for line in lines:
        names_lines = re.match(r"(-r|-c|--requirement|--constraint)(\s+|=|(?=\S))", line)
        for token in line[names_lines.end() if names_lines else 0 :].split(" #")[0].split():
            name = re.sub(r"\[[^\]]*\]$", "", token.removeprefix("file:"))
            is_path = names_lines or name.startswith((".", "/")) or re.search(r"/|\.(whl|zip|tar\.gz)$", name)
            path = ((listed_in if names_lines else code) / name).resolve()
            if not is_path or "://" in name or not path.exists() or path in found:
                continue  # a package's name, an address, or what pip will say is missing
            if not path.is_relative_to(code):
                raise JobFailed("ImageBuildFailure", f"{name} is outside of the job's code.")
            found.add(path)
            if names_lines and path.is_file():
                lines_there = path.read_text(encoding="utf-8", errors="replace").splitlines()
                found |= _named_paths(lines_there, path.parent, code)
    return found


def _digest(path: Path) -> str:
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    content = {str(file.relative_to(path)): _digest(file) for file in sorted(path.rglob("*")) if file.is_file()}
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True)
class _Build:
    """Programs that build an environment, in the code's folder; what they say goes to `log`."""

    code: Path
    log: Path
    canceled: threading.Event
    variables: dict[str, str]

    def make(self, requirements: Requirements, interpreter: Path, final: Path) -> None:
        partial = final.with_name(f"{final.name}.partial")
        remove_tree(partial)  # of a builder that was killed
        try:
            self._run([interpreter, "-m", "venv", partial])
            if requirements.lines:
                # In the code's folder, from where pip looks for other requirements files that it names.
                with tempfile.NamedTemporaryFile("w", dir=self.code, suffix=".txt", encoding="utf-8") as listed:
                    listed.writelines(f"{line}\n" for line in requirements.lines)
                    listed.flush()
                    self._run([*installer(partial / "bin" / "python", self.variables), "-r", listed.name])
            size_bytes = sum(path.lstat().st_size for path in partial.rglob("*"))
            description = {"built_in": str(partial), "bytes": size_bytes}
            (partial / _DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")
            partial.rename(final)
        finally:
            remove_tree(partial)

    def _run(self, command: Sequence[str | Path]) -> None:
        process = GuardedProcess(
            [str(part) for part in command],
            folder=self.code,
            environment=self.variables,
            output=self.log,
            grace_seconds=_GRACE_SECONDS,
        )
        try:
            while (exit_code := process.poll()) is None:
                if self.canceled.wait(_POLL_SECONDS):
                    raise JobCanceled
        finally:
            process.close()
        if exit_code:
            lines = last_lines(self.log)
            message = f"Image build failed. For more details, check log file {BUILD_LOG}. Last lines:\n{lines}"
            raise JobFailed("ImageBuildFailure", message)


def installer(python: Path, variables: Mapping[str, str]) -> list[str | Path]:
    """The command that installs packages for a Python: of uv where it is there and will do, else of pip."""
    pip = [python, "-m", "pip"]
    uv = shutil.which("uv")
    if uv:
        # uv does not read pip's settings: where there are any, they say which index is to be used.
        settings = subprocess.run([*pip, "config", "list"], capture_output=True, env=variables, timeout=60)
        if not settings.stdout.strip():
            return [uv, "pip", "install", "--python", python]
    return [*pip, "install", "--no-input", "--disable-pip-version-check"]


def surroundings(machine: Mapping[str, str]) -> dict[str, str]:
    """What a build gets to see of a machine's variables: no secrets."""
    return {name: value for name, value in machine.items() if _PASSED_ON.fullmatch(name)}


def _bound_size(store: Path, keep: str) -> None:
    """Deletes what was not used for longest, until the rest is small enough; what is in use stays."""
    limit_bytes = float(os.environ.get(LIMIT_VARIABLE) or _DEFAULT_LIMIT_BYTES)
    environments = []
    for folder in store.iterdir():
        with contextlib.suppress(OSError, ValueError, KeyError):
            if folder.suffix == ".partial":
                environments.append((0.0, 0, folder))  # of a builder that was killed, or is at work and has the lock
            elif folder.is_dir():
                description = folder / _DESCRIPTION
                size_bytes = json.loads(description.read_text())["bytes"]
                environments.append((description.stat().st_mtime, size_bytes, folder))
    total_bytes = sum(size_bytes for _, size_bytes, _ in environments)
    for last_used, size_bytes, folder in sorted(environments):
        if folder.stem == keep or (last_used and total_bytes <= limit_bytes):
            continue
        with _Lock(store / f"{folder.stem}.lock") as lock:
            if lock.is_taken(fcntl.LOCK_EX):
                gone = store / f"{folder.stem}.partial"
                with contextlib.suppress(OSError):
                    folder.rename(gone)  # at once, so that a half-deleted one never has the final name
                remove_tree(gone)
                total_bytes -= size_bytes
