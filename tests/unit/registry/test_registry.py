import importlib
import inspect
import shutil
import sys
from importlib import metadata

import pytest

from keras_azure.errors import AmbiguousName, BrokenPlugin, SpecError, UnknownName, WrongOption
from keras_azure.registry.registry import (
    AUGMENTATIONS,
    BACKENDS,
    CALLBACKS,
    DATASETS,
    LOSSES,
    METRICS,
    MODELS,
    OPTIMIZERS,
    REGISTRIES,
    Entry,
    as_spec,
)
from keras_azure.registry.specs import Spec

NET = """
    def net(input_shape, num_classes, *, units: int = 8, rates: tuple[float, ...] = ()):
        if units < 1:
            raise ValueError("units must be 1 or more")
        if units == 13:
            raise KeyError("bad luck")
        return input_shape, num_classes, units, rates
"""


def test_the_groups_are_the_documented_ones():
    assert [registry.group for registry in REGISTRIES] == [
        *("keras_azure.models", "keras_azure.augmentations", "keras_azure.datasets", "keras_azure.backends"),
        *("keras_azure.callbacks", "keras_azure.losses", "keras_azure.metrics", "keras_azure.optimizers"),
    ]
    assert REGISTRIES == (MODELS, AUGMENTATIONS, DATASETS, BACKENDS, CALLBACKS, LOSSES, METRICS, OPTIMIZERS)


def test_first_party_plugins_are_entries_like_all_others():
    assert Entry("cnn", "keras-azure", "kaz_cnn:cnn") in MODELS.entries()
    assert {"digits", "idx", "folder", "tfds"} <= {entry.name for entry in DATASETS.entries()}
    assert {"local", "azure"} <= {entry.name for entry in BACKENDS.entries()}


def test_entries_are_sorted_and_import_nothing(install_plugin):
    install_plugin("kaz-broken", {"models": "zzz = kaz_broken:net\naaa = kaz_broken:net"}, "raise RuntimeError")
    entries = MODELS.entries()
    assert Entry("aaa", "kaz-broken", "kaz_broken:net") in entries
    assert entries == sorted(entries)
    assert "kaz_broken" not in sys.modules


def test_packages_are_looked_through_once_until_one_comes_or_goes(install_plugin, monkeypatch):
    looked, look = [], metadata.entry_points
    monkeypatch.setattr(metadata, "entry_points", lambda **options: looked.append(options) or look(**options))
    install_plugin("kaz-one", {"models": "one = kaz_one:net"})
    assert MODELS.has("one")
    found = len(looked)
    assert MODELS.has("one") and not MODELS.has("two")
    assert len(looked) == found
    site = install_plugin("kaz-two", {"models": "two = kaz_two:net"}).parent
    assert MODELS.has("two")
    shutil.rmtree(site / "kaz_two-1.2.3.dist-info")
    importlib.invalidate_caches()
    assert not MODELS.has("two")


def test_find_imports_nothing(install_plugin):
    install_plugin("kaz-net", {"models": "my-net = kaz_net:net"}, "raise RuntimeError")
    assert MODELS.find("my-net(units=3)") == Entry("my-net", "kaz-net", "kaz_net:net")
    assert MODELS.find(Spec("my-net")).origin == "kaz_net:net in the package kaz-net"
    assert "kaz_net" not in sys.modules


def test_an_unknown_name_names_the_nearest_one(install_plugin):
    install_plugin("kaz-net", {"models": "funnel = kaz_net:net"})
    with pytest.raises(UnknownName) as caught:
        MODELS.find("funel(units=3)")
    assert str(caught.value) == "There is no model called 'funel'. Did you mean 'funnel'?\nTry: kaz list models"
    with pytest.raises(UnknownName) as caught:
        DATASETS.find("qqq")
    assert "There is no data set called 'qqq'." in str(caught.value)
    assert "digits" in caught.value.expected
    assert caught.value.hint == "kaz list datasets"


def test_a_name_of_two_packages_is_listed_twice_and_refused(install_plugin):
    install_plugin("kaz-one", {"models": "twin = kaz_one:net"}, NET)
    install_plugin("kaz-two", {"models": "twin = kaz_two:net"}, NET)
    assert [entry.package for entry in MODELS.entries() if entry.name == "twin"] == ["kaz-one", "kaz-two"]
    for use in (MODELS.find, MODELS.load, MODELS.build):
        with pytest.raises(AmbiguousName, match="'twin' is claimed by kaz-one and kaz-two") as caught:
            use("twin")
        assert "pip uninstall kaz-two" in caught.value.hint


