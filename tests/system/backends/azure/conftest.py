import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "their-models"
version = "1.0"

[project.entry-points."keras_azure.models"]
tiny = "their_models:tiny"

[project.entry-points."keras_azure.callbacks"]
hold = "their_models:Hold"

[tool.setuptools]
py-modules = ["their_models"]
"""
_CODE = '''
import signal
import time

import keras


def tiny(input_shape, num_classes, *, units: int = 2):
    layers = [keras.Input(input_shape, name="i"), keras.layers.Rescaling(1 / 255, name="s")]
    layers += [keras.layers.Flatten(name="f"), keras.layers.Dense(units, name="d")]
    layers += [keras.layers.Dense(num_classes, activation="softmax", name="p")]
    return keras.Sequential(layers, name="tiny")


class Hold(keras.callbacks.Callback):
    """Holds a run that has begun anew before the third step of its fourth epoch, until it is asked to stop."""

    first = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.first = epoch if self.first is None else self.first

    def on_train_batch_begin(self, batch, logs=None):
        if (self.first, self.epoch, batch) != (0, 3, 2):
            return
        asked, before = [], signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, lambda *given: asked.append(before(*given)))
        end = time.monotonic() + 300
        while not asked:
            assert time.monotonic() < end, "nobody asks it to stop"
            time.sleep(0.05)
'''


@pytest.fixture(autouse=True)
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAZ_RUNS", str(tmp_path / "runs"))


@pytest.fixture(scope="module", autouse=True)
def _jobs_are_looked_at_often() -> Iterator[None]:
    """They take seconds here, and hours on Azure."""
    from keras_azure.backends.azure.following import Follower

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Follower.follow, "__defaults__", ((0.2, 0.5),))
        yield


@pytest.fixture(scope="session")
def _our_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for it."""
    return tmp_path_factory.mktemp("wheel")


@pytest.fixture(scope="module", autouse=True)
def _our_wheel_is_built_once(_our_wheel: Path) -> Iterator[None]:
    """Somebody may edit this package while its tests run. Those of others are made anew: two may have one name."""
    from keras_azure.backends.azure import staging

    make = staging.make_wheel

    def make_ours_once(package, folder):
        if package.metadata["Name"] != "keras-azure":
            return make(package, folder)
        if not list(_our_wheel.iterdir()):
            make(package, _our_wheel)
        return shutil.copy(next(_our_wheel.iterdir()), folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "make_wheel", make_ours_once)
        yield


@pytest.fixture(scope="session")
def _their_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has installed somebody else's package, from a folder."""
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    (source / "pyproject.toml").write_text(_PROJECT)
    (source / "their_models.py").write_text(_CODE)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(site), str(source)], check=True)
    return site


@pytest.fixture
def their_site(_their_site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it for this test, in which the package is found: the model `tiny` and the callback `hold`."""
    site = shutil.copytree(_their_site, tmp_path / "site")
    monkeypatch.syspath_prepend(site)
    yield site
    sys.modules.pop("their_models", None)
