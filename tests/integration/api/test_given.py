"""Functions, classes and objects of a program in place of names, in whole runs."""

import csv
import json
import signal
import sys
import textwrap
import zipfile
from pathlib import Path

import keras
import pytest
from keras import layers, ops

import keras_azure
from keras_azure.description.events import Observer
from keras_azure.errors import BrokenPlugin, ConfigError, RunInterrupted, SpecError, UsageError, WrongOption

FAST = {"epochs": 2, "tracking": False}


def small(input_shape, num_classes, *, units: int = 8):
    return keras.Sequential(
        [
            *(layers.Input(input_shape), layers.Rescaling(1 / 255), layers.Flatten()),
            *(layers.Dense(units, "relu"), layers.Dense(num_classes, "softmax")),
        ]
    )


def soft(labels, predicted):
    return ops.mean((labels - predicted) ** 2, axis=-1)


class Surest(keras.metrics.Metric):
    def __init__(self, name="surest", scale=1.0, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.scale = scale
        self.highest = self.add_weight(name="highest", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.highest.assign(ops.maximum(self.highest, ops.max(y_pred)))

    def result(self):
        return self.scale * self.highest

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


class Forgetful(Surest):
    def get_config(self):
        return {"name": self.name}


class Counter(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.epochs = 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1

    def get_state(self):
        return {"epochs": self.epochs}

    def set_state(self, state):
        self.epochs = state["epochs"]


def darker(images):
    return images * 0.5


def objects(**changes):
    return {
        "loss": soft,
        "metrics": [Surest(scale=2.0), soft],
        "optimizer": keras.optimizers.SGD(0.25, momentum=0.5),
        "augment": [layers.RandomFlip(seed=1), darker],
        "callbacks": [Counter()],
        "set": ["units=12"],
        **FAST,
        **changes,
    }


def content(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return keras_azure.run(small, output=tmp_path_factory.mktemp("given") / "run", **objects())


def test_a_run_of_objects(result):
    with (result.run_dir / "history.csv").open() as file:
        columns = next(csv.reader(file))
    assert {"loss", "accuracy", "surest", "soft", "val_surest", "val_soft"} <= {*columns}
    assert result.test_metrics["soft"] == pytest.approx(result.test_loss)
    assert 0.2 < result.test_metrics["surest"] <= 2
    assert result.history[-1]["learning_rate"] == 0.25
    assert result.model.get_layer(index=2).units == 12


def test_its_description_says_what_it_is(result):
    described = json.loads((result.run_dir / "run.json").read_text())
    assert described["model"] == f"{__name__}:small(units=12)"
    assert described["loss"] == f"{__name__}:soft"
    assert described["metrics"] == [f"<{__name__}:Surest(dtype='float32', scale=2.0)>", f"{__name__}:soft"]
    assert "SGD(name='sgd', learning_rate=0.25, momentum=0.5)" in described["optimizer"]
    assert described["augment"][1] == f"{__name__}:darker"
    assert described["callbacks"] == [f"<{__name__}:Counter>"]


def test_the_same_objects_give_the_same_run(result, tmp_path):
    given = objects()
    for name in ("first", "second"):  # nothing of one run is left in an object for the next
        again = keras_azure.run(small, output=tmp_path / name, **given)
        assert content(again.run_dir / "model.keras") == content(result.run_dir / "model.keras")
    assert given["metrics"][0].highest.numpy() == 0
    assert not given["optimizer"].built


def test_a_class_is_made_once_for_each_use(tmp_path):
    made = keras_azure.run(
        small,
        output=tmp_path / "run",
        loss=keras.losses.MeanSquaredError,
        metrics=[Surest],
        optimizer=keras.optimizers.SGD,
        **FAST,
    )
    assert "surest" in made.test_metrics
    assert type(made.model.optimizer).__name__ == "SGD" if made.model.compiled else True


def test_the_model_predicts_and_is_not_compiled(result):
    """Of a file nobody knows that the program which reads it has the same loss."""
    assert not result.model.compiled
    predictor = keras_azure.load(result.run_dir)
    assert predictor.class_names == tuple("0123456789")
    assert not predictor.model.compiled


def test_it_is_not_made_again_from_its_description(result, tmp_path, kaz):
    with pytest.raises(SpecError, match="is Python code, which is not imported because a file names it"):
        keras_azure.run(config=result.run_dir / "run.json", output=tmp_path / "again")
    code, _, err = kaz("run", "--config", str(result.run_dir / "run.json"), "--output", str(tmp_path / "again"))
    assert code == 2
    assert "which is not imported because a file names it" in err
    assert not (tmp_path / "again").exists()


def test_it_is_repeated_where_the_objects_are_given_beside_the_description(result, tmp_path):
    given = {name: value for name, value in objects().items() if name not in FAST}
    again = keras_azure.run(small, config=result.run_dir / "run.json", output=tmp_path / "again", **given)
    assert content(again.run_dir / "model.keras") == content(result.run_dir / "model.keras")


class Stopper(Observer):
    def epoch_done(self, epoch, row):
        signal.raise_signal(signal.SIGINT)


def test_it_is_resumed_with_the_objects_and_refused_without(result, tmp_path, kaz):
    folder = tmp_path / "stopped"
    with pytest.raises(RunInterrupted):
        keras_azure.run(small, output=folder, observer=Stopper(), **objects())
    with pytest.raises(UsageError, match="was given objects of a Python program, which no file") as caught:
        keras_azure.resume(folder)
    assert f"output={str(folder)!r}" in caught.value.hint
    code, _, err = kaz("resume", str(folder))
    assert code == 2
    assert f"kaz run --config {folder / 'run.json'} --output {folder}" in err
    with pytest.raises(ConfigError, match=r"optimizer is .*learning_rate=0.25.* there and .*learning_rate=0.5"):
        keras_azure.run(small, output=folder, **objects(optimizer=keras.optimizers.SGD(0.5)))
    given = objects()
    again = keras_azure.run(small, output=folder, **given)
    assert content(again.run_dir / "model.keras") == content(result.run_dir / "model.keras")
    assert given["callbacks"][0].epochs == 2


def test_on_a_cluster_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for begin in (keras_azure.run, keras_azure.submit, keras_azure.dry_run):
        with pytest.raises(UsageError, match=r"The loss .*:soft is code of this program") as caught:
            begin("cnn", loss=soft, backend="azure-nc4as-t4-v3", tracking=False)
        assert "kaz new model" in caught.value.hint
    assert [*tmp_path.iterdir()] == []


def test_what_cannot_be_made_again_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"The Forgetful cannot be made again: its get_config\(\) leaves out scale"):
        keras_azure.run(small, output=tmp_path / "run", metrics=[Forgetful(scale=2.0)], **FAST)
    with pytest.raises(WrongOption, match="is an object") as caught:
        keras_azure.run(small((28, 28, 1), 10), output=tmp_path / "run", **FAST)
    assert "a function (input_shape, num_classes)" in caught.value.expected
    with pytest.raises(BrokenPlugin, match="is a Dense"):
        keras_azure.run(small, output=tmp_path / "run", loss=lambda: layers.Dense(3), **FAST)


def test_an_optimizer_keeps_its_own_schedule(tmp_path):
    def decaying():
        return keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.5, 81, 0.5, staircase=True))

    made = keras_azure.run(small, output=tmp_path / "run", optimizer=decaying(), **FAST)
    assert [row["learning_rate"] for row in made.history] == [0.25, 0.125]
    with pytest.raises(UsageError, match="has a schedule of its own, which would be lost"):
        keras_azure.run(small, output=tmp_path / "next", optimizer=decaying(), learning_rate=0.1, **FAST)


@pytest.mark.parametrize("name", ["losses", "metrics", "optimizers"])
def test_each_of_keras_own_can_be_given(name):
    from keras_azure.models.measures import fresh
    from keras_azure.registry.given import unnumbered
    from keras_azure.registry.registry import LOSSES, METRICS, OPTIMIZERS

    registry = {"losses": LOSSES, "metrics": METRICS, "optimizers": OPTIMIZERS}[name]
    for entry in registry.of_keras:
        given = {"precision_at_recall": {"recall": 0.5}, "recall_at_precision": {"precision": 0.5}}.get(entry.name)
        given = given or {entry.name.partition("_at_")[2]: 0.5} if "_at_" in entry.name else {}
        built = registry.load(entry.name)(**given)
        assert fresh(built).get_config() == unnumbered(built, built.get_config())
        assert fresh(built) is not built


def test_plan_bench_and_preview_take_them(result):
    planned = keras_azure.plan(small, backend="local", loss=soft, optimizer=keras.optimizers.SGD(0.1))
    assert planned["parameters"] == 6_370
    measured = keras_azure.bench(small, part="step", rounds=1, seconds=0.05, loss=soft)
    assert measured["measured"]["step"]["images_per_second"] > 0
    assert keras_azure.preview("digits", augment=[darker], samples=1, draws=1) is not None


def test_what_can_be_imported_is_named_on_the_command_line(kaz, tmp_path, monkeypatch):
    (tmp_path / "their_nets.py").write_text(
        textwrap.dedent("""
            import keras
            from keras import layers

            def tiny(input_shape, num_classes, *, units: int = 4):
                flat = [layers.Input(input_shape), layers.Rescaling(1 / 255), layers.Flatten()]
                return keras.Sequential([*flat, layers.Dense(units), layers.Dense(num_classes, "softmax")])

            def soft(labels, predicted):
                return keras.ops.mean((labels - predicted) ** 2, axis=-1)
        """)
    )
    fast = ("--epochs", "1", "--no-tracking")
    code, _, err = kaz("run", "their_nets:tiny", *fast)
    assert code == 1
    assert "The model their_nets:tiny cannot be imported: ModuleNotFoundError" in err
    assert "Try: PYTHONPATH=FOLDER, with the folder that their_nets is in" in err
    monkeypatch.syspath_prepend(tmp_path)
    named = ("their_nets:tiny(units=6)", "--loss", "their_nets:soft")
    code, _, err = kaz("run", *named, *fast, "--output", str(tmp_path / "run"))
    assert code == 0, err
    described = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (described["model"], described["loss"]) == ("their_nets:tiny(units=6)", "their_nets:soft")
    file = str(tmp_path / "run" / "run.json")
    code, _, err = kaz("run", *named, "--config", file, "--output", str(tmp_path / "again"))
    assert code == 0, err
    assert content(tmp_path / "again" / "model.keras") == content(tmp_path / "run" / "model.keras")
    sys.modules.pop("their_nets")
