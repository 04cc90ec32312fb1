import dataclasses
import json
import math
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_azure.description.config import RunConfig, describe_run, lay_over, read_config_file
from keras_azure.description.result import RunResult
from keras_azure.errors import AmbiguousName, ConfigError, DataError, KerasAzureError, SpecError, UnknownName
from keras_azure.registry import keras_names
from keras_azure.registry.registry import CALLBACKS, DATASETS
from keras_azure.training.compiling import build_loss, build_metrics, build_optimizer

texts = st.text(max_size=20)
configs = st.builds(
    RunConfig,
    model=texts,
    data=texts,
    augment=st.lists(texts, max_size=3),
    backend=texts,
    epochs=st.integers(1),
    batch_size=st.integers(1),
    steps_per_epoch=st.none() | st.integers(1),
    learning_rate=st.none() | st.floats(0, allow_infinity=False),
    optimizer=texts,
    loss=texts,
    metrics=st.lists(texts, max_size=3),
    validation_split=st.floats(0, 1, exclude_min=True, exclude_max=True),
    early_stopping=st.none() | st.integers(1),
    keep=st.sampled_from(["last", "best"]),
    precision=st.sampled_from(["float32", "mixed_float16", "mixed_bfloat16"]),
    seed=st.integers(0, 2**31 - 1),
    tracking=st.booleans(),
)


@given(configs)
def test_json_gives_the_same_config_back(config):
    text = config.to_json()
    assert RunConfig.from_json(text) == config
    assert RunConfig.from_json(text).to_json() == text
    assert [*json.loads(text)] == [setting.name for setting in dataclasses.fields(RunConfig)]


def test_the_defaults_are_the_chapters():
    config = RunConfig("cnn")
    assert (config.data, config.backend, config.epochs, config.batch_size) == ("digits", "local", 10, 16)
    assert (config.optimizer, config.metrics) == ("adam", ())
    assert build_loss(config).name == "categorical_crossentropy"


def test_every_setting_has_a_description():
    assert all(setting.metadata["help"] for setting in dataclasses.fields(RunConfig))


def test_values_are_brought_to_their_types():
    config = RunConfig("cnn", augment="flip", metrics=["auc"], learning_rate=1)
    assert config.augment == ("flip",)
    assert config.metrics == ("auc",)
    assert type(config.learning_rate) is float
    assert hash(config) == hash(RunConfig("cnn", augment=["flip"], metrics=("auc",), learning_rate=1.0))


def test_a_config_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunConfig("cnn").epochs = 3


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("model", 3, "str"),
        ("model", None, "str"),
        ("data", 3, "str"),
        ("augment", [1], "tuple[str, ...]"),
        ("augment", None, "tuple[str, ...]"),
        ("epochs", "10", "int"),
        ("epochs", 1.0, "int"),
        ("epochs", True, "int"),
        ("epochs", 0, "1 or more"),
        ("batch_size", -1, "1 or more"),
        ("steps_per_epoch", 0, "1 or more"),
        ("steps_per_epoch", 0.5, "int | None"),
        ("learning_rate", -0.1, "0.0 or more"),
        ("learning_rate", math.nan, "0.0 or more"),
        ("learning_rate", math.inf, "0.0 or more"),
        ("learning_rate", 10**400, "float | None"),
        ("validation_split", 1, "0.0 or more, and below 1.0"),
        ("validation_split", -0.1, "0.0 or more, and below 1.0"),
        ("early_stopping", 0, "1 or more"),
        ("keep", "all", "one of last, best"),
        ("precision", "float64", "one of float32, mixed_float16, mixed_bfloat16"),
        ("seed", -1, "0 or more, and below 2147483648"),
        ("seed", 2**31, "0 or more, and below 2147483648"),
        ("tracking", 1, "bool"),
    ],
)
def test_a_wrong_value_names_the_setting(name, value, expected):
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_dict({"model": "cnn", name: value})
    assert f"The setting {name!r} cannot be {value!r}." in str(caught.value)
    assert caught.value.expected == expected


def test_names_of_several_data_sets_are_no_data():
    with pytest.raises(ConfigError, match="The data is a list of 1") as caught:
        RunConfig.from_dict({"model": "cnn", "data": ["digits"]})
    assert "(x_train, y_train)" in caught.value.expected


@pytest.mark.parametrize("change", [{"early_stopping": 2}, {"keep": "best"}])
def test_what_needs_validation_is_refused_without_it(change):
    RunConfig("cnn", **change)
    with pytest.raises(ConfigError, match="validation_split is 0"):
        RunConfig("cnn", validation_split=0, **change)


def test_an_unknown_setting_names_the_nearest():
    with pytest.raises(ConfigError, match=r"no setting called 'epoch'\. Did you mean 'epochs'"):
        RunConfig.from_dict({"model": "cnn", "epoch": 3})