def test_the_same_name_in_another_registry_is_another_plugin(install_plugin):
    install_plugin("kaz-one", {"models": "twin = kaz_one:net", "datasets": "twin = kaz_one:data"}, NET)
    assert MODELS.find("twin").target == "kaz_one:net"
    assert DATASETS.find("twin").target == "kaz_one:data"


@pytest.mark.parametrize("text", ["", "two words", "net(1)", "../net"])
def test_what_is_no_spec_is_refused(text):
    with pytest.raises(SpecError):
        MODELS.find(text)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("raise RuntimeError('no luck')", RuntimeError),
        ("import a_module_that_is_not_there", ModuleNotFoundError),
        ("def net(:", SyntaxError),
        ("import sys\nsys.exit(3)", SystemExit),
        ("class Skipped(BaseException): pass\nraise Skipped", BaseException),
        ("other = 1", AttributeError),
    ],
)
def test_a_broken_import_is_chained(install_plugin, code, cause):
    install_plugin("kaz-broken", {"models": "broken = kaz_broken:net"}, code)
    with pytest.raises(BrokenPlugin) as caught:
        MODELS.load("broken")
    assert "kaz_broken:net in the package kaz-broken" in str(caught.value)
    assert type(caught.value.__cause__).__name__ in str(caught.value)
    assert isinstance(caught.value.__cause__, cause)
    assert caught.value.hint == "repair or remove the package: pip uninstall kaz-broken"


def test_ctrl_c_while_a_plugin_is_imported_is_not_its_fault(install_plugin):
    install_plugin("kaz-slow", {"models": "slow = kaz_slow:net"}, "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        MODELS.load("slow")


@pytest.mark.parametrize(
    "target", ["kaz_odd:", "kaz_odd", "kaz_odd:number", "kaz_odd:net.nothing", "not a target!", "9:x"]
)
def test_an_entry_point_that_names_no_callable_is_broken(install_plugin, target):
    install_plugin("kaz-odd", {"models": f"odd = {target}"}, "number = 3\ndef net(): ...")
    assert target in [entry.target for entry in MODELS.entries()]
    with pytest.raises(BrokenPlugin, match="kaz-odd"):
        MODELS.load("odd")


def test_a_callable_without_a_readable_signature_is_broken(install_plugin):
    install_plugin("kaz-odd", {"models": "odd = builtins:max"})
    with pytest.raises(BrokenPlugin, match="builtins:max in the package kaz-odd"):
        MODELS.build("odd", (8, 8, 1), 2)


def test_builds_with_converted_options(install_plugin):
    install_plugin("kaz-net", {"models": "net = kaz_net:net"}, NET)
    assert MODELS.build("net", (8, 8, 1), 2) == ((8, 8, 1), 2, 8, ())
    assert MODELS.build("net(units=3, rates=1)", (8, 8, 1), 2) == ((8, 8, 1), 2, 3, (1.0,))
    assert str(MODELS.signature("net(units=3)")) == str(inspect.signature(MODELS.load("net")))


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("net(unit=3)", "The model 'net' has no option 'unit'."),
        ("net(units=many)", "cannot be 'many': it is not int."),
        ("net(units=0)", "The model net(units=0) refuses its options: units must be 1 or more"),
        ("net(num_classes=3)", "The model 'net' has no option 'num_classes'."),
    ],
)
def test_a_wrong_option_prints_the_signature(install_plugin, spec, problem):
    install_plugin("kaz-net", {"models": "net = kaz_net:net"}, NET)
    with pytest.raises(WrongOption) as caught:
        MODELS.build(spec, (8, 8, 1), 2)
    assert caught.value.problem.endswith(problem)
    signature = "net(input_shape, num_classes, *, units: int = 8, rates: tuple[float, ...] = ())"
    assert f"Expected: {signature}" in str(caught.value)


def test_a_plugin_that_fails_otherwise_is_broken(install_plugin):
    install_plugin("kaz-net", {"models": "net = kaz_net:net"}, NET)
    with pytest.raises(BrokenPlugin, match=r"net\(units=13\) \(kaz_net:net in the package kaz-net\) failed: KeyError"):
        MODELS.build("net(units=13)", (8, 8, 1), 2)


