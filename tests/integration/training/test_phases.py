"""A plan is of the run: the phases that it has are those that the events of the run recorded."""

import keras
import numpy as np
import pytest
from PIL import Image

import keras_azure
from keras_azure.data import open_dataset
from keras_azure.description.config import describe_run
from keras_azure.description.events import Observer
from keras_azure.errors import KerasAzureError, RunInterrupted
from keras_azure.planning.work import work_of
from keras_azure.training.data import facts_of

MODELS = {
    "cnn": "cnn(filters=(4,), dense=(8,))",
    "autoencoder": "autoencoder(filters=(4,), dense=(8,))",
    "transfer": "transfer(backbone='encoder', weights='{encoder}', head='mlp(units=8)')",
    "features": "features(backbone='encoder', weights='{encoder}')",
    "resnet50": "resnet50(weights='{resnet50}', head='linear', image_size=32)",
}
STAGES = "blocks=1,epochs=1;blocks=2,epochs=2"
SETTINGS = {
    "plain": {"epochs": 2},
    "augmented on the host": {"augment": ["flip", "shift"]},
    "augmented on the device": {"augment": ["flip", "shift"], "augment_on": "device"},
    "fine-tuned in stages": {"fine_tune": STAGES},
    "fine-tuned and augmented": {"fine_tune": STAGES, "augment": ["flip"]},
    "nothing cached": {"cache": "none"},
    "steps per epoch": {"steps_per_epoch": 5, "epochs": 2},
    "weights and smoothing": {"class_weights": "balanced", "label_smoothing": 0.1},
    "cosine schedule": {"schedule": "cosine", "learning_rate": 0.02, "epochs": 3},
    "early stopping": {"early_stopping": 5, "keep": "best", "epochs": 2},
    "no validation": {"validation_split": 0, "optimizer": "sgd(momentum=0.9)", "clip_norm": 1},
    "standardized": {"standardize": "samplewise", "precision": "mixed_bfloat16"},
}
STAGED = ("fine-tuned in stages", "fine-tuned and augmented")
REFUSED = {
    *((model, setting) for model in ("cnn", "autoencoder", "features") for setting in STAGED),
    ("autoencoder", "augmented on the device"),
    ("autoencoder", "weights and smoothing"),  # an error of squares has no labels to smooth
}
# What changes in training and is not trained.
_STATISTICS = ("moving_mean", "moving_variance", "seed_generator_state")


class Recorder(Observer):
    """Records of each phase what was done in it, and leaves the run when all are over.

    Attributes:
        phases: of each the variables that have another value than before, the steps that were made, the highest
            learning rate that one of them had, and whether features were computed before it.
    """

    every_step = True

    def __init__(self):
        self.phases, self._features = [], False

    def advance(self, activity, done, total):
        self._features |= activity == "Computing features"

    def phase_started(self, facts, model):
        self._model = getattr(model, "features", model)
        self._before = {variable.path: np.array(variable) for variable in self._model.variables}
        self._steps, self._rate = 0, None

    def steps_started(self, step):
        self._rate = max(self._rate or 0.0, float(np.array(self._model.optimizer.learning_rate)))

    def steps_done(self, step, result, compiled):
        self._steps += result.steps

    def phase_done(self):
        changed = {
            variable.path
            for variable in self._model.variables
            if not np.array_equal(self._before[variable.path], np.array(variable))
            and not variable.path.endswith(_STATISTICS)
        }
        rate = None if self._rate is None else pytest.approx(self._rate)
        self.phases.append((changed, self._steps, rate, "features" if self._features else "images"))
        self._features = False

    def training_done(self):
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A folder of images of three classes."""
    folder, rng = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    for name in "abc":
        (folder / name).mkdir()
        for number in range(12):
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / name / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def pretrained(noise, tmp_path_factory):
    """Weights to start from: those of a run, and of a ResNet-50."""
    folder = tmp_path_factory.mktemp("pretrained")
    settings = {"data": str(noise), "epochs": 1, "tracking": False, "observer": Observer()}
    keras_azure.run("autoencoder(filters=(4, 4), dense=(8,))", output=folder / "encoder", **settings)
    network = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(32, 32, 3))
    network.save_weights(folder / "resnet50.weights.h5")
    return {"encoder": folder / "encoder", "resnet50": folder / "resnet50.weights.h5"}


def recorded(config, run_dir):
    recorder = Recorder()
    with pytest.raises(RunInterrupted):
        keras_azure.run(output=run_dir, observer=recorder, **config)
    return recorder.phases


def planned(config):
    described = describe_run(None, None, config)
    return work_of(described, facts_of(open_dataset(described.data, Observer()), described))


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(
    "model", [pytest.param(name, marks=[pytest.mark.slow] if name == "resnet50" else []) for name in MODELS]
)
def test_the_plan_has_the_phases_that_the_run_has(tmp_path, monkeypatch, noise, pretrained, model, setting):
    monkeypatch.setenv("KAZ_CACHE", str(tmp_path / "cache"))  # where no earlier run has left features
    config = {"model": MODELS[model].format(**pretrained), "data": str(noise), "batch_size": 8, "epochs": 1}
    config |= {"tracking": False, "backend": "local-cpu", **SETTINGS[setting]}
    try:
        work = planned(config)
    except KerasAzureError as refusal:
        assert (model, setting) in REFUSED, str(refusal)
        with pytest.raises(type(refusal)) as refused:
            keras_azure.run(output=tmp_path / "run", observer=Observer(), **config)
        assert str(refused.value) == str(refusal)
        return
    assert (model, setting) not in REFUSED
    found = [(set(each.variables), each.steps, each.learning_rate, each.input) for each in work.run_phases]
    assert found == recorded(config, tmp_path / "run")
    computed = [phase for phase in work.phases if phase.kind == "train"]
    assert [phase.steps for phase in computed] == [steps for _, steps, _, _ in found if steps]
    assert [phase.from_pipeline for phase in computed] == [of == "images" for *_, of in found if computed]
