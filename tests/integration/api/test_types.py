"""What a type checker says of a user's code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
CODE = """
import keras_azure
from keras_azure import MODELS, RunResult, Spec

def small(input_shape: tuple[int, int, int], num_classes: int) -> object: ...
def soft(y_true: object, y_pred: object) -> object: ...

result: RunResult = keras_azure.run("cnn", epochs=3)
score: float = result.test_loss
keras_azure.run(Spec("cnn"), data="digits", augment=["flip"], metrics="auc", learning_rate=None, image_size=(8, 8))
keras_azure.run(small, loss=soft, metrics=[soft, "auc"], set=["units=3"], backend="azure", register="digits")
keras_azure.plan("cnn", backend=["local"], pictures=100, image_size=(8, 8))
keras_azure.submit("cnn", backend="azure", spot=True).cancel()
MODELS.find("cnn").package.upper()
keras_azure.runs(sort="score")[0].name.upper()

keras_azure.run(epoch=3)  # error: Unexpected keyword argument "epoch" for "run"; did you mean "epochs"?
keras_azure.run("cnn", epochs="3")  # error: has incompatible type "str"; expected "int | None"
keras_azure.run("cnn", keep="first")  # error: has incompatible type
keras_azure.run("cnn", loss=3)  # error: has incompatible type "int"
keras_azure.plan("cnn", batchsize=3)  # error: Unexpected keyword argument "batchsize"
keras_azure.resume()  # error: Missing positional argument "run_dir"
keras_azure.rans()  # error: Module has no attribute "rans"
result.test_los  # error: "RunResult" has no attribute "test_los"
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> dict[int, str]:
    """What the checker says of each line."""
    folder = tmp_path_factory.mktemp("checked")
    (folder / "theirs.py").write_text(CODE)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--ignore-missing-imports"]
    done = subprocess.run(
        [*command, "--cache-dir", str(folder / "cache"), "--config-file", os.devnull, "theirs.py"],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"MYPYPATH": str(REPOSITORY)},
    )
    found = re.findall(r"^theirs\.py:(\d+): error: (.*)$", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return {int(number): text for number, text in found}


LINES = [*enumerate(CODE.splitlines(), start=1)]


@pytest.mark.parametrize(("number", "line"), [each for each in LINES if each[1] and "# error" not in each[1]])
def test_what_is_right_is_accepted(said, number, line):
    assert number not in said, said[number]


@pytest.mark.parametrize(("number", "line"), [each for each in LINES if "# error" in each[1]])
def test_what_is_wrong_is_told(said, number, line):
    assert line.partition("# error: ")[2] in said.get(number, "")