def test_a_broken_package_leaves_the_others_alone(install_plugin):
    install_plugin("kaz-broken", {"models": "broken = kaz_broken:net"}, "raise RuntimeError")
    install_plugin("kaz-net", {"models": "net = kaz_net:net"}, NET)
    assert {"broken", "cnn", "net"} <= {entry.name for entry in MODELS.entries()}
    assert MODELS.build("net", (1, 1, 1), 1)


def test_damaged_metadata_of_a_package_is_passed_over(install_plugin):
    module = install_plugin("kaz-damaged", {"models": "damaged = kaz_damaged:net"})
    (module.parent / "kaz_damaged-1.2.3.dist-info" / "METADATA").unlink()
    (entry,) = [entry for entry in MODELS.entries() if entry.name == "damaged"]
    assert isinstance(entry.package, str)
    assert MODELS.entries() == sorted(MODELS.entries())


def test_a_spec_stays_a_spec():
    spec = Spec("cnn", {"a": 1})
    assert as_spec(spec) is spec
    assert as_spec("cnn(a=1)") == spec


FAMILY = """
    from keras_azure.errors import UnknownName

    def cloud(*, size: str = "small", nodes: int = 1):
        if size not in ("small", "very-large"):
            raise UnknownName.among("machine", size, ("small", "very-large"))
        return size, nodes

    def south():
        return "south"
"""


@pytest.fixture
def family(install_plugin):
    lines = "cloud = kaz_cloud:cloud [family]\ncloud-south = kaz_cloud:south\nempty = kaz_cloud:south [family, kaz-sky]"
    install_plugin("kaz-cloud", {"backends": lines}, FAMILY)


def test_one_entry_of_a_family_has_all_its_names(family):
    entry = BACKENDS.find("cloud-very-large")
    assert (entry.name, entry.is_family, entry.members_command) == ("cloud", True, "kaz show cloud")
    assert BACKENDS.find("empty").members_command == "kaz sky"
    assert not MODELS.find("cnn").is_family
    assert BACKENDS.has("cloud-any")
    assert not BACKENDS.has("clouds")
    assert not MODELS.has("cnn-large")
    assert "kaz_cloud" not in sys.modules
    assert [each.name for each in BACKENDS.entries() if each.package == "kaz-cloud"] == [
        "cloud",
        "cloud-south",
        "empty",
    ]


def test_a_name_of_a_family_is_its_first_option(family):
    assert BACKENDS.build("cloud-very-large(nodes=2)") == ("very-large", 2)
    assert BACKENDS.build("cloud") == ("small", 1)
    assert BACKENDS.build("cloud(size='very-large')") == ("very-large", 1)
    assert BACKENDS.as_called("cloud-very-large(nodes=2)") == Spec("cloud", {"size": "very-large", "nodes": 2})
    assert BACKENDS.as_called("cloud") == Spec("cloud")
    assert BACKENDS.options("cloud-small") == ["size", "nodes"]
    assert BACKENDS.check_options("cloud-small") == {"size": "small"}


def test_an_entry_of_the_name_itself_comes_before_a_family(family):
    assert BACKENDS.find("cloud-south").target == "kaz_cloud:south"
    assert BACKENDS.build("cloud-south") == "south"


def test_what_a_family_does_not_have_it_refuses_itself(family):
    with pytest.raises(UnknownName, match=r"no machine called 'very-larg'\. Did you mean 'very-large'"):
        BACKENDS.build("cloud-very-larg")
    with pytest.raises(WrongOption, match="has its 'size' in its name, and 'small' beside"):
        BACKENDS.build("cloud-very-large(size=small)")
    with pytest.raises(WrongOption, match="has no option 'spot'"):
        BACKENDS.build("cloud-small(spot=True)")
    with pytest.raises(BrokenPlugin, match="no option for what its names say"):
        BACKENDS.build("empty-one")


def test_two_families_of_one_name_are_refused(family, install_plugin):
    install_plugin("kaz-other", {"backends": "cloud = kaz_other:cloud [family]\ncloud-deep = kaz_other:cloud [family]"})
    with pytest.raises(AmbiguousName, match="'cloud-small' is claimed by kaz-cloud and kaz-other"):
        BACKENDS.find("cloud-small")
    assert BACKENDS.find("cloud-deep-one").name == "cloud-deep"
