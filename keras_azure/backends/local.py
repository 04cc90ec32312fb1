"""Runs on this machine: a GPU if there is one, or the device that the name asks for."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from keras_azure.backends.machine import Machine
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.description.folder import DESCRIPTION
from keras_azure.description.result import RunResult
from keras_azure.errors import OutputExists, RunFailed, RunInUse
from keras_azure.keras_engine import load_on


@dataclass(frozen=True)
class LocalBackend:
    device: Literal["auto", "cpu", "gpu"]

    def run(self, config: RunConfig, run_dir: Path, observer: Observer, *, resume: bool = False) -> RunResult:
        with _alone_in(run_dir):
            if not resume and (run_dir / DESCRIPTION).exists():
                raise OutputExists(f"Another process has just made a run in {run_dir}.", hint="another --output")
            train: Callable[..., RunResult] = load_on(config.engine, "keras_azure.training.train:train", observer)
            return train(config, run_dir, observer, device=self.device, resume=resume)

    def machine(self, observer: Observer, *, prices: bool = False, region: str | None = None) -> Machine:
        return Machine(here=True, device=self.device)


@contextlib.contextmanager
def _alone_in(run_dir: Path) -> Iterator[None]:
    """Keeps other processes of this machine out of a run folder; ends with the process, however that ends.

    Raises:
        RunInUse: another process is at work in it.
    """
    lock = FileLock(run_dir / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise RunInUse(
            f"Another process is at work in {run_dir}.", hint="wait until it is done, or stop it; or another --output"
        ) from None
    except NotImplementedError:  # a mounted blob folder has no locks; a job there has its folder for itself
        yield
        return
    except OSError as error:
        raise RunFailed(f"The run folder {run_dir} cannot be written to: {error.strerror}.") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink()  # still held: whoever opened it before finds out that it is gone
        lock.release()


def local(*, device: Literal["auto", "cpu", "gpu"] = "auto") -> LocalBackend:
    """This machine: `local` is its first GPU or, without one, the CPU; `local-cpu` and `local-gpu` are just these.

    Args:
        device: auto, cpu also where there is a GPU, or gpu, an error where there is none.
    """
    return LocalBackend(device)