def test_a_run_needs_a_model():
    with pytest.raises(ConfigError, match="No model is named"):
        RunConfig.from_dict({"epochs": 3})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '"cnn"',
        "null",
        "{'model': 'cnn'}",
        "[" * 100_000,
        '{"model": "cnn", "seed": ' + "9" * 5000 + "}",
    ],
    ids=lambda text: text[:10],
)
def test_what_is_no_run_description(text, tmp_path):
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_json(text)
    assert len(str(caught.value)) < 500
    file = tmp_path / "run.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"The config file .*run\.json is not"):
        read_config_file(file)


def test_a_config_file_is_read_unchecked(tmp_path):
    file = tmp_path / "run.json"
    file.write_text('{"model": "größe", "epochs": "many"}', encoding="utf-8")
    assert read_config_file(file) == {"model": "größe", "epochs": "many"}


def test_a_config_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        read_config_file(tmp_path / "missing.json")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_config_file(tmp_path)
    (tmp_path / "latin").write_bytes(b'{"model": "gr\xf6\xdfe"}')
    with pytest.raises(ConfigError, match="it is not UTF-8 text"):
        read_config_file(tmp_path / "latin")


def test_changes_lie_over_a_file():
    values = {"model": "cnn", "epochs": 3, "seed": 1}
    assert lay_over(values, {"epochs": 5, "seed": None, "tracking": False}) == {
        "model": "cnn",
        "epochs": 5,
        "seed": 1,
        "tracking": False,
    }
    assert values == {"model": "cnn", "epochs": 3, "seed": 1}


def test_set_is_an_option_of_the_model():
    changed = lay_over({"model": "cnn(dropout=0.1, dense=8)"}, {"set": ["dropout=0.2", "filters=(4, 8)"]})
    assert changed["model"] == "cnn(dense=8, dropout=0.2, filters=(4, 8))"
    assert lay_over({"model": "cnn(dropout=0.1)"}, {"model": "net", "set": ["units=3"]}) == {"model": "net(units=3)"}
    assert lay_over({"model": "net"}, {"set": "units=3"}) == {"model": "net(units=3)"}
    with pytest.raises(SpecError):
        lay_over({"model": "cnn"}, {"set": ["dropout"]})


def test_picture_options_are_options_of_the_data_set(tmp_path):
    (tmp_path / "cat").mkdir()
    changed = lay_over({"data": str(tmp_path)}, {"image_size": (32, 32), "skip_unreadable": True})
    assert changed["data"] == f"folder(image_size=(32, 32), path='{tmp_path}', skip_unreadable=True)"
    assert lay_over({}, {"image_size": (8, 8)})["data"] == "digits(image_size=(8, 8))"
    assert lay_over({}, {"image_size": 8})["data"] == "digits(image_size=(8, 8))"
    with pytest.raises(DataError):
        lay_over({"data": "./nothing"}, {"image_size": (8, 8)})


def test_options_of_the_data_in_a_file_of_settings_are_as_the_flags(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.png").touch()
    file = tmp_path / "settings.json"
    settings = {"model": "cnn", "data": str(tmp_path), "image_size": 64, "split_names": "none", "bit_depth": 12}
    flags = {name: value for name, value in settings.items() if name not in ("model", "data")}
    for size in (64, [64, 64]):
        file.write_text(json.dumps(settings | {"image_size": size, "skip_unreadable": True}))
        from_file = describe_run(None, file, {})
        assert from_file == describe_run("cnn", None, {"data": str(tmp_path), **flags, "skip_unreadable": True})
    assert from_file.data == (
        f"folder(bit_depth=12, image_size=(64, 64), path='{tmp_path}', skip_unreadable=True, split_names='none')"
    )
    over = describe_run(None, file, {"image_size": (8, 9), "bit_depth": 14})  # flags lie over the file
    assert "image_size=(8, 9)" in over.data
    assert "bit_depth=14" in over.data
    file.write_text(json.dumps(settings | dict.fromkeys(flags)))
    assert describe_run(None, file, {}).data == f"folder(path='{tmp_path}')"
    file.write_text(json.dumps(settings | {"image_size": "large"}))
    with pytest.raises(KerasAzureError, match="image_size"):
        DATASETS.build(describe_run(None, file, {}).data_spec)


def test_what_is_no_field_is_an_option_of_the_backend():
    changed = lay_over({"backend": "azure-nc6(nodes=1)"}, {"register": "digits", "strict_size": True})
    assert changed == {"backend": "azure-nc6(nodes=1, register='digits', strict_size=True)"}
    assert lay_over({}, {"device": "cpu"}) == {"backend": "local(device='cpu')"}
    with pytest.raises(ConfigError, match=r"no setting called 'epoch'\. Did you mean 'epochs'"):
        lay_over({"model": "cnn"}, {"epoch": 3})
    with pytest.raises(ConfigError, match=r"no setting called 'registr'\. Did you mean 'register'"):
        lay_over({"backend": "azure-nc6"}, {"registr": "digits"})
    with pytest.raises(ConfigError, match="no setting called 'register'"):
        lay_over({"backend": "local"}, {"register": "digits"})


def test_old_spellings_of_backends_stay_as_they_are():
    for backend in ("azure-nc6", "azure-nc6(nodes=2, spot=True)", "local-cpu"):
        assert RunConfig("cnn", backend=backend).resolved().backend == backend


def test_changes_to_a_wrong_value_leave_it_to_be_refused():
    for values, changes in (({"model": 3}, {"set": ["a=1"]}), ({"model": "cnn", "data": 3}, {"image_size": (8, 8)})):
        with pytest.raises(ConfigError, match="cannot be 3"):
            RunConfig.from_dict(lay_over(values, changes))


def test_resolved_finds_every_name(tmp_path, monkeypatch, install_plugin):
    (tmp_path / "data" / "cat").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    install_plugin("kaz-aug", {"augmentations": "wobble = kaz_aug:wobble"}, "raise RuntimeError")
    config = RunConfig(
        *("cnn(dropout=0.2)", "data"),
        augment="wobble(by=3)",
        optimizer="sgd(momentum=0.9)",
        metrics=("auc", "precision"),
    )
    assert config.resolved() == dataclasses.replace(config, data=f"folder(path='{tmp_path / 'data'}')")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"model": "cnm"}, "no model called 'cnm'. Did you mean 'cnn'?"),
        ({"backend": "locl"}, "no backend called 'locl'. Did you mean 'local'?"),
        ({"augment": ("wobble",)}, "no augmentation called 'wobble'"),
        ({"data": "digts"}, "no data set called 'digts'. Did you mean 'digits'?"),
        ({"optimizer": "adm"}, "no optimizer called 'adm'. Did you mean 'adam'?"),
        ({"loss": "crossentropy"}, "no loss called 'crossentropy'. Did you mean"),
        ({"metrics": ("auc", "acuracy")}, "no metric called 'acuracy'"),
    ],
)
def test_resolved_names_what_is_unknown(change, problem):
    with pytest.raises(UnknownName) as caught:
        dataclasses.replace(RunConfig("cnn"), **change).resolved()
    assert problem in str(caught.value)


