"""`kaz explain`: a sheet and arrays of what a run's model goes by."""

import io
import json
import shutil

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from sklearn.linear_model import LogisticRegression

import keras_azure
from keras_azure.description.events import Observer
from keras_azure.errors import OutputExists, UnreadableFile, UsageError
from keras_azure.explaining import grad_cam, integrated_gradients
from keras_azure.models.classic import FeatureClassifier
from keras_azure.models.fitting import fit
from keras_azure.models.saving import save_model

CLASSES = ["left", "猫 cat", "right"]


def network(end="softmax"):
    """Its classes are where in the image it is bright: left, nowhere, right."""
    model = keras.Sequential(
        [
            layers.Input((8, 12, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(1, 1, name="bright", kernel_initializer="ones"),
            layers.AveragePooling2D((8, 6), name="halves"),
            layers.Flatten(),
            layers.Dense(3, end),
        ]
    )
    model.layers[-1].set_weights([np.array([[5.0, 0.0, -5.0], [-5.0, 0.0, 5.0]]), np.array([0.0, 1.0, 0.0])])
    return model


def write_run(folder, model, about=None):
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text('{"model": "cnn"}')
    (folder / "metrics.json").write_text(json.dumps({"class_names": CLASSES}))
    if isinstance(model, FeatureClassifier):
        model.save(folder / "model.zip")
    else:
        save_model(model, folder / "model.keras", about or {})
    return folder


@pytest.fixture
def run_dir(tmp_path):
    return write_run(tmp_path / "run", network())


@pytest.fixture
def images(tmp_path):
    """Bright on the left, dark, and bright on the right; of other sizes and channels than the model's."""
    folder = tmp_path / "images"
    folder.mkdir()
    left = np.zeros((16, 24), np.uint8)
    left[:, :10] = 255
    Image.fromarray(left).save(folder / "a.png")
    Image.new("RGB", (30, 30), (3, 3, 3)).save(folder / "b.jpg")
    Image.fromarray(left[:, ::-1]).save(folder / "c.bmp")
    return sorted(folder.iterdir())


def test_a_sheet_and_arrays_are_written_and_their_paths_printed(kaz, run_dir, images, tmp_path):
    sheet, arrays = tmp_path / "sheet.png", tmp_path / "maps.npz"
    options = ("--method", "both", "--output", str(sheet), "--arrays", str(arrays))
    code, out, err = kaz("explain", str(run_dir), str(tmp_path / "images"), *options)
    assert (code, out, err) == (0, f"{sheet}\n{arrays}\n", "")
    with Image.open(sheet) as image:
        assert image.format == "PNG"
        assert image.height > image.width * 0.5  # three images below each other
    found = np.load(arrays)
    assert [*found["paths"]] == [str(path) for path in images]
    assert [*found["class_names"]] == CLASSES
    assert [*found["classes"]] == [0, 1, 2]
    assert found["probabilities"].shape == (3, 3)
    assert (found["images"].shape, found["images"].dtype) == ((3, 8, 12, 3), np.uint8)
    model = keras_azure.load(run_dir).model
    np.testing.assert_allclose(found["grad_cam"], grad_cam(model, found["images"]), atol=1e-6)
    np.testing.assert_allclose(found["integrated_gradients"], integrated_gradients(model, found["images"]), atol=1e-6)
    assert found["gaps"].max() < 0.01
    assert found["integrated_gradients"][0, :, :5].sum() > 4  # it is the bright part that speaks for "left"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["images", "maps.npz", "run", "sheet.png"]


def test_json_has_what_is_predicted_and_explained(kaz, run_dir, images, tmp_path):
    options = ("--class", "right", "--method", "integrated-gradients", "--output", str(tmp_path / "sheet.png"))
    code, out, _ = kaz("explain", str(run_dir / "model.keras"), *map(str, images), *options, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["sheet"] == str(tmp_path / "sheet.png")
    assert [each["class"] for each in found["images"]] == CLASSES
    assert [each["explained"] for each in found["images"]] == ["right"] * 3
    assert [each["path"] for each in found["images"]] == [str(path) for path in images]
    assert all(each["gap"] < 0.01 for each in found["images"])


def test_files_that_cannot_be_read_are_named_and_the_others_explained(kaz, run_dir, images, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    sheet = tmp_path / "sheet.png"
    code, out, err = kaz("explain", str(run_dir), str(images[0]), str(broken), "no.jpg", "--output", str(sheet))
    assert (code, out) == (1, f"{sheet}\n")
    assert str(broken) in err
    assert "no.jpg" in err
    assert "Traceback" not in err
    sheet.unlink()
    code, out, err = kaz("explain", str(run_dir), str(broken), "--output", str(sheet))
    assert (code, out) == (1, "")
    assert str(broken) in err
    assert not sheet.exists()


def test_nothing_is_overwritten_unasked(kaz, run_dir, images, tmp_path):
    for option, name in (("--output", "sheet.png"), ("--arrays", "maps.npz")):
        path = tmp_path / name
        path.write_bytes(b"mine")
        files = {"--output": str(tmp_path / "new.png"), option: str(path)}
        arguments = ["explain", str(run_dir), str(images[0]), *(each for item in files.items() for each in item)]
        code, _, err = kaz(*arguments)
        assert code == 2
        assert "is there already" in err
        assert path.read_bytes() == b"mine"
        assert not (tmp_path / "new.png").exists()
        assert kaz(*arguments, "--overwrite")[0] == 0
        assert path.read_bytes() != b"mine"
        (tmp_path / "new.png").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--class", "rigth"], "Did you mean 'right'"),
        (["--layer", "brigt"], "Did you mean 'bright'"),
        (["--method", "lime"], "lime"),
        (["--output", "no/such/folder/sheet.png"], "cannot be written"),
        (["--output", "sheet.jpg"], "ends in .png"),
        (["--arrays", "maps.npy"], "ends in .npz"),
        (["--steps", "0"], "steps"),
    ],
)
def test_wrong_calls_are_one_message(kaz, run_dir, images, tmp_path, monkeypatch, arguments, message):
    before = sorted(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    code, out, err = kaz("explain", str(run_dir), str(images[0]), *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert sorted(tmp_path.iterdir()) == before


def test_an_interrupt_leaves_nothing_behind(run_dir, images, tmp_path):
    class Interrupting(Observer):
        def advance(self, activity, done, total):
            if activity == "Integrated gradients" and done == 2:
                raise KeyboardInterrupt

    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        keras_azure.explain(run_dir, images, method="both", output=tmp_path / "sheet.png", observer=Interrupting())
    assert sorted(tmp_path.iterdir()) == before


def test_a_classifier_on_features_is_refused(kaz, images, tmp_path):
    pixels = layers.Input((8, 12, 3))
    features = keras.Model(pixels, layers.GlobalAveragePooling2D()(pixels))
    vectors = np.random.default_rng(0).random((30, 3)).astype(np.float32)
    fitted = fit(FeatureClassifier(features, LogisticRegression(), 3), vectors, np.arange(30) % 3, seed=0).classifier
    run_dir = write_run(tmp_path / "features", fitted)
    code, out, err = kaz("explain", str(run_dir), str(images[0]), "--output", str(tmp_path / "sheet.png"))
    assert (code, out) == (2, "")
    assert "a classifier of scikit-learn on features" in err
    assert not (tmp_path / "sheet.png").exists()


def test_from_python_it_is_an_object_that_notebooks_show(run_dir, images):
    explanation = keras_azure.explain(run_dir, images, method="both", observer=Observer())
    assert explanation.paths == tuple(images)
    assert explanation.explained == tuple(CLASSES)
    assert [each.class_name for each in explanation.predictions] == CLASSES
    assert explanation.maps["grad-cam"].shape == (3, 8, 12)
    assert explanation.maps["integrated-gradients"].shape == (3, 8, 12, 3)
    shown = explanation._repr_html_()
    assert "<table" in shown
    assert '<img alt="The images' in shown
    assert "http" not in shown
    assert str(images[2]) in str(explanation)
    figure = explanation.sheet()
    assert len(figure.axes) == 3 * 3
    with Image.open(io.BytesIO(figure._repr_png_())) as image:
        assert image.format == "PNG"
    texts = [text.get_text() for text in figure.texts]
    assert "a.png" in texts
    assert any(text.startswith("left ") for text in texts)


def test_one_path_and_the_errors_of_others(run_dir, images, tmp_path):
    observer = Observer()
    assert keras_azure.explain(str(run_dir), str(images[0]), observer=observer).explained == ("left",)
    files = [images[0], tmp_path / "no.jpg"]
    with pytest.raises(UnreadableFile, match=r"no\.jpg"):
        keras_azure.explain(run_dir, files, observer=observer)
    left = keras_azure.explain(run_dir, files, skip_unreadable=True, observer=observer)
    assert (left.paths, len(left.unreadable)) == ((images[0],), 1)
    with pytest.raises(UsageError, match="method"):
        keras_azure.explain(run_dir, files, method="lime")
    (tmp_path / "mine.png").touch()
    with pytest.raises(OutputExists):
        keras_azure.explain(run_dir, files, output=tmp_path / "mine.png")


def test_of_several_labels_the_most_probable_is_explained(tmp_path, images):
    run_dir = write_run(tmp_path / "labels", network("sigmoid"), {"task": "multilabel", "thresholds": [0.5] * 3})
    explanation = keras_azure.explain(run_dir, images, observer=Observer())
    assert explanation.explained == tuple(CLASSES)
    assert [each.labels[0] for each in explanation.predictions] == CLASSES


def test_of_numbers_the_first_is_explained_and_said_so(kaz, tmp_path, images):
    run_dir = write_run(tmp_path / "numbers", network("linear"), {"task": "regress"})
    output = ("--output", str(tmp_path / "sheet.png"), "--overwrite")
    code, out, err = kaz("explain", str(run_dir), str(images[0]), "--json", *output)
    assert code == 0
    assert json.loads(out)["images"][0]["explained"] == "left"
    assert "the first of the numbers" in err
    code, out, err = kaz("explain", str(run_dir), str(images[0]), "--json", "--class", "right", *output)
    assert (code, err) == (0, "")
    assert json.loads(out)["images"][0]["explained"] == "right"


def test_a_sheet_of_very_many_images_says_how_many_are_left(run_dir, images, tmp_path):
    many = [images[0]]
    for number in range(64):
        many.append(tmp_path / "images" / f"{number}.png")
        shutil.copy(images[0], many[-1])
    figure = keras_azure.explain(run_dir, many, observer=Observer()).sheet()
    assert len(figure.axes) == 2 * 60
    assert "and 5 more images" in [text.get_text() for text in figure.texts]
