"""The packages of a job: which travel as wheels, and which come from the index."""

import json
import os
import subprocess
import sys
import zipfile
from importlib import metadata

import pytest

from keras_azure.backends.azure.wheels import make_wheel, packages_of
from keras_azure.errors import UsageError
from keras_azure.registry.specs import Spec

CNN = ("model", Spec("cnn"))


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a package there as pip does: `install("their-models", url="file:///x", requires=["six"])`."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def make(name, *, url=None, editable=False, requires=(), version="1.0", tags=("py3-none-any",), record=True):
        module = name.replace("-", "_")
        (site / f"{module}.py").write_text("VALUE = 7\n")
        (site / "__pycache__").mkdir(exist_ok=True)
        (site / "__pycache__" / f"{module}.cpython-311.pyc").write_bytes(b"x")
        information = site / f"{module}-{version}.dist-info"
        information.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {text}" for text in requires]
        (information / "METADATA").write_text("\n".join(lines) + "\n")
        tag_lines = "".join(f"Tag: {tag}\n" for tag in tags)
        (information / "WHEEL").write_text(f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\n{tag_lines}")
        (information / "INSTALLER").write_text("pip\n")
        (information / "entry_points.txt").write_text(f"[keras_azure.models]\n{module}_net = {module}:net\n")
        if url:
            facts = {"url": url, "dir_info": {"editable": True} if editable else {}}
            (information / "direct_url.json").write_text(json.dumps(facts))
        if record:
            files = [f"{module}.py", f"__pycache__/{module}.cpython-311.pyc", f"../../bin/{name}"]
            files += [f"{information.name}/{path.name}" for path in information.iterdir()]
            (information / "RECORD").write_text(
                "".join(f"{file},,\n" for file in [*files, f"{information.name}/RECORD"])
            )
        return metadata.distribution(name)

    return make


def installed(wheel, target):
    """What pip makes of a wheel, without a network."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    done = subprocess.run([*command, str(wheel)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def shipped(packages):
    return [package.metadata["Name"] for package in packages.shipped]


def test_a_package_as_it_is_installed_can_be_installed_again(install, tmp_path):
    wheel = make_wheel(install("their-models", url="file:///gone"), tmp_path)
    assert wheel.name == "their_models-1.0-py3-none-any.whl"
    target = installed(wheel, tmp_path / "target")
    code = "import their_models; print(their_models.__file__, their_models.VALUE)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(target)}
    )
    assert done.stdout.split() == [str(target / "their_models.py"), "7"]
    assert (target / "their_models-1.0.dist-info" / "entry_points.txt").is_file()


def test_a_package_is_known_in_the_folder_of_its_sources_too(install, tmp_path, monkeypatch):
    """Where a build has left a description that says nothing of where the package comes from."""
    install("their-models", url=tmp_path.as_uri(), editable=True)
    information = tmp_path / "sources" / "their_models.egg-info"
    information.mkdir(parents=True)
    (information / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: their-models\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[keras_azure.models]\ntheir_models_net = their_models:net\n")
    monkeypatch.syspath_prepend(tmp_path / "sources")
    assert "their-models" in shipped(packages_of([("model", Spec("their_models_net"))]))


def test_a_wheel_holds_the_package_and_nothing_of_this_machine(install, tmp_path):
    wheel = make_wheel(install("their-models", url=f"file://{tmp_path}/secret-place"), tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        assert sorted(archive.namelist()) == [
            *(f"their_models-1.0.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")),
            "their_models.py",
        ]
    assert b"secret-place" not in wheel.read_bytes()


def test_the_same_package_gives_the_same_bytes(install, tmp_path):
    package = install("their-models", url="file:///gone")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = make_wheel(package, tmp_path / "a").read_bytes()
    os.utime(package.locate_file("their_models.py"), (10**9, 10**9))
    assert make_wheel(package, tmp_path / "b").read_bytes() == first


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        (("py2-none-any", "py3-none-any"), "py2.py3-none-any"),
        (
            ("cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-linux_x86_64"),
            "cp311-cp311-manylinux_2_17_x86_64.linux_x86_64",
        ),
        ((), "py3-none-any"),
    ],
)
def test_all_tags_are_in_a_wheels_name(install, tmp_path, tags, name):
    assert make_wheel(install("many", url="file:///gone", tags=tags), tmp_path).name == f"many-1.0-{name}.whl"


def test_a_universal_wheel_installs(install, tmp_path):
    wheel = make_wheel(install("old", url="file:///gone", tags=("py2-none-any", "py3-none-any")), tmp_path)
    assert (installed(wheel, tmp_path / "target") / "old.py").is_file()


def test_a_package_without_a_list_of_its_files_says_how_to_get_one(install, tmp_path):
    with pytest.raises(UsageError, match="without a list of its files") as refusal:
        make_wheel(install("their-models", url="file:///their/place", record=False), tmp_path)
    assert "pip install --force-reinstall --no-deps /their/place" in str(refusal.value)


def test_a_package_that_is_installed_in_place_is_built_and_its_folder_stays_as_it_was(install, tmp_path):
    source = tmp_path / "their models"
    (source / "their_models" / "build").mkdir(parents=True)
    (source / "build").mkdir()
    (source / "build" / "old.py").write_text("")
    (source / ".env").write_text("PASSWORD=1")
    (source / "venv").mkdir()
    (source / "venv" / "pyvenv.cfg").write_text("")
    for name in ("their_models/__init__.py", "their_models/build/__init__.py"):
        (source / name).write_text("")
    (source / "setup.cfg").write_text(
        "[metadata]\nname = their-models\nversion = 1.0\n[options]\npackages = their_models, their_models.build\n"
    )
    (source / "setup.py").write_text("from setuptools import setup\nsetup()\n")
    before = sorted(source.rglob("*"))
    package = install("their-models", url=source.as_uri(), editable=True)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    wheel = make_wheel(package, tmp_path / "a")
    assert sorted(source.rglob("*")) == before
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if "dist-info" not in name]
    assert sorted(names) == ["their_models/__init__.py", "their_models/build/__init__.py"]
    assert make_wheel(package, tmp_path / "b").read_bytes() == wheel.read_bytes()


def test_a_package_that_cannot_be_built_is_one_message(install, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    source = tmp_path / "broken"
    source.mkdir()
    (source / "setup.py").write_text("raise SystemExit('no compiler')\n")
    with pytest.raises(UsageError, match=r"their-models in .*broken cannot be built") as refusal:
        make_wheel(install("their-models", url=source.as_uri(), editable=True), tmp_path)
    assert "pip wheel --no-deps" in str(refusal.value)


def test_a_plugin_from_a_folder_travels_and_one_from_the_index_is_pinned(install):
    install("mine", url="file:///home/me/mine")
    install("theirs", version="2.0+cpu")
    packages = packages_of([("model", Spec("mine_net")), ("model", Spec("theirs_net"))])
    assert "mine" in shipped(packages)
    assert "theirs==2.0" in packages.pinned
    assert not any(text.startswith("mine") for text in packages.pinned)


def test_of_a_package_that_travels_all_that_it_needs_is_there(install):
    install("also-mine", url="git+https://example.org/x", requires=["six>=1"])
    install("mine", url="file:///x", requires=["Also_Mine", "unheard-of (>=3)", 'pywin32; sys_platform == "win32"'])
    packages = packages_of([("model", Spec("mine_net"))])
    assert {"mine", "also-mine"} <= set(shipped(packages))
    assert f"six=={metadata.version('six')}" in packages.pinned
    assert "unheard-of>=3" in packages.pinned
    assert not any("pywin32" in text for text in packages.pinned)


def test_extras_are_asked_for_too(install):
    install("far", version="3.1")
    install("near", url="file:///y", requires=['deep; extra == "more"', "far"])
    install("mine", url="file:///x", requires=["far[gpu]", "near[more]"])
    packages = packages_of([("model", Spec("mine_net"))])
    assert "far[gpu]==3.1" in packages.pinned
    assert "deep" in packages.pinned
    assert "far==3.1" not in packages.pinned


def test_packages_that_need_each_other_come_to_an_end(install):
    install("one", url="file:///x", requires=["two"])
    install("two", url="file:///y", requires=["one"])
    assert {"one", "two"} <= set(shipped(packages_of([("model", Spec("one_net"))])))


def test_keras_azure_and_tracking_are_always_there():
    packages = packages_of([CNN])
    names = [text.partition("==")[0].lower() for text in packages.pinned] + shipped(packages)
    assert {"keras-azure", "tensorflow[and-cuda]", "keras", "mlflow", "azureml-mlflow"} <= set(names)
    assert all("==" in text for text in packages.pinned)
    assert not any("pytest" in text or "azure-ai-ml" in text for text in packages.pinned)


def test_jax_brings_its_own_cuda_libraries():
    pinned = packages_of([CNN], "jax").pinned
    names = {text.partition("==")[0].lower() for text in pinned}
    assert {"jax[cuda12]", "tensorflow"} <= names


def test_markers_are_those_of_a_node_and_not_of_this_machine(install, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    install("mine", url="file:///x", requires=['on-linux; sys_platform == "linux"', 'on-mac; sys_platform == "darwin"'])
    pinned = packages_of([("model", Spec("mine_net"))]).pinned
    assert "on-linux" in pinned
    assert "on-mac" not in pinned


def test_what_is_needed_besides_is_pinned_as_it_is_installed_here(install):
    install("slides", version="3.1")
    pinned = packages_of([CNN], requirements=["keras-azure[heic]", "slides>=2", "not-here[fast]>=4"]).pinned
    assert f"pillow_heif=={metadata.version('pillow_heif')}" in pinned
    assert {"slides==3.1", "not-here[fast]>=4"} <= {*pinned}
    assert any(text.startswith("tensorflow[and-cuda]==") for text in pinned)
    assert not any("heif" in text for text in packages_of([CNN]).pinned)


@pytest.mark.parametrize("spelled", ["My__Pkg", "my.-_pkg", "MY-PKG"])
def test_names_are_compared_as_pip_compares_them(install, spelled):
    """A run of hyphens, underscores and dots is one hyphen (PEP 503): no package is pinned or shipped twice."""
    install("my-pkg", version="3.1")
    install("my-other", url="file:///y")
    install("mine", url="file:///x", requires=[spelled, "my-pkg", "My__Other", "my.other"])
    packages = packages_of([("model", Spec("mine_net"))])
    assert [text for text in packages.pinned if "pkg" in text.lower()] == ["my-pkg==3.1"]
    assert shipped(packages).count("my-other") == 1
