"""`python -m keras_azure.throughput`, from a checkout that is not installed, with Keras and one engine alone."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
# What Python runs in each process before all else: it hides packages, and that this one is installed.
HIDING = """
import importlib.metadata, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"{name} is hidden", name=name)

HIDDEN = {
    *("tensorflow", "tensorflow_datasets", "mlflow", "sklearn", "skops", "numba", "matplotlib", "PIL", "simplejpeg"),
    *("typer", "psutil", "filelock", "platformdirs", "azure"),
}
sys.meta_path.insert(0, Hidden())
discover = importlib.metadata.Distribution.discover

def discover_others(**about):
    for found in discover(**about):
        if found.name != "keras-azure" or found.read_text("RECORD") is None:  # pip leaves a RECORD
            yield found

importlib.metadata.Distribution.discover = discover_others
"""


def run_script(python: list[str], *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [*python, "-m", "keras_azure.throughput", *arguments]
    return subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
def test_jax_needs_nothing_but_keras(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(HIDING))
    done = run_script(
        [sys.executable],
        *("cnn", "--image-size", "8", "8", "1", "--batch-size", "2", "4", "--steps", "2", "--rounds", "2"),
        *("--seconds", "0.05", "--device", "cpu", "--json"),
        PYTHONPATH=str(tmp_path),
        KERAS_BACKEND="jax",
    )
    assert done.returncode == 0, done.stderr + done.stdout
    small, large = json.loads(done.stdout)
    assert (small["engine"], small["batch_size"], large["batch_size"]) == ("jax", 2, 4)
    assert small["images_per_second"] > 0
    assert small["step_seconds"] > 0
    assert "2/2: cnn, 8x8x1, batch 4" in done.stderr  # progress, apart from the result


@pytest.mark.slow
def test_the_device_is_waited_for(loaded_python_on_jax, install_plugin):
    """Under JAX a call returns before the device is done, on a CPU too: here each step takes it 50 ms."""
    install_plugin(
        "slow-network",
        {"models": "slow = slow_network:slow"},
        """
        import time
        import jax, keras

        class Sleep(keras.layers.Layer):
            def call(self, pictures):
                def sleep(number):
                    time.sleep(0.05)
                    return number
                shape = jax.ShapeDtypeStruct((), "float32")
                nothing = jax.pure_callback(sleep, shape, jax.lax.stop_gradient(jax.numpy.mean(pictures)) * 0)
                return pictures + jax.lax.stop_gradient(nothing)

        def slow(input_shape, num_classes):
            model = keras.Sequential([keras.layers.Input(input_shape), Sleep(), keras.layers.Flatten()])
            model.add(keras.layers.Dense(num_classes, activation="softmax"))
            return model
        """,
    )
    for step in ("ours", "keras"):
        done = run_script(
            loaded_python_on_jax,
            *("slow", "--image-size", "8", "8", "1", "--batch-size", "4", "--steps", "5", "--rounds", "2"),
            *("--seconds", "0.2", "--device", "cpu", "--engine", "jax", "--step", step, "--json"),
        )
        assert done.returncode == 0, done.stderr + done.stdout
        (found,) = json.loads(done.stdout)
        assert found["step_seconds"] >= 0.05
        assert found["images_per_second"] <= 4 / 0.05


@pytest.mark.slow
def test_the_table_and_an_error(loaded_python):
    done = run_script(
        loaded_python,
        *("cnn", "--image-size", "8", "8", "1", "--precision", "float32", "--steps", "2", "--rounds", "1"),
        *("--seconds", "0.05", "--engine", "tensorflow", "--device", "cpu"),
    )
    assert done.returncode == 0, done.stderr
    about, heading, row = done.stdout.splitlines()
    assert about.startswith("cnn, 8x8x1, 10 classes, tensorflow")
    assert "images/s" in heading
    assert "of peak" not in heading  # nothing is known of it, on a CPU
    assert len(row.split()) == len(heading.replace("step ms", "x").replace("p99 ms", "x").replace("first s", "x")
                                   .replace("memory GB", "x").split())  # fmt: skip

    failed = run_script(loaded_python, "cnm", "--image-size", "8", "8", "1", "--json")
    assert failed.returncode == 1
    assert "Did you mean 'cnn'" in json.loads(failed.stdout)[0]["error"]
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["cnn", "--batch-size", "0"], ["cnn", "--image-size", "0"], ["cnn", "--engine", "paddle"]]
)
def test_wrong_calls_end_with_2(loaded_python, arguments):
    done = run_script(loaded_python, *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
