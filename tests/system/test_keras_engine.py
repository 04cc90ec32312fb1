"""The choice of the Keras engine, in processes whose Keras is not loaded."""

import json
import os
import subprocess
import sys

import pytest

from keras_azure.errors import UsageError
from keras_azure.keras_engine import asked_engine, check_engine, use_engine

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


@pytest.fixture
def settings_file(tmp_path, monkeypatch):
    """Keras's settings file of a user whose Keras is not loaded yet."""
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".keras").mkdir()
    return tmp_path / ".keras" / "keras.json"


@pytest.mark.parametrize("engine", ["torch", "theano"])
@pytest.mark.parametrize("place", ["KERAS_BACKEND", "keras.json"])
def test_one_that_cannot_be_had_is_named_with_what_names_it(settings_file, monkeypatch, engine, place):
    installed = ("tensorflow", "jax")
    monkeypatch.setattr("keras_azure.keras_engine.find_spec", lambda name: name in installed or None)
    if place == "KERAS_BACKEND":
        monkeypatch.setenv("KERAS_BACKEND", engine)
    else:
        settings_file.write_text(json.dumps({"backend": engine}))
    assert asked_engine("auto") == engine
    with pytest.raises(UsageError) as refusal:
        use_engine("auto")
    assert f"{place} names the engine {engine} for Keras, which is " in refusal.value.problem
    assert "KERAS_BACKEND=tensorflow" in refusal.value.hint
    use_engine("tensorflow")  # whoever says it has it
    assert os.environ["KERAS_BACKEND"] == "tensorflow"


def test_no_model_is_trained_on_one_that_is_installed_and_not_ours(settings_file, monkeypatch):
    monkeypatch.setattr("keras_azure.keras_engine.find_spec", lambda name: True)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    check_engine("auto")
    with pytest.raises(UsageError, match="which is none of tensorflow, jax"):
        check_engine("auto", to_train=True)


def test_the_environment_goes_before_the_file(settings_file, monkeypatch):
    settings_file.write_text('{"backend": "torch"}')
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert asked_engine("auto") == "jax"
    assert asked_engine("tensorflow") == "tensorflow"


@pytest.mark.parametrize("content", ["", "{", "no JSON", "{}", '{"floatx": "float16", "epsilon": 1e-3}'])
def test_a_file_that_keras_can_do_with_is_none_of_our_business(settings_file, content):
    settings_file.write_text(content)
    check_engine("auto", to_train=True)
    assert asked_engine("auto") == "tensorflow"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"floatx": "bfloat16"}', "floatx is 'bfloat16'"),
        ('{"epsilon": 1}', "epsilon is 1"),
        ('{"image_data_format": "th", "epsilon": "small"}', "image_data_format is 'th' and epsilon is 'small'"),
        ("[]", "no JSON object"),
        (None, "Is a directory"),
    ],
)
def test_a_file_for_which_keras_cannot_be_imported_is_named(settings_file, content, problem):
    settings_file.mkdir() if content is None else settings_file.write_text(content)
    with pytest.raises(UsageError, match=problem) as refusal:
        use_engine("auto")
    assert str(settings_file) in refusal.value.problem


@pytest.mark.parametrize(
    "command", [("run", "cnn"), ("predict", "{run}", "image.png"), ("preview",), ("plan", "cnn"), ("bench", "cnn")]
)
def test_a_command_says_so_in_one_sentence(settings_file, tmp_path, command):
    settings_file.write_text('{"backend": "theano"}')
    words = [word.format(run=tmp_path) for word in command]
    if words[0] == "preview":
        words += ["--output", str(tmp_path / "sheet.png")]
    done = subprocess.run([sys.executable, "-m", "keras_azure", *words], capture_output=True, text=True, cwd=tmp_path)
    if words[0] == "plan":  # which is always of TensorFlow's steps
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 2, done.stderr
    assert f"Error: {settings_file} names the engine theano for Keras, which is none of" in done.stderr
    assert "Unexpected" not in done.stderr


ALL = """
import hashlib, json, pathlib, sys
import keras_azure
from keras_azure.description.events import Observer

quiet, out = Observer(), pathlib.Path(sys.argv[1])
settings = dict(data="digits", epochs=1, batch_size=64, tracking=False, observer=quiet)
result = keras_azure.run("cnn(dropout=0.2)", output=out / "run", metrics=["f1_score"], **settings)
image = out / "image.png"
if not image.exists():
    import PIL.Image
    PIL.Image.linear_gradient("L").resize((8, 8)).save(image)
predictor = keras_azure.load(out / "run")
(prediction,) = predictor.predict(image)
augment = ["rotate", "blur"]
sheet = keras_azure.preview("digits", augment=augment, samples=2, draws=2, observer=quiet)
plan = keras_azure.plan("cnn", data="digits", backend="local", observer=quiet)
bench = keras_azure.bench("cnn", part="step", data="digits", rounds=1, seconds=0.01, observer=quiet)
print(json.dumps({
    "model": hashlib.sha256((out / "run" / "model.keras").read_bytes()).hexdigest(),
    "scores": result.test_metrics,
    "probabilities": list(prediction.probabilities.values()),
    "sheet": hashlib.sha256(sheet._repr_png_()).hexdigest(),
    "plan": plan["memory"],
    "bench": bench["image_shape"] if "image_shape" in bench else sorted(bench),
}))
import keras
print(keras.config.image_data_format(), keras.config.floatx(), keras.config.epsilon())
"""


def test_all_is_the_same_bit_for_bit_whatever_the_file_says(tmp_path, loaded_python):
    (tmp_path / "keras").mkdir()
    settings = {"floatx": "float16", "epsilon": 1e-2, "image_data_format": "channels_first", "backend": "tensorflow"}
    (tmp_path / "keras" / "keras.json").write_text(json.dumps(settings))
    given = []
    for name, python in (("as usual", loaded_python), ("with the file", [sys.executable])):
        (tmp_path / name).mkdir()
        done = subprocess.run(
            [*python, "-c", ALL, str(tmp_path / name)],
            capture_output=True,
            text=True,
            env=os.environ | {"KERAS_HOME": str(tmp_path / "keras"), "KAZ_RUNS": str(tmp_path / "runs")},
        )
        assert done.returncode == 0, done.stderr
        given.append(done.stdout.splitlines())
    assert json.loads(given[0][0]) == json.loads(given[1][0])
    assert given[0][1] == "channels_last float32 1e-07"
    assert given[1][1] == "channels_first float16 0.01"  # the user's own settings are as they were
