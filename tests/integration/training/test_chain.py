"""The chain of files from `kaz run cnn` to a step, as CONTRIBUTING lists it."""

import re
import traceback
from pathlib import Path

import keras

import keras_azure

REPOSITORY = Path(__file__).parents[3]
PACKAGE = Path(keras_azure.__file__).parent


def listed() -> list[str]:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("### From `kaz run cnn` to a step\n")[2].partition("\n### ")[0]
    return re.findall(r"^\d+\. `([^`]+)`: ", section, re.MULTILINE)


def test_the_files_that_are_under_way_while_a_step_is_made_are_listed(kaz, tmp_path, monkeypatch):
    found, train_step = [], keras.Model.train_step

    def watched(self, *batch):
        if not found:
            found.extend(Path(frame.filename) for frame in traceback.extract_stack())
        return train_step(self, *batch)

    monkeypatch.setattr(keras.Model, "train_step", watched)
    arguments = ("--epochs", "1", "--steps-per-epoch", "1", "--no-tracking", "--output", str(tmp_path / "run"))
    code, _, err = kaz("run", "cnn", *arguments)
    assert code == 0, err
    passed = dict.fromkeys(str(path.relative_to(PACKAGE)) for path in found if path.is_relative_to(PACKAGE))
    chain = listed()
    assert len(passed) >= 7
    assert [name for name in chain if name in passed] == [*passed]  # in this order, and none is left out
    assert len(chain) <= 13
    assert all((PACKAGE / name).is_file() or (REPOSITORY / name).exists() for name in chain)
