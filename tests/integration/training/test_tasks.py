"""Several labels, and numbers, through whole runs on small arrays: trained, saved, tested, asked, resumed, refused."""

import json
import signal
import subprocess
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

import keras_azure
from keras_azure.data import TASKS
from keras_azure.data.arrays import ArrayDataset
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.errors import ConfigError, DataError, RunInterrupted, UsageError
from keras_azure.models.outputs import output_layer
from keras_azure.models.weights import without_weights
from keras_azure.testing import ContractError, check_model
from keras_azure.training.compiling import build_model
from keras_azure.training.data import DataFacts, open_data
from keras_azure.training.tasks import task_of_labels

RNG = np.random.default_rng(0)
TIMES = ("seconds", "images_per_second")
LABELS = RNG.integers(0, 2, (90, 3), np.uint8)
LABELS[:, 2] = 0  # never occurs
NUMBERS = RNG.uniform([1000, -1], [1200, 1], (90, 2)).astype(np.float32)
# A label is a bright half, a number the brightness of a half.
IMAGES = RNG.integers(0, 60, (90, 12, 10, 3), np.uint8)
IMAGES[:, :6] += 150 * LABELS[:, :1, None, None]
IMAGES[:, 6:] += 150 * LABELS[:, 1:2, None, None]
SHADES = np.empty((90, 12, 10, 3), np.uint8)
SHADES[:, :6] = (NUMBERS[:, :1, None, None] - 1000) * 1.2
SHADES[:, 6:] = 125 + 120 * NUMBERS[:, 1:2, None, None]
SPLIT = slice(60), slice(60, 90)
NAMES = {"multilabel": ("up", "down", "never"), "regress": ("price", "tilt")}
SMALL = {"epochs": 2, "batch_size": 8, "tracking": False, "seed": 3}


def dataset_of(task, **more):
    """A data set as a plugin would give it, with names of its own."""
    images, labels = (IMAGES, LABELS) if task == "multilabel" else (SHADES, NUMBERS)
    train, test = ((images[part], labels[part]) for part in SPLIT)
    made = ArrayDataset(NAMES[task], {"train": train, "test": test}, f"made for {task}")
    for name, method in more.items():
        setattr(made, name, method)
    return made


def data_of(task):
    if task == "classify":
        return (IMAGES[SPLIT[0]], LABELS[SPLIT[0], 0]), (IMAGES[SPLIT[1]], LABELS[SPLIT[1], 0])
    return dataset_of(task)


class Heard(Observer):
    def __init__(self):
        self.lines = []

    def message(self, text):
        self.lines.append(text)


class StopAt(Observer):
    """Asks a run to stop in the middle of an epoch."""

    def __init__(self, step, epoch=0):
        self.step, self.epoch, self.at = step, epoch, 0

    def epoch_started(self, epoch):
        self.at = epoch

    def step_done(self, step, logs):
        if self.at == self.epoch and step >= self.step:
            signal.raise_signal(signal.SIGINT)


def run(model, labels, folder, /, **settings):
    observer = settings.pop("observer", None) or Observer()
    data = settings.pop("data", None) or data_of(labels)
    return keras_azure.run(model, data=data, output=folder, observer=observer, **SMALL | settings)


