"""Libraries speak only when something is wrong, and none of them phones home unless the user turned that on."""

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

_SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",  # TensorFlow's native log: oneDNN and missing-CUDA notes are not for our users
    "GRPC_VERBOSITY": "ERROR",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",  # MLflow asks for git, which need not be there
}


def silence_libraries() -> None:
    """Sets what the libraries read from the environment when they are imported; the user's own settings stay."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    # tqdm, which MLflow and TFDS import, asks notebooks for a package that a progress bar of ours does not need.
    warnings.filterwarnings("ignore", message="IProgress not found")
    logging.getLogger("tensorflow").addFilter(_says_more_than_retracing)


def _says_more_than_retracing(record: logging.LogRecord) -> bool:
    """A run predicts batches of a few sizes, each of which is traced once; TensorFlow takes that for a mistake."""
    return "triggered tf.function retracing" not in str(record.msg)


@contextlib.contextmanager
def native_messages_held_back() -> Iterator[None]:
    """Keeps what native code writes to stderr while a library is imported, and shows it only if that fails.

    TensorFlow writes that it found no CUDA before any of its log settings apply, so only the file descriptor helps.
    """
    try:
        descriptor = sys.__stderr__.fileno()
        original = os.dup(descriptor)
    except (AttributeError, OSError, ValueError):  # no stderr at all, such as under pythonw: nothing to hold back
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.__stderr__.flush()
        try:
            os.dup2(held.fileno(), descriptor)  # within: who presses Ctrl-C just now is to see what is said of it
            yield
        except Exception:
            os.dup2(original, descriptor)
            held.seek(0)
            os.write(descriptor, held.read())
            raise
        finally:
            os.dup2(original, descriptor)
            os.close(original)
