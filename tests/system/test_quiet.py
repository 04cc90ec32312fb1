import subprocess
import sys

QUIET = "from keras_azure.keras_engine import silence_libraries; silence_libraries()"
CODE = """
import tensorflow as tf
from tensorflow.python.platform import tf_logging


@tf.function
def add(values):
    return values + 1


for size in range(9):
    add(size)  # traced anew each time
tf_logging.warning("something else")
"""


def stderr_of(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr


def test_tensorflow_does_not_warn_of_batches_of_several_sizes_and_says_everything_else():
    heard = stderr_of(QUIET + CODE)
    assert "retracing" not in heard
    assert "something else" in heard
    assert "retracing" in stderr_of(CODE), "TensorFlow no longer warns: the filter can go"