def assert_same(result, other):
    plain = [
        [{name: value for name, value in row.items() if name not in TIMES} for row in each.history]
        for each in (result, other)
    ]
    assert plain[0] == plain[1]
    assert (result.run_dir / "model.keras").read_bytes() == (other.run_dir / "model.keras").read_bytes()
    assert result.test_metrics == other.test_metrics


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of each task, and what was said in it."""
    made = {}
    for task in NAMES:
        heard, folder = Heard(), tmp_path_factory.mktemp(task) / "run"
        settings = {"epochs": 20 if task == "regress" else 6, "metrics": ["mean_squared_error"]}
        made[task] = run("cnn(filters=(4,), dense=(16,))", task, folder, observer=heard, **settings), heard.lines
    return made


def test_one_line_says_which_task_and_why(finished):
    assert "Task: multilabel, as a picture may have several labels" in finished["multilabel"][1]
    assert "Task: regress, as labels are numbers" in finished["regress"][1]


def test_labels_are_judged_as_scikit_learn_does_with_the_thresholds_of_the_file(finished):
    result, said = finished["multilabel"]
    assert "There is no test image of 'never': averages over classes leave them out." in said
    assert result.test_accuracy is None
    with zipfile.ZipFile(result.run_dir / "model.keras") as archive:
        about = json.loads(archive.read("metadata.json"))["keras_azure"]
    assert about["task"] == "multilabel"
    assert about["labels"] == list(NAMES["multilabel"])
    assert about["thresholds"][2] == 0.5  # nothing is known of it
    model = keras.saving.load_model(result.run_dir / "model.keras")  # as anybody loads it
    probabilities = model.predict(IMAGES[SPLIT[1]].astype(np.float32), verbose=0)
    truth, predicted = LABELS[SPLIT[1]], (probabilities >= about["thresholds"]).astype(int)
    expected = {
        "macro_f1": metrics.f1_score(truth, predicted, average="macro", labels=[0, 1]),
        "micro_f1": metrics.f1_score(truth, predicted, average="micro"),
        "average_precision": metrics.average_precision_score(truth[:, :2], probabilities[:, :2]),
        "subset_accuracy": metrics.accuracy_score(truth, predicted),
        "mean_squared_error": np.square(truth - probabilities).mean(),
    }
    found = {name: value for name, value in result.test_metrics.items() if name != "loss"}
    assert found == pytest.approx(expected, rel=1e-5)
    assert found["macro_f1"] > 0.9
    assert {"macro_f1", "val_macro_f1", "micro_f1", "val_micro_f1", "val_mean_squared_error"} <= {*result.history[0]}
    facts = json.loads((result.run_dir / "metrics.json").read_text())
    assert facts["each"]["up"]["f1"] == pytest.approx(metrics.f1_score(truth[:, 0], predicted[:, 0]))
    assert facts["thresholds"] == about["thresholds"]
    plots = {path.stem for path in (result.run_dir / "plots").iterdir()}
    assert plots == {"learning_curves", "precision_recall"}


def test_numbers_are_judged_as_scikit_learn_does_and_come_in_their_units(finished):
    result, _ = finished["regress"]
    model = keras.saving.load_model(result.run_dir / "model.keras")
    predicted, truth = model.predict(SHADES[SPLIT[1]].astype(np.float32), verbose=0), NUMBERS[SPLIT[1]]
    expected = {
        "mae": metrics.mean_absolute_error(truth, predicted),
        "rmse": metrics.root_mean_squared_error(truth, predicted),
        "r2": metrics.r2_score(truth, predicted),
        "mean_squared_error": metrics.mean_squared_error(truth, predicted),
    }
    found = {name: value for name, value in result.test_metrics.items() if name != "loss"}
    assert found == pytest.approx(expected, rel=1e-4)
    assert found["r2"] > 0.5
    # Metrics of the history have the units, the loss has none: numbers of all sizes count the same in it.
    assert result.history[0]["val_mae"] > 5
    assert result.history[-1]["val_loss"] < 1
    assert result.history[-1]["val_mean_squared_error"] > 50 * result.history[-1]["val_loss"]
    assert model.optimizer.iterations.numpy() == 20 * 7
    plots = {path.stem for path in (result.run_dir / "plots").iterdir()}
    assert plots == {"learning_curves", "predicted_over_true", "residuals"}
    assert len(model.evaluate(SHADES.astype(np.float32), NUMBERS, verbose=0)) == 3  # it is compiled


def test_metrics_of_training_are_those_of_scikit_learn():
    truth, given = LABELS.astype(np.float32), RNG.random((90, 3)).astype(np.float32)
    for labels, exact in (("multilabel", truth), ("regress", NUMBERS)):
        task, said = task_of_labels(labels), given if labels == "multilabel" else NUMBERS + 3
        for metric in task.metrics():
            metric.update_state(exact[:50], said[:50])
            metric.update_state(exact[50:], said[50:])
            assert float(metric.result()) == pytest.approx(task.scores(exact, said)[metric.name], rel=1e-5)


def test_a_finished_run_is_asked_about_images(finished, tmp_path, kaz):
    paths = []
    for number in range(4):
        for folder, images in (("labels", IMAGES), ("numbers", SHADES)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(images[60 + number]).save(tmp_path / folder / f"{number}.png")
        paths.append(f"{number}.png")
    result, _ = finished["multilabel"]
    said = keras_azure.load(result.run_dir).predict([tmp_path / "labels" / path for path in paths])
    assert [each.labels for each in said] == [
        tuple(sorted(each.labels, key=lambda name: -each.probabilities[name])) for each in said
    ]
    truth = [{name for name, there in zip(NAMES["multilabel"], row, strict=True) if there} for row in LABELS[60:64]]
    assert [set(each.labels) for each in said] == truth
    code, out, _ = kaz("predict", str(result.run_dir), str(tmp_path / "labels"))
    assert code == 0
    for line, names in zip(out.splitlines(), truth, strict=True):
        assert {word for word in line.split()[1:] if not word.endswith("%")} == (names or {"none"})
    _, out, _ = kaz("predict", str(result.run_dir), str(tmp_path / "labels"), "--json")
    assert [set(each) for each in json.loads(out)] == [{"path", "labels", "probabilities", "thresholds"}] * 4
    result, _ = finished["regress"]
    [first, *_] = keras_azure.load(result.run_dir).predict(tmp_path / "numbers" / "0.png"), None
    assert list(first[0].numbers) == ["price", "tilt"]
    code, out, _ = kaz("predict", str(result.run_dir), str(tmp_path / "numbers"))
    assert [line.split()[1::2] for line in out.splitlines()] == [["price", "tilt"]] * 4
    assert all(900 < float(line.split()[2]) < 1300 for line in out.splitlines())
    _, out, _ = kaz("predict", str(result.run_dir), str(tmp_path / "numbers"), "--json")
    assert [each["numbers"].keys() for each in json.loads(out)] == [{"price": 0, "tilt": 0}.keys()] * 4


def test_without_validation_the_thresholds_are_one_half_and_that_is_said(tmp_path):
    heard = Heard()
    result = run("cnn(filters=(2,))", "multilabel", tmp_path / "run", validation_split=0, epochs=1, observer=heard)
    assert json.loads((result.run_dir / "metrics.json").read_text())["thresholds"] == [0.5] * 3
    assert any("threshold of each label is 0.5" in line for line in heard.lines)


@pytest.mark.parametrize("task", NAMES)
def test_a_run_that_is_stopped_within_an_epoch_goes_on_to_the_bit(task, tmp_path):
    model = "cnn(filters=(4,), dense=(8,), dropout=0.3)"
    settings = {"augment": ["mixup"], "checkpoint_every": "2steps", "data": npz(task, tmp_path)}
    whole = run(model, task, tmp_path / "whole", **settings)
    with pytest.raises(RunInterrupted):
        run(model, task, tmp_path / "run", observer=StopAt(3, epoch=1), **settings)
    assert_same(keras_azure.resume(tmp_path / "run", observer=Observer()), whole)


ON_JAX = """
import signal, sys
from pathlib import Path
import keras_azure
from keras_azure.errors import RunInterrupted
from keras_azure.description.events import Observer

