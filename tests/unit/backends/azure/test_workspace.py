"""Which workspace is meant."""

import json

import pytest

from keras_azure.backends.azure.workspace import Workspace, find_workspace
from keras_azure.errors import ConfigError

OURS = Workspace("sub", "group", "space")
PATH = "/subscriptions/sub/resourceGroups/group/providers/Microsoft.MachineLearningServices/workspaces/space"


@pytest.fixture(autouse=True)
def _nothing_else_names_one(offline, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("place", ["config.json", ".azureml/config.json"])
def test_the_file_is_found_from_any_folder_below(tmp_path, place):
    OURS.save(tmp_path / place)
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find_workspace(start=deep) == find_workspace() == OURS


def test_the_nearest_file_counts(tmp_path):
    OURS.save(tmp_path / "config.json")
    nearer = Workspace("sub", "group", "nearer")
    nearer.save(tmp_path / "a" / ".azureml" / "config.json")
    assert find_workspace(start=tmp_path / "a") == nearer


def test_the_file_is_the_one_of_azures_own_tools(tmp_path):
    OURS.save(tmp_path / "config.json")
    assert json.loads((tmp_path / "config.json").read_text()) == {
        "subscription_id": "sub",
        "resource_group": "group",
        "workspace_name": "space",
    }


@pytest.mark.parametrize("content", ['{"api": 1}', "[1]", "no JSON", '{"model": "cnn"}'])
def test_other_tools_files_are_passed_over(tmp_path, content):
    OURS.save(tmp_path / "config.json")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "config.json").write_text(content)
    assert find_workspace(start=tmp_path / "project") == OURS


def test_a_file_with_a_scope_names_one(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"Scope": PATH}))
    assert find_workspace() == OURS


def test_the_environment_goes_before_the_file(tmp_path, monkeypatch):
    OURS.save(tmp_path / "config.json")
    monkeypatch.setenv("AZURE_DEFAULTS_WORKSPACE", "other")
    assert find_workspace() == Workspace("sub", "group", "other")


def test_the_environment_alone_is_enough(monkeypatch):
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", "s")
    monkeypatch.setenv("AZURE_DEFAULTS_GROUP", "g")
    monkeypatch.setenv("AZURE_DEFAULTS_WORKSPACE", "w")
    assert find_workspace() == Workspace("s", "g", "w")


def test_what_is_named_goes_before_all_else(tmp_path, monkeypatch):
    OURS.save(tmp_path / "elsewhere" / "mine.json")
    Workspace("x", "y", "z").save(tmp_path / "config.json")
    monkeypatch.setenv("AZURE_DEFAULTS_WORKSPACE", "other")
    for named in ("sub/group/space", PATH, "elsewhere/mine.json", str(tmp_path / "elsewhere" / "mine.json")):
        assert find_workspace(named) == OURS, named
    monkeypatch.setenv("KAZ_WORKSPACE", "sub/group/space")
    assert find_workspace() == OURS
    assert find_workspace("a/b/c") == Workspace("a", "b", "c")


def test_a_file_is_not_mistaken_for_names(tmp_path):
    OURS.save(tmp_path / "a" / "b" / "config.json")
    assert find_workspace("a/b/config.json") == OURS


def test_its_id_and_its_short_form_name_it_again():
    assert find_workspace(OURS.path) == find_workspace(str(OURS)) == OURS


def test_no_workspace_at_all_says_how_to_name_one():
    with pytest.raises(ConfigError, match="No Azure ML workspace is named") as refusal:
        find_workspace()
    assert "kaz init" in str(refusal.value)
    assert refusal.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"subscription_id": "s", "workspace_name": "w"}', "has no resource_group"),
        ('{"subscription_id": "s", "resource_group": 3, "workspace_name": ""}', "resource_group and no workspace_name"),
        ("{", "is not JSON"),
        ("[1]", "no JSON object"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_damaged_file_is_one_message(tmp_path, content, problem):
    (tmp_path / "mine.json").write_text(content)
    with pytest.raises(ConfigError, match=problem):
        find_workspace("mine.json")


@pytest.mark.parametrize("named", ["gone.json", "a/b", "a/b/c/d"])
def test_a_name_that_is_none(named):
    with pytest.raises(ConfigError, match="cannot be read") as refusal:
        find_workspace(named)
    assert "SUBSCRIPTION/GROUP/WORKSPACE" in str(refusal.value)
