"""The Python API, here and in a notebook."""

import json
import os

import pytest

import keras_azure
from keras_azure.description.events import Observer
from keras_azure.errors import ConfigError, OutputExists, UnknownName, UsageError


def test_the_public_names_are_there():
    assert set(keras_azure.__all__) <= set(dir(keras_azure))
    for name in keras_azure.__all__:
        assert getattr(keras_azure, name) is not None


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        keras_azure.trian  # noqa: B018


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"model": "cnm"}, UnknownName, "Did you mean 'cnn'"),
        ({"model": "cnn", "data": "digit"}, UnknownName, "Did you mean 'digits'"),
        ({"model": "cnn", "backend": "locl"}, UnknownName, "Did you mean 'local'"),
        ({"model": "cnn", "augment": ["sideways"]}, UnknownName, "augmentation"),
        ({"model": "cnn", "optimizer": "adm"}, UnknownName, "Did you mean 'adam'"),
        ({"model": "cnn", "epoch": 3}, ConfigError, "Did you mean 'epochs'"),
        ({"model": "cnn", "epochs": 0}, ConfigError, "epochs"),
        ({}, ConfigError, "No model"),
    ],
)
def test_wrong_settings_fail_before_a_folder_is_made(tmp_path, settings, error, message):
    with pytest.raises(error, match=message):
        keras_azure.run(**settings, output=tmp_path / "run", observer=Observer())
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputExists, match=r"(?s)not empty.*another --output"):
        keras_azure.run("cnn", output=tmp_path, observer=Observer())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_resume_needs_an_unfinished_run(tmp_path):
    with pytest.raises(UsageError, match=r"no run\.json"):
        keras_azure.resume(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"model": "cnn"}))
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(UsageError, match=r"(?s)is finished.*--config"):
        keras_azure.resume(tmp_path)


@pytest.mark.slow
def test_a_notebook_shows_the_progress_in_its_cell(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    cell = """
import keras_azure
result = keras_azure.run("cnn", data="digits", epochs=2)
print(result.test_accuracy)
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    # As a person starts it: what other tests have loaded here may have left variables behind.
    surroundings = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=surroundings)
    outputs = notebook.cells[0].outputs
    shown = next(output for output in outputs if output.output_type == "display_data")
    assert "Epoch 2/2  loss" in shown.data["text/plain"]
    assert shown.data["text/html"].startswith("<pre>")
    printed = [output for output in outputs if output.output_type == "stream"]
    assert [output.name for output in printed] == ["stdout"], [output.text for output in printed]  # no warnings
    assert float(printed[0].text) > 0.8