class Stop(Observer):
    def step_done(self, step, logs):
        if step >= 4:
            signal.raise_signal(signal.SIGINT)

folder, observer = Path(sys.argv[1]), Observer()
settings = {"data": str(folder / "data.npz"), "epochs": 2, "batch_size": 8, "tracking": False}
settings |= {"checkpoint_every": "2steps", "augment": ["mixup"]}
model = "cnn(filters=(4,), dense=(8,), dropout=0.3)"
whole = keras_azure.run(model, output=folder / "whole", observer=observer, **settings)
try:
    keras_azure.run(model, output=folder / "run", observer=Stop(), **settings)
except RunInterrupted:
    resumed = keras_azure.resume(folder / "run", observer=observer)
assert [row["val_loss"] for row in resumed.history] == [row["val_loss"] for row in whole.history]
assert resumed.test_metrics == whole.test_metrics
assert len({(each.run_dir / "model.keras").read_bytes() for each in (whole, resumed)}) == 1
print("the same")
"""


@pytest.mark.slow
@pytest.mark.parametrize("task", NAMES)
def test_a_run_on_jax_goes_on_to_the_bit(task, loaded_python_on_jax, tmp_path):
    npz(task, tmp_path)
    done = subprocess.run(
        [*loaded_python_on_jax, "-c", ON_JAX, str(tmp_path)], capture_output=True, text=True, timeout=600
    )
    assert done.stdout == "the same\n", done.stderr


def npz(task, folder):
    data = dataset_of(task)
    splits = {split: data.arrays(split) for split in ("train", "test")}
    images = {f"x_{split}": images for split, (images, _) in splits.items()}
    np.savez(folder / "data.npz", **images, **{f"y_{split}": labels for split, (_, labels) in splits.items()})
    return str(folder / "data.npz")


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """A model with a backbone of two blocks."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.layers.Input((12, 10, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu", name="first"),
            keras.layers.Conv2D(4, 3, activation="relu", name="second"),
            keras.layers.GlobalAveragePooling2D(),
        ],
        name="encoder",
    )
    path = tmp_path_factory.mktemp("encoder") / "encoder.keras"
    network.save(path)
    return f"transfer(backbone='encoder', weights={str(path)!r}, head='mlp(units=8)')"


