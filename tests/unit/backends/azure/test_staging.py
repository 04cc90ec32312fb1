"""What goes to a node: run.json, wheels, and nothing of this machine's disk beside them."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from keras_azure.backends.azure import staging
from keras_azure.backends.azure.staging import conda_file, stage
from keras_azure.backends.azure.wheels import Packages
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.errors import BrokenPlugin, DataError
from keras_azure.registry.registry import DATASETS


@pytest.fixture
def packages(monkeypatch):
    """No wheels, which take seconds to build."""
    monkeypatch.setattr(
        staging, "packages_of", lambda specs, engine, more: Packages((), ("keras==3.13.0", engine, *more))
    )


def staged(tmp_path, **settings):
    config = RunConfig(**{"model": "cnn", "backend": "azure-nc6", **settings}).resolved()
    return stage(config, tmp_path / "staged", Observer())


def described(made):
    return json.loads((made.code / "run.json").read_text())


def test_the_node_runs_the_same_settings_by_itself(packages, tmp_path):
    made = staged(tmp_path, epochs=7, augment=("flip",), seed=3)
    theirs = described(made)
    assert (theirs["backend"], theirs["data"], theirs["epochs"], theirs["seed"]) == ("local", "digits", 7, 3)
    assert made.data is None
    assert made.requirements == ("keras==3.13.0", "tensorflow")
    assert RunConfig.from_dict(theirs).resolved()


def test_the_backends_options_stay_here(packages, tmp_path):
    made = staged(tmp_path, backend="azure-nc6(workspace='a/b/c', cluster='mine')")
    assert described(made)["backend"] == "local"


def test_no_path_of_this_machine_is_in_what_travels(packages, tmp_path, pictures, idx_folder):
    weights = tmp_path / "old" / "my.weights.h5"
    weights.parent.mkdir()
    weights.write_bytes(b"x")
    for data in (pictures, idx_folder):
        made = staged(tmp_path, model=f"cnn(weights={str(weights)!r})", data=str(data))
        assert str(tmp_path) not in (made.code / "run.json").read_text()
        assert "path='data'" in described(made)["data"]
        assert described(made)["model"] == "cnn(weights='weights.weights.h5')"
        assert [file.path for file in made.weights.files] == [weights]
        assert made.data.files


def test_a_run_that_starts_from_another_takes_its_model_along(packages, tmp_path):
    run = tmp_path / "runs" / "before"
    run.mkdir(parents=True)
    (run / "model.keras").write_bytes(b"x")
    (run / "run.json").write_text("{}")
    made = staged(tmp_path, model=f"cnn(weights={str(run)!r})")
    assert [(file.name, file.path) for file in made.weights.files] == [("weights.keras", run / "model.keras")]
    assert described(made)["model"] == "cnn(weights='weights.keras')"
    assert str(tmp_path) not in (made.code / "run.json").read_text()


@pytest.mark.parametrize("weights", ["imagenet", "none"])
def test_weights_that_go_by_name_stay_a_name(packages, tmp_path, weights, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = staged(tmp_path, model=f"resnet50(weights={weights})")
    assert made.weights is None
    assert described(made)["model"] == f"resnet50(weights={weights})"


def test_the_names_of_splits_go_with_data_of_the_workspace(packages, tmp_path):
    names = "train=Lehre und mehr,test=$(touch x)"
    made = staged(tmp_path, data=f"azureml(asset='azureml:mnist:1', split_names={names!r})")
    assert [shlex.split(argument) for argument in made.arguments] == [["--split-names", names]]


def test_images_without_classes_travel_where_the_model_needs_none(packages, tmp_path, pictures):
    shutil.rmtree(pictures / "dogs")
    with pytest.raises(DataError, match="has only one class, 'cats'"):
        staged(tmp_path, data=str(pictures))
    made = staged(tmp_path, model="autoencoder", data=str(pictures))
    assert [file.name for file in made.data.files] == [f"cats/000{number}.png" for number in range(3)]
    assert described(made)["data"] == "folder(path='data')"


def test_data_that_is_in_the_workspace_is_used_as_it_is(packages, tmp_path):
    made = staged(
        tmp_path, data="azureml(asset='azureml:mnist:1', image_size=(32, 24), skip_unreadable=True, bit_depth=12)"
    )
    assert (made.asset, made.data) == ("azureml:mnist:1", None)
    assert described(made)["data"] == "data"
    assert made.arguments == ("--image-size 32 24", "--skip-unreadable", "--bit-depth 12")
    square = staged(tmp_path, data="azureml(asset='azureml:mnist:1', image_size=32)")
    assert square.arguments == ("--image-size 32",)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_what_reads_the_images_goes_along_where_they_are_of_such_a_format(packages, tmp_path, pictures, kind):
    def data():
        return pictures if kind == "folder" else Path(shutil.make_archive(str(tmp_path / "data"), "zip", pictures))

    assert staged(tmp_path, data=str(data())).requirements == ("keras==3.13.0", "tensorflow")
    register_heif_opener(thumbnails=False)
    Image.new("RGB", (8, 8)).save(pictures / "dogs" / "one.png", "HEIF")  # known by its content
    assert staged(tmp_path, data=str(data())).requirements == ("keras==3.13.0", "tensorflow", "keras-azure[heic]")


def test_what_a_data_set_of_somebody_elses_takes_to_be_read_goes_along(packages, tmp_path, monkeypatch):
    class Theirs:
        asset = "azureml:slides:1"
        needed = ("openslide-python>=1.3",)

        def requirements(self):
            return self.needed

    monkeypatch.setattr(DATASETS, "build", lambda spec: Theirs())
    assert staged(tmp_path).requirements == ("keras==3.13.0", "tensorflow", "openslide-python>=1.3")
    monkeypatch.setattr(Theirs, "needed", ("open slide",))
    with pytest.raises(BrokenPlugin, match="The data set digits cannot say what its files take to be read"):
        staged(tmp_path)


def test_what_an_earlier_try_has_left_is_gone(packages, tmp_path):
    (tmp_path / "staged" / "code").mkdir(parents=True)
    (tmp_path / "staged" / "code" / ".env").write_text("x")
    assert [name for name, _ in staged(tmp_path).code_files] == ["run.json"]


def test_the_same_run_gives_the_same_files(tmp_path):
    contents = []
    for name in ("a", "b"):
        made = staged(tmp_path / name)
        contents.append({file: (made.code / file).read_bytes() for file, _ in made.code_files})
    assert contents[0] == contents[1]
    assert "run.json" in contents[0]
    assert all(name == "run.json" or name.startswith("wheels/") for name in contents[0])


def test_the_environment_has_this_python_and_is_the_same_for_the_same_packages():
    made = conda_file(("a==1", "b==2"))
    assert made == conda_file(("a==1", "b==2"))
    assert made["dependencies"][0].startswith("python=3.")
    assert made["dependencies"][-1] == {"pip": ["a==1", "b==2"]}
