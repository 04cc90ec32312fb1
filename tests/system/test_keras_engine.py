"""The choice of the Keras engine, in processes whose Keras is not loaded."""

import os
import subprocess
import sys

import pytest

from keras_azure.errors import UsageError
from keras_azure.keras_engine import use_engine

SHOW = """
import os
from keras_azure.keras_engine import use_engine
use_engine({engine!r})
print(os.environ.get("KERAS_BACKEND"))
"""


@pytest.mark.parametrize(
    ("engine", "before", "after"),
    [("jax", None, "jax"), ("tensorflow", "jax", "tensorflow"), ("auto", "jax", "jax"), ("auto", None, None)],
)
def test_it_is_chosen_before_keras_is_loaded(engine, before, after):
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    environment |= {"KERAS_BACKEND": before} if before else {}
    done = subprocess.run(
        [sys.executable, "-c", SHOW.format(engine=engine)], capture_output=True, text=True, env=environment
    )
    assert done.stdout == f"{after}\n", done.stderr


def test_one_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setattr("keras_azure.keras_engine.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"(?s)engine jax is not installed.*pip install 'keras-azure\[jax\]'"):
        use_engine("jax")


def test_a_loaded_keras_stays_on_its_engine():
    import keras

    loaded = keras.backend.backend()
    use_engine(loaded)
    other = {"tensorflow": "jax", "jax": "tensorflow"}[loaded]
    with pytest.raises(
        UsageError, match=rf"(?s)loaded already, on {loaded}, and cannot change to {other}.*KERAS_BACKEND"
    ):
        use_engine(other)