@pytest.mark.parametrize("task", NAMES)
def test_stages_on_cached_features_go_on_to_the_bit(task, staged, tmp_path, monkeypatch):
    monkeypatch.setenv("KAZ_CACHE", str(tmp_path / "cache"))
    settings = {"fine_tune": "blocks=1,epochs=1", "data": npz(task, tmp_path)}
    whole = run(staged, task, tmp_path / "whole", **settings)
    assert [row["stage"] for row in whole.history] == [0, 0, 1]
    assert np.isfinite(whole.test_loss)
    for epoch in (0, 2):  # in the head's stage, on features; and in the next
        folder = tmp_path / f"run-{epoch}"
        with pytest.raises(RunInterrupted):
            run(staged, task, folder, observer=StopAt(3, epoch), checkpoint_every="2steps", **settings)
        assert_same(keras_azure.resume(folder, observer=Observer()), whole)


@pytest.mark.parametrize("task", NAMES)
@pytest.mark.parametrize("kind", ["svm", "logistic", "knn", "boosting"])
def test_estimators_of_scikit_learn_learn_labels_and_numbers(task, kind, staged, tmp_path):
    model = staged.replace("transfer(", f"features(classifier={kind!r}, ").replace(", head='mlp(units=8)'", "")
    result = run(model, task, tmp_path / "run")
    name = "macro_f1" if task == "multilabel" else "r2"
    assert result.test_metrics[name] > 0.15  # of 54 images
    assert np.isfinite([result.history[0]["val_loss"], result.test_loss]).all()
    assert result.model.task == task
    predicted = result.model.predict((IMAGES if task == "multilabel" else SHADES)[:3].astype(np.float32))
    assert predicted.shape == (3, len(NAMES[task]))
    if task == "multilabel":
        assert (predicted[:, 2] == 0).all()  # a label that it never saw
    loaded = keras_azure.load(result.run_dir)
    assert (loaded.task, len(loaded.thresholds)) == (task, 3 if task == "multilabel" else 0)


@pytest.mark.parametrize("task", NAMES)
def test_the_best_of_several_estimators_is_chosen(task, staged, tmp_path):
    heard = Heard()
    model = staged.replace("transfer(", "features(classifier='best', ").replace(", head='mlp(units=8)'", "")
    run(model, task, tmp_path / "run", observer=heard)
    chosen = next(line for line in heard.lines if line.startswith("Chosen: "))
    score = "macro F1" if task == "multilabel" else "negative MAE"
    compared = {line.split(":")[0].strip(): float(line.split()[-4]) for line in heard.lines if f": {score} " in line}
    assert len(compared) == 4
    assert chosen == f"Chosen: {max(compared, key=compared.get)}"


