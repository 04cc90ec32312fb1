"""`model.zip`: repeatable, whole, the same in another process, and harmless whoever made it."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import skops.io
from keras import layers
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from keras_azure.data.digits import digits
from keras_azure.errors import RunFailed
from keras_azure.models import estimators
from keras_azure.models.classic import FeatureClassifier
from keras_azure.models.fitting import fit

BOOSTING = HistGradientBoostingClassifier(max_iter=5, early_stopping=False)
ESTIMATORS = [LinearSVC(), LogisticRegression(max_iter=1000), KNeighborsClassifier(algorithm="brute"), BOOSTING]


@pytest.fixture(scope="module")
def pictures():
    pictures, labels = digits().arrays("train")
    return pictures[:200], labels[:200]


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    convolution = layers.Conv2D(4, 5, strides=4, activation="relu", name="convolution")
    return keras.Sequential(
        [layers.Input((28, 28, 1), name="pixels"), convolution, layers.Flatten(name="flatten")], name="features"
    )


@pytest.fixture(scope="module")
def fitted(network, pictures):
    """A fitted FeatureClassifier with the estimator."""

    def make(estimator):
        classifier = FeatureClassifier(network, estimator, 10)
        return fit(classifier, classifier.vectors(pictures[0]), pictures[1], seed=0).classifier

    return make


@pytest.fixture
def saved(fitted, tmp_path):
    path = tmp_path / "model.zip"
    fitted(LinearSVC()).save(path)
    return path


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path: Path, **changes: bytes | None) -> None:
    """Replaces entries, named with _ for the dot; None leaves one out."""
    content = entries(path) | {name.replace("_", "."): value for name, value in changes.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in content.items():
            if value is not None:
                archive.writestr(name, value)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_what_is_loaded_predicts_the_same_to_the_bit(fitted, pictures, tmp_path, estimator):
    classifier = fitted(estimator)
    classifier.save(tmp_path / "model.zip")
    loaded = FeatureClassifier.load(tmp_path / "model.zip")
    assert (loaded.num_classes, loaded.choices) == (10, ())
    np.testing.assert_array_equal(loaded.predict(pictures[0]), classifier.predict(pictures[0]))
    assert [path.name for path in tmp_path.iterdir()] == ["model.zip"]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_equal_models_give_equal_files(fitted, tmp_path, estimator):
    first, again = tmp_path / "first.zip", tmp_path / "again.zip"
    fitted(estimator).save(first)
    fitted(estimator).save(again)
    assert first.read_bytes() == again.read_bytes()
    loaded = FeatureClassifier.load(first).estimator
    assert estimators.to_bytes(loaded) == entries(first)["classifier.skops"]


def test_the_archive_has_three_entries_in_order(saved):
    with zipfile.ZipFile(saved) as archive:
        assert archive.namelist() == ["about.json", "classifier.skops", "features.keras"]
        assert {each.date_time for each in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert json.loads(archive.read("about.json")) == {"format": 1, "num_classes": 10}


PREDICT = """
import sys
import numpy as np
from pathlib import Path
from keras_azure.models.classic import FeatureClassifier
folder = Path(sys.argv[1])
np.save(folder / "after.npy", FeatureClassifier.load(folder / "model.zip").predict(np.load(folder / "pictures.npy")))
"""


def refusal(path: Path) -> str:
    with pytest.raises(RunFailed) as caught:
        FeatureClassifier.load(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    assert "cannot be loaded" in refusal(saved)


def test_a_damaged_file_is_refused(saved):
    with zipfile.ZipFile(saved) as archive:
        middle = archive.getinfo("classifier.skops").header_offset + 2000
    content = bytearray(saved.read_bytes())
    content[middle] ^= 0xFF
    saved.write_bytes(content)
    assert "checksum" in refusal(saved)


def test_another_file_is_refused(saved, tmp_path, network):
    network.save(tmp_path / "model.keras")
    assert "it has no about.json" in refusal(tmp_path / "model.keras")
    (tmp_path / "text.zip").write_text("no archive")
    assert "not a zip file" in refusal(tmp_path / "text.zip")
    assert "No such file" in refusal(tmp_path / "none.zip")
    rewrite(saved, classifier_skops=None)
    assert "it has no classifier.skops" in refusal(saved)


def test_another_format_is_refused(saved):
    rewrite(saved, about_json=b'{"format": 2, "num_classes": 10}')
    assert "its format is 2" in refusal(saved)


def test_a_poisoned_classifier_is_refused_and_its_types_named(saved, tmp_path):
    mark = tmp_path / "executed"
    poison = make_pipeline(FunctionTransformer(os.system, kw_args={"command": f"touch {mark}"}), LinearSVC())
    rewrite(saved, classifier_skops=skops.io.dumps(poison))
    message = refusal(saved)
    assert f"not trusted: {os.system.__module__}.system" in message
    assert not mark.exists()


def test_a_pickle_is_no_classifier(saved):
    rewrite(saved, classifier_skops=pickle.dumps(LinearSVC()))
    assert "not a zip file" in refusal(saved)


def test_poisoned_features_are_refused(saved, tmp_path):
    network = keras.Sequential([layers.Input((4,)), layers.Lambda(lambda vectors: vectors * 2)])
    network.save(tmp_path / "poison.keras")
    rewrite(saved, features_keras=(tmp_path / "poison.keras").read_bytes())
    assert "Lambda" in refusal(saved)


def test_what_does_not_classify_is_refused(saved):
    rewrite(saved, classifier_skops=skops.io.dumps(LinearRegression()))
    assert "LinearRegression, which is no classifier" in refusal(saved)


def spoiled_trees(fitted, change) -> bytes:
    estimator = fitted(BOOSTING).estimator
    change(estimator._predictors[2][3].nodes)
    return skops.io.dumps(estimator)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("left", 10_000),
        ("right", 1 << 31),
        ("left", 0),
        ("feature_idx", 1 << 40),
        ("feature_idx", -1),
        ("is_categorical", 1),
    ],
)
def test_trees_that_lead_astray_are_refused(saved, fitted, name, value):
    def change(nodes):
        assert not nodes["is_leaf"][0]
        nodes[name][0] = value

    rewrite(saved, classifier_skops=spoiled_trees(fitted, change))
    assert "damaged trees" in refusal(saved)


def test_trees_where_they_cannot_be_checked_are_refused(saved, pictures):
    vectors = pictures[0].reshape(len(pictures[0]), -1)
    bagging = BaggingClassifier(HistGradientBoostingClassifier(max_iter=1), 2).fit(vectors, pictures[1])
    rewrite(saved, classifier_skops=skops.io.dumps(bagging))
    assert "trees in a BaggingClassifier" in refusal(saved)
    forest = RandomForestClassifier(2).fit(vectors, pictures[1])
    rewrite(saved, classifier_skops=skops.io.dumps(forest))
    assert "sklearn.tree._tree.Tree" in refusal(saved)


def test_what_cannot_be_saved_leaves_the_old_file(saved, network):
    before = saved.read_bytes()
    generator = (number for number in range(3))
    with pytest.raises(RunFailed, match="The classifier LinearSVC cannot be saved"):
        FeatureClassifier(network, LinearSVC(C=generator), 10).save(saved)
    with pytest.raises(RunFailed, match="cannot be written"):
        FeatureClassifier(network, LinearSVC(), 10).save(saved.parent / "no" / "folder" / "model.zip")
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["model.zip"]


def test_an_estimators_bytes_are_those_of_skops_but_for_addresses(fitted):
    estimator = fitted(LogisticRegression(max_iter=1000)).estimator
    content = estimators.to_bytes(estimator)
    assert skops.io.get_untrusted_types(data=content) == []
    again = skops.io.loads(content)
    np.testing.assert_array_equal(again.steps[1][1].coef_, estimator.steps[1][1].coef_)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert all(len(name) <= len("schema.json") for name in archive.namelist())
