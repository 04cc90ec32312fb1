"""How busy an NVIDIA GPU is while something is measured, as `nvidia-smi` tells it."""

import contextlib
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

_EVERY = 200  # milliseconds
_QUERY = ("--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits", f"--loop-ms={_EVERY}")


@dataclass
class Utilisation:
    """Of one GPU, over the time that was watched; None where nvidia-smi is not there or does not know.

    Attributes:
        busy: the share of the time in which some kernel ran, 0..1, median.
        memory: the most memory of the whole GPU that was in use, bytes, by whatever process.
    """

    busy: float | None = None
    memory: int | None = None


@contextlib.contextmanager
def watched(device: str, seen: Utilisation) -> Iterator[None]:
    """Watches a device in Keras's words, "gpu:0", beside the body; `seen` has it when the body is left."""
    command = shutil.which("nvidia-smi") if device.startswith("gpu") else None
    if command is None:
        yield
        return
    with tempfile.TemporaryFile("w+") as written:
        number = device.rpartition(":")[2]
        watcher = subprocess.Popen([command, f"--id={number}", *_QUERY], stdout=written, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            watcher.terminate()
            watcher.wait()
            written.seek(0)
            _read(written.read(), seen)


def _read(text: str, seen: Utilisation) -> None:
    busy, memory = [], []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):  # "[N/A]", or a line that was cut off at the end
            share, used = map(float, line.split(","))
            busy.append(share / 100)
            memory.append(int(used) << 20)  # MiB
    if busy:
        seen.busy, seen.memory = statistics.median(busy), max(memory)
