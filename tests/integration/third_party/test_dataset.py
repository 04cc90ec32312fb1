"""A package of somebody else's with a data set in one file of its own format: built, installed and trained on here."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import keras_azure
from keras_azure.description.events import Observer
from keras_azure.errors import KerasAzureError, RunInterrupted

pytestmark = pytest.mark.usefixtures("tiles_installed")
READING = "Reading train pictures"


class Listener(Observer):
    """Hears what is done; with `stop` it asks for the end of the run after an epoch, as Ctrl-C does."""

    def __init__(self, stop: int | None = None):
        self.heard: list[str] = []
        self.stop = stop

    def message(self, text):
        self.heard.append(text)

    def advance(self, activity, done, total):
        self.heard.append(activity)

    def epoch_done(self, epoch, row):
        if epoch == self.stop:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def _folders(tmp_path, monkeypatch):
    monkeypatch.setenv("KAZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tiles(make_tiles, tmp_path) -> Path:
    return make_tiles(tmp_path / "mine.tiles")


def run(output: str, data: str = "mine.tiles", *, stop: int | None = None, **settings) -> list[str]:
    """Trains into a folder; gives what was said."""
    listener = Listener(stop)
    settings = {"epochs": 2, "set": ["filters=(4,)", "dense=(8,)"], "tracking": False, **settings}
    keras_azure.run("cnn", data=data, output=output, observer=listener, **settings)
    return listener.heard


def model_of(output: str) -> bytes:
    return Path(output, "model.keras").read_bytes()


def test_it_is_listed_without_being_imported_and_keeps_the_contract(tiles):
    code = """
import sys
from keras_azure.cli import main
try:
    main()
finally:
    print("their_tiles" in sys.modules, file=sys.stderr)
"""
    for arguments, imported in ((["list", "datasets"], "False"), (["check", f"tiles(path='{tiles}')"], "True")):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stderr.splitlines()[-1] == imported
        assert "tiles" in done.stdout
    assert "1 checked: 1 ok" in done.stdout


def test_it_trains_the_same_model_wherever_its_tiles_are_kept(tiles):
    heard = {cache: run(cache, cache=cache) for cache in ("memory", "disk", "none")}
    assert model_of("memory") == model_of("disk") == model_of("none")
    assert [READING in heard[cache] for cache in heard] == [True, True, False]
    described = json.loads(Path("memory", "run.json").read_text())
    assert described["data"] == f"tiles(path='{tiles}')"


def test_the_store_finds_them_again_until_the_file_changes(tiles, make_tiles, tmp_path):
    assert READING in run("first", cache="disk")
    tiles.rename(tmp_path / "moved.tiles")
    assert READING not in run("second", "moved.tiles", cache="disk")
    make_tiles(tmp_path / "moved.tiles", seed=1)
    assert READING in run("third", "moved.tiles", cache="disk")
    assert model_of("first") == model_of("second") != model_of("third")


def test_a_stopped_run_goes_on_to_the_same_end_and_not_with_other_data(tiles, make_tiles):
    run("whole")
    with pytest.raises(RunInterrupted):
        run("stopped", stop=1)
    make_tiles(tiles, 50)
    with pytest.raises(KerasAzureError, match=r"The data is not what the run .* began with: split sizes .*48"):
        keras_azure.resume("stopped", observer=Observer())
    make_tiles(tiles)
    keras_azure.resume("stopped", observer=Observer())
    assert model_of("stopped") == model_of("whole")


def test_it_is_planned_for_and_shown(tiles, kaz):
    code, out, err = kaz("plan", "cnn", "--data", "mine.tiles", "--json")
    assert code == 0, err
    assert json.loads(out)["parameters"] > 0
    code, _, err = kaz("preview", "--data", "mine.tiles", "--augment", "flip", "--output", "sheet.png")
    assert code == 0, err
    assert Path("sheet.png").stat().st_size > 0
