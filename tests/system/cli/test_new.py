import itertools
import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import numpy as np
import pytest

from keras_azure.registry.registry import REGISTRIES


@pytest.fixture
def inside(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def files_of(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


KINDS = {
    "model": ("models", "my_thing"),
    "augmentation": ("augmentations", "MyThingAugmentation"),
    "dataset": ("datasets", "MyThingDataset"),
    "backend": ("backends", "MyThingBackend"),
    "callback": ("callbacks", "MyThingCallback"),
    "loss": ("losses", "my_thing"),
    "metric": ("metrics", "my_thing"),
    "optimizer": ("optimizers", "MyThingOptimizer"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_writes_a_whole_package(kaz, inside, kind):
    code, out, err = kaz("new", kind, "my-thing")
    assert (code, err) == (0, "")
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0] == f"Wrote the {kind.replace('dataset', 'data set')} my-thing to my-thing. Next:"
    assert lines[1:3] == ["pip install -e my-thing", "pytest my-thing"]
    assert lines[3].startswith("kaz ")
    assert files_of(inside) == [
        *("my-thing/README.md", "my-thing/pyproject.toml"),
        *("my-thing/src/my_thing.py", "my-thing/tests/test_my_thing.py"),
    ]
    project = tomllib.loads((inside / "my-thing/pyproject.toml").read_text())["project"]
    assert project["name"] == "my-thing"
    assert project["dependencies"] == ["keras-azure"]
    group, target = KINDS[kind]
    assert project["entry-points"] == {f"keras_azure.{group}": {"my-thing": f"my_thing:{target}"}}
    assert "$" not in "".join(path.read_text() for path in inside.rglob("*.*") if path.is_file())


def test_every_kind_can_be_written(kaz):
    _, out, _ = kaz("new", "--help")
    assert all(f" {kind} " in out for kind in KINDS)
    assert {f"keras_azure.{group}" for group, _ in KINDS.values()} == {registry.group for registry in REGISTRIES}


def test_a_class_is_not_called_after_its_kind_twice(kaz, inside):
    kaz("new", "dataset", "csv_dataset")
    assert "class CsvDataset:" in (inside / "csv_dataset/src/csv_dataset.py").read_text()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A package of each kind, called my-KIND, built and installed; gives the folder and the environment for it."""
    folder = tmp_path_factory.mktemp("written")
    kaz = [sys.executable, "-m", "keras_azure"]
    packages = [folder / f"my-{kind}" for kind in KINDS]
    for kind, package in zip(KINDS, packages, strict=True):
        subprocess.run([*kaz, "new", kind, package.name], cwd=folder, check=True, capture_output=True)
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(folder / "site"), *map(str, packages)], check=True)
    paths = os.pathsep.join(filter(None, [str(folder / "site"), os.environ.get("PYTHONPATH")]))
    return folder, {**os.environ, "PYTHONPATH": paths}


@pytest.mark.slow
def test_the_new_packages_pass_their_own_tests(installed):
    folder, environment = installed
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    packages = [str(folder / f"my-{kind}") for kind in KINDS]
    tested = subprocess.run([*command, *packages], capture_output=True, text=True, env=environment, cwd=folder)
    assert tested.returncode == 0, tested.stdout
    assert re.search(r"^\d+ passed(, \d+ warnings)? in ", tested.stdout, re.MULTILINE)  # and none skipped


@pytest.mark.slow
def test_the_new_packages_work_in_a_run_together(installed):
    folder, environment = installed
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    images = (rng.integers(0, 60, (60, 8, 8)) + 60 * labels[:, None, None]).astype(np.uint8)
    file = folder / "images.csv"
    table = np.column_stack([labels, images.reshape(60, -1)])
    np.savetxt(file, table, fmt="%d", delimiter=",", header="label and pixels", comments="")
    settings = {"--data": str(file), "--epochs": "2", "--batch-size": "8", "--output": str(folder / "run")}
    settings |= {f"--{kind}": f"my-{kind}" for kind in ("loss", "metric", "optimizer")}
    settings["--augment"] = "my-augmentation(density=0.2)"
    command = [sys.executable, "-m", "keras_azure", "run", "my-model(units=16)", "--no-tracking", "--json"]
    trained = subprocess.run(
        [*command, *itertools.chain(*settings.items())], capture_output=True, text=True, env=environment, cwd=folder
    )
    assert trained.returncode == 0, trained.stderr
    result = json.loads(trained.stdout)
    assert 0 <= result["test_metrics"]["my-metric"] <= 2
    description = json.loads((folder / "run" / "run.json").read_text())
    assert description["data"].startswith("my-dataset(")


def test_the_output_option_is_the_folder_itself(kaz, inside):
    code, out, _ = kaz("new", "model", "my-net", "--output", "deep er/package")
    assert code == 0
    assert "pip install -e 'deep er/package'" in out
    assert (inside / "deep er/package/src/my_net.py").is_file()


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), lambda path: path.touch(), lambda path: path.symlink_to("x")]
)
def test_overwrites_nothing(kaz, inside, make):
    make(inside / "my-net")
    code, out, err = kaz("new", "model", "my-net")
    assert (code, out) == (2, "")
    assert err.startswith("Error: my-net exists already.\nTry: kaz new model my-net --output")
    assert files_of(inside) in ([], ["my-net"])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "cannot be the name"),
        ("two words", "cannot be the name"),
        ("../up", "cannot be the name"),
        ("net.py", "cannot be the name"),
        ("9net", "cannot be the name"),
        ("net-", "cannot be the name"),
        ("_net", "cannot be the name"),
        ("größe", "cannot be the name"),
        ("net\n", "cannot be the name"),
        ("class", "Python itself uses it"),
        ("None", "Python itself uses it"),
        ("int", "Python itself uses it"),
        ("json", "Python itself uses it"),
        ("keras", "an installed package has it"),
        ("keras-azure", "an installed package has it"),
        ("scikit-learn", "an installed package has it"),
        ("cnn", "There is a model 'cnn' already, in the package keras-azure."),
    ],
)
def test_refuses_a_name_that_would_not_work(kaz, inside, name, reason):
    code, out, err = kaz("new", "model", name, "--output", "folder")
    assert (code, out) == (2, "")
    assert reason in err
    assert files_of(inside) == []


def test_refuses_a_name_that_keras_has(kaz, inside):
    code, _, err = kaz("new", "optimizer", "adam")
    assert code == 2
    assert "There is an optimizer 'adam' already, in the package keras." in err


def test_nothing_half_written_stays(kaz, inside, monkeypatch):
    write, written = Path.write_text, []

    def fill_the_disk(path, *arguments, **options):
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(path)
        return write(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", fill_the_disk)
    code, _, err = kaz("new", "model", "my-net")
    assert code == 2
    assert "my-net cannot be written: No space left on device." in err
    assert [*inside.iterdir()] == []


def test_a_place_that_is_a_file(kaz, inside):
    (inside / "file").touch()
    code, _, err = kaz("new", "model", "my-net", "--output", "file/inside")
    assert code == 2
    assert "file/inside cannot be written: " in err


@pytest.mark.slow
def test_the_new_package_installs_and_trains(kaz, inside):
    """As the printed lines say, in a virtual environment that sees the packages of this one."""
    kaz("new", "model", "my-net")
    environment = inside / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    (site,) = (environment / "lib").glob("python*/site-packages")
    (site / "outer.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "-e", "my-net"], check=True)
    subprocess.run([python, "-m", "pytest", "-q", "my-net"], check=True)
    command = [
        python,
        "-m",
        "keras_azure",
        "run",
        "my-net(units=16)",
        "--epochs",
        "1",
        "--no-tracking",
        "--output",
        "run",
    ]
    subprocess.run(command, check=True)
    assert (inside / "run" / "model.keras").is_file()
