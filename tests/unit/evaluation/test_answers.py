"""The file of a model's answers: it comes back as it was, and a damaged one is refused in one sentence."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from keras_azure.errors import RunFailed, UsageError
from keras_azure.evaluation.answers import Answers


@pytest.fixture
def answers() -> Answers:
    random = np.random.default_rng(0)
    given = random.random((6, 3)).astype(np.float32)
    return Answers("classify", ("猫", "dog", "بطة"), given, np.array([0, 1, 2, 0, 1, 2]), np.arange(6), data="abc")


def test_answers_come_back_as_they_were(answers, tmp_path: Path):
    answers.save(tmp_path / "one.npz")
    answers.save(tmp_path / "two.npz")
    found = Answers.load(tmp_path / "one.npz")
    assert found.comparable(answers)
    assert np.array_equal(found.given, answers.given)
    assert found.right.tolist() == answers.right.tolist()
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


@pytest.mark.parametrize(
    "change", [{"data": ""}, {"data": "abd"}, {"split": "train"}, {"samples": np.arange(1, 7)}, {"names": tuple("abc")}]
)
def test_answers_about_other_images_are_not_comparable(answers, change):
    assert not dataclasses.replace(answers, **change).comparable(dataclasses.replace(answers, data="abc"))


def test_an_image_is_right_only_with_all_labels():
    given = np.array([[0.9, 0.1], [0.9, 0.8]], np.float32)
    truth = np.array([[1, 0], [1, 0]], np.uint8)
    found = Answers("multilabel", ("a", "b"), given, truth, np.arange(2), thresholds=(0.5, 0.5))
    assert found.right.tolist() == [True, False]


def test_damaged_files_are_refused_in_one_sentence(answers, tmp_path: Path):
    path = tmp_path / "predictions.npz"
    answers.save(path)
    whole = path.read_bytes()
    random = np.random.default_rng(1)
    for _ in range(200):
        damaged = bytearray(whole[: random.integers(0, len(whole))] if random.random() < 0.5 else whole)
        for _ in range(random.integers(1, 30)):
            if damaged:
                damaged[random.integers(len(damaged))] = random.integers(256)
        path.write_bytes(bytes(damaged))
        try:
            found = Answers.load(path)
        except RunFailed as error:
            assert "\n" not in error.problem and str(path) in error.problem
        else:  # what was damaged is no part of the arrays, which have checksums
            assert found.comparable(answers)


def test_a_file_that_would_run_code_is_refused(answers, tmp_path: Path):
    np.savez(tmp_path / "p.npz", task=np.array([os.system], object))
    with pytest.raises(RunFailed, match="cannot be read"):
        Answers.load(tmp_path / "p.npz")
    with pytest.raises(UsageError, match="no predictions"):
        Answers.load(tmp_path / "none.npz")
