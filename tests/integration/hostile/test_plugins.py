"""Installed packages whose metadata are damaged or made to do harm."""

import importlib
import json
import sys

import pytest
from hypothesis import strategies as st

from keras_azure.errors import BrokenPlugin
from keras_azure.registry.registry import MODELS, REGISTRIES, damaged_packages

HARMFUL = """
    from pathlib import Path
    Path(__file__).with_name("imported").touch()

    def net(input_shape, num_classes):
        raise RuntimeError("built")
"""
TARGETS = [
    *(
        "os:system",
        "os",
        "os:environ",
        "os:path.join",
        "x",
        "a:b:c",
        "",
        ":",
        "a:",
        ":b",
        "a b",
        "kaz_odd:none",
        "..:x",
    ),
    *("é:ü", "\x1b[31m:red", "json:loads[extra]", "builtins:exec", "builtins:None", "kaz_odd:net.__code__", "sys:exit"),
]


@pytest.fixture
def package(install_plugin, tmp_path):
    """`package(entry_points, metadata)` replaces the metadata of an installed package, as bytes."""
    module = install_plugin("kaz-odd", {"models": "odd = kaz_odd:net"}, HARMFUL)
    folder = module.with_name("kaz_odd-1.2.3.dist-info")
    usual = (folder / "METADATA").read_bytes()

    def replace(entry_points: bytes, metadata: bytes | None = None) -> None:
        (folder / "entry_points.txt").write_bytes(entry_points)
        (folder / "METADATA").write_bytes(usual if metadata is None else metadata)
        importlib.invalidate_caches()

    yield replace
    assert not module.with_name("imported").exists()
    assert "kaz_odd" not in sys.modules


@pytest.fixture
def listings(texts, changed):
    """Entry points and metadata of a package: nearly right, or anything."""
    name = st.one_of(st.sampled_from(["odd", "cnn", "my net", "a/b", "--help", "[x]"]), texts)
    target = st.one_of(st.sampled_from(TARGETS), texts)
    line = st.one_of(st.builds("{} = {}".format, name, target), texts)
    group = st.one_of(st.sampled_from([registry.group for registry in REGISTRIES]), texts)
    section = st.builds("[{}]\n{}\n".format, group, st.lists(line, max_size=4).map("\n".join))
    text = st.lists(section, max_size=3).map(lambda parts: "".join(parts).encode("utf-8", "surrogatepass"))
    usual = b"Metadata-Version: 2.1\nName: kaz-odd\nVersion: 1.2.3\n"
    named = texts.map(lambda name: f"Metadata-Version: 2.1\nName: {name}\n".encode("utf-8", "surrogatepass"))
    return st.tuples(
        st.one_of(text, changed([b"[keras_azure.models]\nodd = kaz_odd:net\n"])), st.one_of(named, changed([usual]))
    )


@pytest.fixture
def nothing_else_installed(package, install_plugin, tmp_path, monkeypatch):
    """But this package and a good one: all others take long to read, again and again."""
    install_plugin("kaz-good", {"models": "good = kaz_good:net"})
    importlib.import_module("keras_azure.cli")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])


def test_listing_with_damaged_metadata(throw, package, listings, nothing_else_installed):
    def parse(both):
        package(*both)
        for registry in REGISTRIES:
            for entry in registry.entries():
                assert all(isinstance(text, str) for text in (entry.name, entry.package, entry.target))
        assert all(isinstance(name, str) for name in damaged_packages())
        assert MODELS.find("good").target == "kaz_good:net"
        MODELS.find("odd")

    throw(listings, parse)


def test_the_commands_with_damaged_metadata(throw, package, listings, kaz, nothing_else_installed):
    def parse(both):
        package(*both)
        for command in (["list"], ["list", "--json"], ["list", "models"]):
            code, out, err = kaz(*command)
            assert code == 0
            assert all(character.isprintable() or character == "\n" for character in out + err)
            assert "kaz_good:net" in out
        MODELS.find("odd")

    throw(listings, parse, share=0.25)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_that_is_no_plugin_is_refused(package, kaz, target):
    package(f"[keras_azure.models]\nodd = {target}\n".encode())
    code, out, _ = kaz("list", "models", "--json")
    assert code == 0
    assert "odd" in {row["name"] for row in json.loads(out)}


@pytest.mark.parametrize("target", [*TARGETS, "json:loads"])
def test_showing_what_is_no_plugin_gives_one_message(install_plugin, kaz, target):
    install_plugin("kaz-odd", {"models": f"odd = {target}"}, "none = None\ndef net(): pass")
    code, _, err = kaz("show", "odd")
    assert code in (1, 2)
    assert "Error: The model " in err
    assert "odd" in err
    assert "Traceback" not in err
    assert "Unexpected" not in err


@pytest.mark.parametrize("target", ["os:system", "sys:exit", "json:loads", "x", ""])
def test_running_what_is_no_plugin_gives_one_message(install_plugin, kaz, target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    install_plugin("kaz-odd", {"models": f"odd = {target}", "datasets": f"data = {target}"})
    for command in (["run", "odd"], ["run", "cnn", "--data", "data"]):
        code, _, err = kaz(*command, "--no-tracking", "--output", "run")
        assert code in (1, 2)
        assert "Error: The " in err
        assert "Traceback" not in err
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("target", ["", "a:b:c", "x", ":", "a b", "\x1b[31m:red"])
def test_a_target_that_cannot_be_loaded_is_told(package, target):
    package(f"[keras_azure.models]\nodd = {target}\n".encode())
    with pytest.raises(BrokenPlugin, match=r"(?s)kaz-odd has the entry point .*Expected: module:function"):
        MODELS.load("odd")


def test_a_damaged_package_is_named_and_the_others_work(package, kaz):
    package(b"[keras_azure.models]\nthis is no entry point\n")
    code, out, err = kaz("list", "models")
    assert (code, err) == (0, "The package kaz-odd is left out: its entry points cannot be read.\n")
    assert "kaz_cnn:cnn" in out


def test_what_is_no_name_is_marked(package, kaz):
    package(b"[keras_azure.models]\nmy net = kaz_odd:net\n")
    _, out, _ = kaz("list", "models")
    assert ["my", "net", "kaz-odd", "kaz_odd:net", "(cannot", "be", "used:", "no", "name)"] in map(
        str.split, out.splitlines()
    )
    code, _, err = kaz("show", "my net")
    assert code == 2
    assert err.startswith("Error: 'my net' is not a name with options.")