def test_resnet_ends_as_the_task_does():
    for task, activation in (("multilabel", "sigmoid"), ("regress", "linear")):
        facts = DataFacts((32, 32, 3), ("a",), 1, 1, 1, None, task)
        with without_weights():
            model = build_model(RunConfig("resnet50(image_size=32)"), facts)
        head = model.get_layer("head")
        assert (model.output_shape, head.layers[-1].activation.__name__) == ((None, 1), activation)


@pytest.mark.parametrize("task", TASKS)
def test_a_plan_is_for_the_task(task):
    plan = keras_azure.plan("cnn", data=data_of(task), backend="azure-nc4as-t4-v3", observer=Observer())
    assert plan["memory"]["total"] > 0
    assert plan["pictures"]["class_names"] == list(NAMES.get(task, "01"))


@pytest.mark.parametrize("task", TASKS)
def test_a_step_is_measured_for_the_task(task):
    settings = {"data": data_of(task), "batch_size": 8, "observer": Observer()}
    report = keras_azure.bench("cnn(filters=(2,))", part="run", rounds=1, seconds=0.01, **settings)
    assert report["images_per_second"] > 0


@pytest.mark.parametrize("task", TASKS)
def test_a_preview_has_the_labels_under_the_images(task):
    figure = keras_azure.preview(data_of(task), augment=["mixup"], samples=2, draws=1, observer=Observer())
    below = [axes.get_xlabel() for axes in figure.axes]
    assert len(below) == 4
    if task == "multilabel":
        assert all(set(text.split(", ")) <= {*NAMES[task], "none"} for text in below[::2])
    elif task == "regress":
        assert all(text.startswith("price 1") and ", tilt " in text for text in below)


