"""Packages of somebody else's in whole runs on the Azure ML service of this machine."""

import json

import pytest
from fixtures.azure import blobs

import keras_azure
from keras_azure.description.events import Observer

pytestmark = pytest.mark.slow

SETTINGS = {"epochs": 1, "set": ["filters=(4, 8)", "dense=(8,)"], "cache": "memory"}


@pytest.fixture(scope="module")
def data(tmp_path_factory, make_idx):
    return make_idx(tmp_path_factory.mktemp("data") / "digits", 96)


def model_of(result):
    return (result.run_dir / "model.keras").read_bytes()


def test_a_packed_folder_of_pictures_and_a_plugin_of_ones_own(azure_emulator, make_pictures, their_site, tmp_path):
    """The plugin is installed by pip from a folder, and the pictures travel in an archive."""
    pictures = make_pictures(tmp_path / "pictures", 60)
    settings = {"data": str(pictures), "epochs": 1, "observer": Observer()}
    there = keras_azure.run("tiny(units=3)", backend="azure-nc6", output=tmp_path / "there", **settings)
    here = keras_azure.run("tiny(units=3)", output=tmp_path / "here", **settings)
    assert model_of(there) == model_of(here)
    assert any("/pack-00000.tar" in name for _, name in blobs(azure_emulator))
    assert not any(".png" in name and "/data/" in name for _, name in blobs(azure_emulator))


def test_a_data_set_of_ones_own_in_one_file(azure_emulator, tiles_installed, make_tiles, tmp_path):
    """The file is uploaded under its name, and the wheel of the package that reads it is on the node."""
    data = make_tiles(tmp_path / "mine.tiles")
    before = blobs(azure_emulator)
    there = keras_azure.run(
        "cnn", data=str(data), backend="azure-nc6", output=tmp_path / "there", observer=Observer(), **SETTINGS
    )
    here = keras_azure.run("cnn", data=str(data), output=tmp_path / "here", observer=Observer(), **SETTINGS)
    arrived = [name for _, name in blobs(azure_emulator).keys() - before.keys() if "/data/" in name]
    assert [name.rpartition("/")[2] for name in arrived] == ["mine.tiles"]
    assert model_of(there) == model_of(here)
    assert there.test_metrics == here.test_metrics
    assert json.loads((tmp_path / "there" / "run.json").read_text())["data"] == f"tiles(path='{data}')"


def test_a_plugin_that_cannot_be_imported_on_the_node_says_why(azure_emulator, data, kaz, their_site, tmp_path):
    """It needs a module of this machine that no package declares."""
    module = their_site / "their_models.py"
    module.write_text(f"import their_helpers\n{module.read_text()}")
    (their_site / "their_helpers.py").touch()
    code, _, err = kaz("run", "tiny", "--backend", "azure-nc6", "--data", str(data), "--output", str(tmp_path / "run"))
    assert code == 1
    shown = err.partition("The last lines of its log:")[2]
    assert "No module named 'their_helpers'" in shown
    assert "their-models" in shown
    assert "Traceback" not in err
    assert "azure/ai/ml" not in err
    assert not (tmp_path / "run" / "model.keras").exists()
