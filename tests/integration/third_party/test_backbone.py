"""A package of somebody else's with a network that Keras does not have, and its weights: built, installed and used."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_azure
from keras_azure.description.events import Observer
from keras_azure.errors import RunInterrupted

PROJECT = """
    [build-system]
    requires = ["setuptools>=77"]
    build-backend = "setuptools.build_meta"

    [project]
    name = "pebble"
    version = "0.3"

    [project.entry-points."keras_azure.models"]
    pebble = "pebble:pebble"

    [tool.setuptools.package-data]
    pebble = ["*.weights.h5"]
"""
CODE = '''
from pathlib import Path

import keras
import keras_azure
from keras import layers

PRETRAINED = Path(__file__).with_name("pebble.weights.h5")


def network(filters=6, blocks=3):
    images = maps = layers.Input((None, None, 3))
    maps = layers.Conv2D(filters, 3, padding="same", name="stem")(maps)
    for number in range(blocks):
        branch = layers.BatchNormalization(name=f"normalization_{number}")(maps)
        branch = layers.Conv2D(filters, 3, padding="same", activation="gelu", name=f"convolution_{number}")(branch)
        maps = layers.Add(name=f"add_{number}")([maps, branch])
    return keras.Model(images, maps)


def prepared(pixels):
    return keras.ops.log1p(pixels) / 5.5  # of Keras's networks none has it


def pebble(input_shape, num_classes, *, weights: str = "pretrained", head: str = "linear", gain: float = 1.0):
    """A network of three small residual blocks."""
    return keras_azure.transfer_model(
        *(network(), input_shape, num_classes),
        preprocessing=lambda pixels: gain * prepared(pixels),
        weights=str(PRETRAINED) if weights == "pretrained" else weights,
        head=head,
    )
'''


@pytest.fixture(scope="module")
def pebble(tmp_path_factory):
    """The package, installed: gives its module."""
    project, site = (tmp_path_factory.mktemp(name) for name in ("pebble", "site"))
    package = project / "pebble"
    package.mkdir()
    (project / "pyproject.toml").write_text("\n".join(line.strip() for line in PROJECT.splitlines()))
    (package / "__init__.py").write_text(CODE)
    namespace = {"__file__": str(package / "__init__.py")}
    exec(CODE, namespace)
    keras.utils.set_random_seed(3)
    namespace["network"]().save_weights(package / "pebble.weights.h5")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(site), str(project)], check=True)
    shutil.rmtree(project)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        import pebble

        assert Path(pebble.__file__).is_relative_to(site)
        yield pebble
        sys.modules.pop("pebble")


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("bright", 128)):
        (folder / name).mkdir()
        for number in range(12):
            pixels = rng.integers(low, low + 128, (12, 10, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02}.png")
    return folder


class Listener(Observer):
    def __init__(self):
        self.heard = []

    def message(self, text):
        self.heard.append(text)

    def advance(self, activity, done, total):
        self.heard.append(activity)


@pytest.fixture
def run(images, tmp_path, monkeypatch):
    """Trains into a folder of a name; gives what was said."""
    monkeypatch.setenv("KAZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(output: str, model: str = "pebble", **settings) -> list[str]:
        listener = Listener()
        settings |= {"data": str(images), "epochs": 2, "batch_size": 8, "tracking": False}
        keras_azure.run(model, output=output, observer=listener, **settings)
        return listener.heard

    return run


def backbone_of(folder: Path) -> keras.Model:
    return keras.saving.load_model(folder / "model.keras").get_layer("features").get_layer("backbone")


def kernels(network: keras.Model) -> dict[str, np.ndarray]:
    return {layer.name: np.asarray(layer.kernel) for layer in network.layers if hasattr(layer, "kernel")}


def changed(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    return {name for name, value in before.items() if not np.array_equal(value, after[name])}


def pretrained(module) -> dict[str, np.ndarray]:
    network = module.network()
    network.load_weights(module.PRETRAINED)
    return kernels(network)


def test_check_show_and_plan(pebble, kaz, images):
    code, out, _ = kaz("check", "pebble")
    assert (code, out.splitlines()[0]) == (0, "ok      model pebble")
    code, out, _ = kaz("show", "pebble", "--input-shape", "12", "10", "3", "--classes", "2", "--json")
    (shown,) = json.loads(out)
    assert [layer["name"] for layer in shown["layers"]] == ["pixels", "features", "head"]
    assert shown["trainable_parameters"] == 6 * 2 + 2
    settings = ("--data", str(images), "--fine-tune", "blocks=1,epochs=2;blocks=3,epochs=1", "--json")
    code, out, err = kaz("plan", "pebble", *settings)
    assert code == 0, err
    assert json.loads(out)["parameters"] == shown["parameters"]


def test_the_head_learns_on_features_that_a_second_run_finds(pebble, run, kaz, images, tmp_path, monkeypatch):
    def computes(*arguments: str) -> bool:
        return "Computing features" in run(*arguments)

    assert computes("first")
    assert changed(pretrained(pebble), kernels(backbone_of(tmp_path / "first"))) == set()
    assert not computes("second", "pebble(head='mlp(units=4)')")
    assert computes("other preprocessing", "pebble(gain=0.5)")
    assert not computes("from a run", "pebble(weights='first')")  # they are the same
    assert changed(pretrained(pebble), kernels(backbone_of(tmp_path / "from a run"))) == set()
    keras.utils.set_random_seed(4)
    pebble.network().save_weights(tmp_path / "other.weights.h5")
    assert computes("other weights", "pebble(weights='other.weights.h5')")
    code, out, err = kaz("predict", "first", str(images / "dark" / "00.png"))
    assert code == 0, err
    assert "dark" in out


def test_its_blocks_are_fine_tuned_in_stages_also_after_a_stop(pebble, run, kaz, tmp_path):
    said = run("whole", "pebble(head='mlp(units=4)')", fine_tune="blocks=1,epochs=1;blocks=2,epochs=1")
    assert [line.partition(",")[0] for line in said if line.startswith("Stage")] == [
        "Stage 0: training the head",
        "Stage 1: training the head and the last 1 of 3 blocks",
        "Stage 2: training the head and the last 2 of 3 blocks",
    ]
    after = kernels(backbone_of(tmp_path / "whole"))
    assert changed(pretrained(pebble), after) == {"convolution_1", "convolution_2"}

    class Stopper(Observer):
        def epoch_done(self, epoch, row):
            if epoch == 2:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(RunInterrupted):
        keras_azure.run(config=tmp_path / "whole" / "run.json", output=tmp_path / "stopped", observer=Stopper())
    code, _, err = kaz("resume", "stopped")
    assert code == 0, err
    assert changed(after, kernels(backbone_of(tmp_path / "stopped"))) == set()
