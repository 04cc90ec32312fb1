"""Labels that are vectors: understood, divided, held, and stored."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from keras_azure.data import open_dataset
from keras_azure.data.arrays import ArrayDataset, fingerprint_of
from keras_azure.data.given import data_as_text
from keras_azure.data.label_forms import LabelForm, Scaling
from keras_azure.data.splits import hold_out_test, hold_out_validation
from keras_azure.data.store import open_stored
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 8, 6, 1), np.uint8)
LABELS = RNG.integers(0, 2, (40, 3), np.uint8)
NUMBERS = RNG.normal(10, 3, (40, 2)).astype(np.float32)


def opened(labels, task="auto", **options):
    config = RunConfig("cnn", data=data_as_text((IMAGES, labels)), task=task)
    return open_dataset(config.data_to_open.with_options(**options), Observer())


@pytest.mark.parametrize(
    ("labels", "task", "names"),
    [
        (LABELS, "multilabel", ("0", "1", "2")),
        (LABELS.astype(bool), "multilabel", ("0", "1", "2")),
        (LABELS.astype(float).tolist(), "multilabel", ("0", "1", "2")),
        (NUMBERS, "regress", ("0", "1")),
        (NUMBERS[:, 0], "regress", ("number",)),
        (NUMBERS[:, :1].astype(np.float64), "regress", ("number",)),
        (np.eye(4)[np.arange(40) % 4], "classify", ("0", "1", "2", "3")),
        (np.arange(40) % 4.0, "classify", ("0", "1", "2", "3")),
        (np.arange(40) % 4, "classify", ("0", "1", "2", "3")),
    ],
)
def test_the_task_is_what_the_labels_are(labels, task, names):
    dataset = opened(labels)
    assert (dataset.task, dataset.class_names) == (task, names)
    form = LabelForm.of(dataset)
    _, label = dataset.read("train", 0)
    assert np.shape(label) == form.shape
    images, kept = dataset.arrays("train")
    assert kept.shape == (len(images), *form.shape)
    assert kept.dtype == form.dtype


@pytest.mark.parametrize(
    ("labels", "task", "names"),
    [
        (np.arange(40) % 4, "regress", ("number",)),
        (np.eye(4)[np.arange(40) % 4], "multilabel", ("0", "1", "2", "3")),
        (np.arange(40) % 2, "multilabel", ("label",)),
    ],
)
def test_the_task_of_the_run_decides(labels, task, names):
    dataset = opened(labels, task)
    assert (dataset.task, dataset.class_names) == (task, names)


@pytest.mark.parametrize(
    ("labels", "task", "message"),
    [
        (np.arange(40) % 3, "multilabel", "2 among them"),
        (NUMBERS[:, 0], "classify", "are of type float32"),
        (np.where(NUMBERS > 10, np.nan, NUMBERS), "auto", "nan among them"),
        (np.where(NUMBERS > 10, np.inf, NUMBERS), "regress", "inf among them"),
        (np.array(["a", "b"] * 20), "regress", "of type <U1"),
        (NUMBERS[:, :, None], "regress", r"shape \(40, 2, 1\)"),
    ],
)
def test_labels_of_another_kind_are_refused(labels, task, message):
    with pytest.raises(DataError, match=message):
        opened(labels, task)


def test_an_array_dataset_of_one_hot_rows_says_what_it_is_for():
    one_hot = np.eye(2, dtype=np.uint8)[np.arange(40) % 2]
    splits = {"train": (IMAGES, one_hot), "test": (IMAGES, one_hot)}
    with pytest.raises(DataError, match="labels of type uint8"):
        ArrayDataset(["a", "b"], splits, "small")
    assert ArrayDataset(["a", "b"], splits, "small", "multilabel").task == "multilabel"
    with pytest.raises(DataError, match="The labels of small are none"):
        ArrayDataset([], splits, "small", "multilabel")


def test_a_resized_data_set_keeps_its_labels():
    dataset = opened(LABELS, image_size=(4, 4))
    assert dataset.task == "multilabel"
    np.testing.assert_array_equal(dataset.read("test", 1)[1], dataset.known_labels("test")[1])


def test_a_fingerprint_is_of_the_labels_too():
    changed = LABELS.copy()
    changed[7, 2] ^= 1
    prints = {fingerprint_of(IMAGES, each) for each in (LABELS, changed, NUMBERS, NUMBERS + 1)}
    assert len(prints) == 4


@pytest.mark.parametrize("labels", [LABELS, NUMBERS], ids=["multilabel", "regress"])
def test_vectors_are_found_again_in_the_store(labels, tmp_path, monkeypatch):
    monkeypatch.setenv("KAZ_CACHE", str(tmp_path / "cache"))
    dataset = opened(labels, image_size=(4, 3))  # of what is resized the store has use

    def fill(images, into):
        for index in range(len(images)):
            images[index], into[index] = dataset.read("train", index)

    made = open_stored(dataset, "train", fill, Observer())
    found = open_stored(dataset, "train", None, Observer())
    for ours, theirs in zip(made, found, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(found[1], dataset.known_labels("train"))
    assert found[1].dtype == LabelForm.of(dataset).dtype


@settings(max_examples=100, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(4, 60), st.integers(1, 6)), elements=st.integers(0, 1)), st.data())
def test_a_validation_part_has_about_its_share_and_no_sample_twice(labels, data):
    seed, groups = data.draw(st.integers(0, 5)), None
    if data.draw(st.booleans()):
        groups = data.draw(arrays.arrays(np.int64, len(labels), elements=st.integers(0, 9)))
        if len(np.unique(groups)) < 2:
            groups = None
    parts = hold_out_validation(len(labels), 0.3, seed, labels, groups)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    assert min(map(len, parts)) > 0
    if groups is not None:
        assert not {*groups[parts[0]]} & {*groups[parts[1]]}
    for ours, again in zip(parts, hold_out_validation(len(labels), 0.3, seed, labels, groups), strict=True):
        np.testing.assert_array_equal(ours, again)


def test_a_validation_part_has_each_labels_share_where_chance_would_not():
    rng = np.random.default_rng(3)
    labels = (rng.random((1000, 8)) < np.array([0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01])).astype(np.uint8)
    _, held = hold_out_validation(1000, 0.2, 1, labels)
    _, other = hold_out_validation(1000, 0.2, 2, labels)
    _, by_chance = hold_out_validation(1000, 0.2, 1)
    expected = labels.sum(axis=0) * 0.2
    assert np.abs(labels[held].sum(axis=0) - expected).max() <= 3
    assert np.abs(labels[by_chance].sum(axis=0) - expected).max() > 3
    assert abs(len(held) - 200) <= 5
    assert len(np.intersect1d(held, other)) < 100  # the seed decides


def test_test_images_are_held_out_of_labels_and_of_numbers():
    train, test, notes = hold_out_test(LABELS, list("abc"), 0.25, "small")
    assert len(train) + len(test) == 40
    assert abs(len(test) - 10) <= 1
    assert notes == ()
    assert np.abs(LABELS[test].sum(axis=0) - LABELS.sum(axis=0) / 4).max() <= 1
    assert abs(len(hold_out_test(NUMBERS, ["a", "b"], 0.25, "small")[1]) - 10) <= 5
    with pytest.raises(DataError, match="just one image in small"):
        hold_out_test(LABELS[:1], list("abc"), 0.25, "small")


def test_scaled_numbers_have_mean_0_and_deviation_1_and_come_back():
    scaling = Scaling.of(NUMBERS)
    scaled = scaling.apply(NUMBERS)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(scaling.undo(scaled), NUMBERS, rtol=1e-5)
    assert Scaling.of(np.full((5, 1), 3.0)) == Scaling((3.0,), (1.0,))
