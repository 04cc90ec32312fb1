import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest


@pytest.fixture
def inside(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def files_of(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_writes_a_whole_package(kaz, inside):
    code, out, err = kaz("new", "model", "my-net")
    assert (code, err) == (0, "")
    assert [line.strip() for line in out.splitlines()[1:]] == [
        "pip install -e my-net",
        "pytest my-net",
        "kaz run my-net",
    ]
    assert files_of(inside) == [
        *("my-net/README.md", "my-net/pyproject.toml", "my-net/src/my_net.py", "my-net/tests/test_my_net.py")
    ]
    project = tomllib.loads((inside / "my-net/pyproject.toml").read_text())["project"]
    assert project["name"] == "my-net"
    assert project["dependencies"] == ["keras-azure"]
    assert project["entry-points"] == {"keras_azure.models": {"my-net": "my_net:my_net"}}


def test_the_new_model_passes_its_own_test(kaz, inside, install_plugin):
    kaz("new", "model", "my-net")
    install_plugin("my-net", {"models": "my-net = my_net:my_net"}, (inside / "my-net/src/my_net.py").read_text())
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "my-net"]
    tested = subprocess.run(command, capture_output=True, text=True)
    assert tested.returncode == 0, tested.stdout
    assert "2 passed" in tested.stdout


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
