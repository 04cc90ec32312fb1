"""Losses, metrics and an optimizer of somebody else go all the ways that Keras's own go.

Their package is built and installed as any is (tests/fixtures/kaz_orchard).
"""

import csv
import importlib
import json
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import keras_azure
from keras_azure.description.events import Observer
from keras_azure.description.folder import read_description
from keras_azure.errors import RunFailed, RunInterrupted
from keras_azure.models.saving import load_model, own_objects
from keras_azure.registry.registry import LOSSES, METRICS, OPTIMIZERS, Entry

REPOSITORY = Path(__file__).parents[3]
TINY = ("--set", "filters=(4,)", "--set", "dense=(8,)", "--no-tracking", "--epochs", "2")
CLASSES = ("--loss", "plum(gamma=2)", "--metric", "ripe(threshold=0.3)", "--optimizer", "rake(inertia=0.8)")
FUNCTIONS = ("--loss", "pear(power=1.5)", "--metric", "weight(scale=2)", "--optimizer", "spade(depth=3)")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder that the package is installed in, from its wheel."""
    folder = tmp_path_factory.mktemp("orchard")
    pip = [sys.executable, "-m", "pip"]
    source = shutil.copytree(REPOSITORY / "tests" / "fixtures" / "kaz_orchard", folder / "source")
    build = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run(build, check=True)
    [wheel] = folder.glob("kaz_orchard-1.0-*.whl")
    install = [*pip, "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder / "site"), str(wheel)]
    subprocess.run(install, check=True)
    return folder / "site"


@pytest.fixture(autouse=True, scope="module")
def orchard(site, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", str(site))
        patch.chdir(tmp_path_factory.mktemp("work"))
        importlib.invalidate_caches()
        yield
    sys.modules.pop("kaz_orchard", None)


@pytest.fixture(scope="module")
def runs(kaz_process, orchard, tmp_path_factory) -> dict[str, Path]:
    """The folders of runs in processes of their own."""
    folder = tmp_path_factory.mktemp("runs")
    for name, arguments in {"classes": CLASSES, "functions": FUNCTIONS}.items():
        command = [*kaz_process, "run", "cnn", *TINY, *arguments, "--output", str(folder / name)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture(params=["classes", "functions"])
def run(request, runs) -> Path:
    return runs[request.param]


def options(run: Path) -> dict[str, str]:
    described = json.loads((run / "run.json").read_text())
    return {"loss": described["loss"], "metric": described["metrics"][0], "optimizer": described["optimizer"]}


def flags(run: Path) -> list[str]:
    return [text for name, value in options(run).items() for text in (f"--{name}", value)]


def content(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_they_are_found_as_any_plugin_is(kaz):
    assert Entry("pear", "kaz-orchard", "kaz_orchard:pear") in LOSSES.entries()
    assert Entry("ripe", "kaz-orchard", "kaz_orchard:Ripe") in METRICS.entries()
    assert Entry("rake", "kaz-orchard", "kaz_orchard:Rake") in OPTIMIZERS.entries()
    code, out, _ = kaz("show", "plum")
    assert (code, out.splitlines()[0].partition("(")[0]) == (0, "loss plum")
    assert "Crossentropy, of which sure predictions count less." in out
    for name in ("pear", "plum", "ripe", "weight", "rake", "spade"):
        assert kaz("check", name)[0] == 0, kaz("check", name)


def test_not_a_line_of_ours_names_them():
    sources = [*(REPOSITORY / "keras_azure").rglob("*.py")]
    assert len(sources) > 100
    word = re.compile(r"(?i)orchard|\bpear\b|\bplum\b|\bripe\b|\brake\b|\bspade\b")
    assert [path for path in sources if word.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--loss", "plum(gama=2)"), "The loss 'plum' has no option 'gama'"),
        (("--loss", "plum(gamma=high)"), "'gamma' of the loss 'plum' cannot be 'high'"),
        (("--loss", "pear(y_true=1)"), "The loss 'pear' has no option 'y_true'"),
        (("--loss", "plun"), "There is no loss called 'plun'. Did you mean 'plum'?"),
        (("--loss", "pear", "--label-smoothing", "0.1"), "The loss 'pear' has no option 'label_smoothing'"),
        (("--metric", "weight(scales=2)"), "The metric 'weight' has no option 'scales'"),
        (("--optimizer", "spade(width=2)"), "The optimizer 'spade' has no option 'width'"),
    ],
)
def test_their_options_are_checked(kaz, arguments, problem):
    code, _, err = kaz("run", "cnn", *TINY, *arguments)
    assert code == 2
    assert problem in err


def test_the_history_and_the_results_have_their_names(run):
    metric = options(run)["metric"].partition("(")[0]
    with (run / "history.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert {metric, f"val_{metric}", "accuracy", "loss"} <= rows[0].keys()
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert json.loads((run / "metrics.json").read_text())["test_metrics"][metric] > 0


def test_the_model_is_loaded_as_it_was_compiled(run, kaz_process):
    """In a process that has not imported the package."""
    code = (
        "import json, sys, keras_azure\n"
        "assert 'kaz_orchard' not in sys.modules\n"
        "model = keras_azure.load(sys.argv[1]).model\n"
        "print(json.dumps([model.optimizer.built, model.get_compile_config()]))\n"
    )
    loaded_python = kaz_process[:-2]
    done = subprocess.run([*loaded_python, "-c", code, str(run)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    built, compiled = json.loads(done.stdout)
    parts = compiled["optimizer"], compiled["loss"], compiled["metrics"][-1]
    optimizer, loss, metric = (part["config"] for part in parts)
    assert built
    if "rake" in options(run)["optimizer"]:
        assert (optimizer["inertia"], loss["gamma"], metric["threshold"]) == (0.8, 2.0, 0.3)
    else:
        assert (loss["options"], metric["options"]) == ({"power": 1.5}, {"scale": 2.0})
        assert optimizer["learning_rate"] == pytest.approx(0.03)


def test_the_command_predicts(run, kaz_process, tmp_path):
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / "black.png")
    command = [*kaz_process, "predict", str(run), str(tmp_path / "black.png"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 1


def test_it_is_planned(run, kaz):
    code, out, err = kaz("plan", "cnn", "--backend", "local", *flags(run), *TINY[:4], "--json")
    assert code == 0, err
    assert json.loads(out)["memory"]["optimizer"] > (100 if "rake" in options(run)["optimizer"] else 0)


def test_the_same_again_from_its_description(run, kaz, tmp_path):
    code, _, err = kaz("run", "--config", str(run / "run.json"), "--output", str(tmp_path / "again"))
    assert code == 0, err
    assert content(tmp_path / "again" / "model.keras") == content(run / "model.keras")


class Stopper(Observer):
    def epoch_done(self, epoch, row):
        signal.raise_signal(signal.SIGINT)


def test_it_is_stopped_and_resumed(run, kaz, tmp_path):
    with pytest.raises(RunInterrupted):
        keras_azure.run(config=run / "run.json", output=tmp_path / "stopped", observer=Stopper())
    code, _, err = kaz("resume", str(tmp_path / "stopped"))
    assert code == 0, err
    assert content(tmp_path / "stopped" / "model.keras") == content(run / "model.keras")


def test_weights_are_taken_from_such_a_run(run, kaz, tmp_path):
    weights = f"weights='{run}'"
    code, _, err = kaz("run", "cnn", "--set", weights, *TINY, "--epochs", "1", "--output", str(tmp_path / "next"))
    assert code == 0, err


def test_without_the_package_it_still_predicts(run, kaz_process, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "")
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / "black.png")
    code = (
        "import sys, keras_azure\n"
        "predictor = keras_azure.load(sys.argv[1])\n"
        "assert not predictor.model.compiled\n"
        "print(predictor.predict([sys.argv[2]])[0].class_name)\n"
    )
    command = [*kaz_process[:-2], "-c", code, str(run), str(tmp_path / "black.png")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_a_file_alone_makes_nothing_be_imported(runs, tmp_path):
    """A model that names a stranger's class, without a description of a run that does."""
    file = shutil.copy(runs["classes"] / "model.keras", tmp_path / "model.keras")
    sys.modules.pop("kaz_orchard", None)
    with pytest.raises(RunFailed, match=r"unsafe or of a plugin that is not installed: it names kaz_orchard\.\w+"):
        load_model(Path(file))
    assert "kaz_orchard" not in sys.modules


def test_a_model_that_names_another_class_by_the_name_of_an_own_one_is_refused(runs, tmp_path):
    run = runs["classes"]
    own = own_objects(read_description(run))
    assert {*own} == {"Plum", "Ripe", "Rake"}
    assert isinstance(load_model(run / "model.keras", own).loss, own["Plum"])
    entries = content(run / "model.keras")
    named = b'"module": "%s", "class_name": "Plum"'
    config = entries["config.json"].replace(named % b"kaz_orchard", named % b"os")
    assert config != entries["config.json"]
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        for name, value in (entries | {"config.json": config}).items():
            archive.writestr(name, value)
    with pytest.raises(RunFailed, match=r"it names os\.Plum"):
        load_model(tmp_path / "other.keras", own)
    assert keras.saving.get_custom_objects().keys().isdisjoint(own)