def test_resolved_refuses_what_is_ambiguous_or_no_spec(install_plugin):
    install_plugin("kaz-one", {"models": "twin = kaz_one:net"})
    install_plugin("kaz-two", {"models": "twin = kaz_two:net"})
    with pytest.raises(AmbiguousName):
        RunConfig("twin").resolved()
    for change in ({"model": "cnn("}, {"optimizer": "sgd(0.9)"}, {"metrics": "a b"}):
        with pytest.raises(SpecError):
            dataclasses.replace(RunConfig("cnn"), **change).resolved()


def test_a_result_is_json_safe():
    result = RunResult(
        run_dir=Path("/runs/1"),
        test_loss=0.1,
        test_accuracy=0.9,
        test_metrics={"loss": 0.1, "accuracy": 0.9},
        images_per_second=1000.0,
        parameters=10,
        seconds=1.5,
        epochs=1,
        history=({"loss": 0.2},),
    )
    printed = json.loads(json.dumps(result.to_json()))
    wanted = {"run_dir", "test_loss", "test_accuracy", "images_per_second", "parameters", "seconds"}
    assert wanted <= printed.keys()
    assert printed["run_dir"] == "/runs/1"


# One-hot labels and probabilities, as the pipeline and every model give them.
LABELS = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]
PROBABILITIES = np.full((6, 3), 1 / 3, np.float32)


@pytest.mark.parametrize("name", keras_names.OPTIMIZERS)
def test_keras_has_the_optimizer(name):
    optimizer = build_optimizer(RunConfig("cnn", optimizer=name), 0.5, 100)
    assert isinstance(optimizer, keras.optimizers.Optimizer)
    assert float(optimizer.learning_rate) == 0.5


@pytest.mark.parametrize("name", keras_names.LOSSES)
def test_keras_has_the_loss(name):
    loss = build_loss(RunConfig("cnn", loss=name))(LABELS, PROBABILITIES)
    assert math.isfinite(loss)


NEEDED = {
    "f1_score": "f1_score(average=macro)",  # Keras's default is a number per class
    "fbeta_score": "fbeta_score(average=macro)",
    "precision_at_recall": "precision_at_recall(recall=0.5)",
    "recall_at_precision": "recall_at_precision(precision=0.5)",
    "sensitivity_at_specificity": "sensitivity_at_specificity(specificity=0.5)",
    "specificity_at_sensitivity": "specificity_at_sensitivity(sensitivity=0.5)",
}


@pytest.mark.parametrize("name", keras_names.METRICS)
def test_keras_has_the_metric(name):
    spec = NEEDED.get(name, name)
    for metric in build_metrics(RunConfig("cnn", metrics=spec)):
        metric.update_state(LABELS, PROBABILITIES)
        assert math.isfinite(metric.result())


@pytest.mark.parametrize("name", keras_names.CALLBACKS)
def test_keras_has_the_callback(name):
    assert issubclass(CALLBACKS.load(name), keras.callbacks.Callback)


def test_the_path_of_weights_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    resolved = RunConfig("cnn(weights='run')").resolved()
    assert resolved.model == f"cnn(weights={str(tmp_path / 'run')!r})"
    (tmp_path / "none").mkdir()  # not what the word means
    for model in ("cnn(weights='none')", "cnn(weights='gone.keras')", "cnn"):
        assert RunConfig(model).resolved().model == model