def test_a_plan_without_data_is_for_the_task_that_is_named():
    settings = {"pictures": 100, "classes": 3, "image_size": 8, "backend": "azure-nc4as-t4-v3", "observer": Observer()}
    assert keras_azure.plan("cnn", task="multilabel", **settings)["pictures"]["train"] == 90
    with pytest.raises(UsageError, match="serves to classify only"):
        keras_azure.plan(of_classes_alone, task="regress", **settings)


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("multilabel", {"task": "regress"}, "The task is 'regress', and the labels of the data are for 'multilabel'"),
        ("regress", {"task": "classify"}, "The task is 'classify', and the labels of the data are for 'regress'"),
        ("multilabel", {"class_weights": "balanced"}, "Class weights are of classes"),
        ("regress", {"class_weights": "balanced", "task": "regress"}, "Class weights are of classes"),
        ("regress", {"label_smoothing": 0.1}, "Label smoothing is of classes and labels"),
        ("regress", {"augment": ["cutmix"]}, "cutmix mixes classes and labels, and no numbers"),
        ("regress", {"monitor": "val_macro_f1"}, "no 'val_macro_f1' to monitor"),
        ("multilabel", {"model": "cnn(task='multilabel')"}, "The task is a setting of the run"),
        ("multilabel", {"model": "autoencoder", "task": "multilabel"}, "learns without labels"),
    ],
)
def test_what_means_nothing_for_a_task_is_refused_in_one_sentence(task, settings, message, tmp_path):
    settings = dict(settings)
    with pytest.raises((UsageError, ConfigError), match=message):
        run(settings.pop("model", "cnn"), task, tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def of_classes_alone(input_shape, num_classes):
    pixels = keras.layers.Input(input_shape)
    return keras.Model(pixels, output_layer(num_classes)(keras.layers.Flatten()(pixels)))


def test_a_model_that_takes_no_task_classifies_only(tmp_path):
    for task in NAMES:
        with pytest.raises(UsageError, match=f"serves to classify only, and the task is '{task}'"):
            run(of_classes_alone, task, tmp_path / "run")
    with pytest.raises(UsageError, match="serves to classify only"):  # before any data is looked at
        run(of_classes_alone, "regress", tmp_path / "run", data="digits", task="regress")


def test_an_autoencoder_learns_from_images_of_any_task(tmp_path):
    result = run("autoencoder(filters=(2,), dense=(4,))", "multilabel", tmp_path / "run", epochs=1)
    assert result.test_metrics.keys() == {"loss"}


def test_labels_are_smoothed_towards_one_half_and_mixed_in_shares(tmp_path):
    settings = {"label_smoothing": 0.2, "augment": ["mixup", "cutmix"], "epochs": 1, "monitor": "val_macro_f1"}
    result = run("cnn(filters=(2,))", "multilabel", tmp_path / "run", **settings, keep="best")
    assert np.isfinite(result.test_loss)
    config = keras_azure.RunConfig("cnn", data=npz("multilabel", tmp_path), augment=["mixup"], seed=1).resolved()
    data = open_data(config, Observer())
    targets = np.concatenate([np.asarray(labels) for _, labels, *_ in data.train_batches(0, 1)])
    assert targets.min() == 0
    assert targets.max() == 1
    assert ((targets > 0) & (targets < 1)).any()


def parts_of(task, **methods):
    config = keras_azure.RunConfig("cnn", data="digits", batch_size=8, validation_split=0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras_azure.data.overview.open_dataset", lambda spec, observer: dataset_of(task, **methods))
        return open_data(config, Observer())


def test_groups_stay_together():
    groups = np.arange(60) // 4
    data = parts_of("regress", groups=lambda split: groups)
    sides = [set(groups[part.samples]) for part in (data.train, data.validation)]
    assert not sides[0] & sides[1]
    assert 8 <= len(data.validation) <= 16
    assert len(data.train) + len(data.validation) == 60
    with pytest.raises(DataError, match="There is just one group in made for multilabel"):
        parts_of("multilabel", groups=lambda split: np.zeros(60, int))


def test_a_validation_part_has_its_share_of_each_label():
    data = parts_of("multilabel")
    held = LABELS[data.validation.samples].sum(axis=0)
    assert abs(len(data.validation) - 12) <= 1
    assert np.abs(held - LABELS[:60].sum(axis=0) * 0.2).max() <= 1


def test_images_count_in_the_loss_by_their_weights(tmp_path):
    weights = np.linspace(0, 1, 60, dtype=np.float32)
    data = parts_of("multilabel", weights=lambda split: weights)
    counts = np.concatenate([np.asarray(batch[2]) for batch in data.train_batches(0, 1)])
    np.testing.assert_allclose(np.sort(counts), np.sort(weights[data.train.samples]))
    assert len(next(iter(data.validation_batches(0, 1, "host")))) == 2
    with pytest.raises(keras_azure.KerasAzureError, match="The weights of made for regress are of type"):
        next(iter(parts_of("regress", weights=lambda split: weights[:5]).train_batches(0, 1)))


def test_a_model_that_takes_a_task_is_checked_for_all_three():
    check_model("cnn(filters=(2,), dense=(4,))", input_shape=(8, 8, 1), num_classes=3)

    def softmax_for_all(input_shape, num_classes, *, task="classify"):
        return of_classes_alone(input_shape, num_classes)

    check_model(softmax_for_all, input_shape=(8, 8, 1), num_classes=3)  # a softmax is a probability for each label, too

    def linear_for_all(input_shape, num_classes, *, task="classify"):
        pixels = keras.layers.Input(input_shape)
        ending = output_layer(num_classes, "classify" if task == "classify" else "regress")
        return keras.Model(pixels, ending(keras.layers.Flatten()(pixels)))

    with pytest.raises(ContractError, match="a sigmoid at the end"):
        check_model(linear_for_all, input_shape=(8, 8, 1), num_classes=3)

    def wrong_count(input_shape, num_classes, *, task="classify"):
        return of_classes_alone(input_shape, num_classes if task != "regress" else num_classes + 1)

    with pytest.raises(ContractError, match=r"task 'regress'.*it gives"):
        check_model(wrong_count, input_shape=(8, 8, 1), num_classes=3)
