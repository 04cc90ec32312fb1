"""Which workspace is meant."""

import json
import os

import pytest

from keras_azure.backends.azure.workspace import VARIABLES, Workspace, find_workspace
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


@pytest.mark.parametrize("content", ['{"api": 1}', "[1]", '{"model": "cnn"}'])
def test_other_tools_files_are_passed_over(tmp_path, content):
    OURS.save(tmp_path / "config.json")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "config.json").write_text(content)
    assert find_workspace(start=tmp_path / "project") == OURS


@pytest.fixture
def nearest(tmp_path):
    """The path of a config.json that is to be nearer than a sound one, of another workspace, above it."""
    OURS.save(tmp_path / "config.json")
    (tmp_path / "project").mkdir()
    return tmp_path / "project" / "config.json"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_the_nearest_file_counts_in_any_encoding_that_json_has(nearest, encoding):
    nearest.write_text(json.dumps(vars(Workspace("sub", "Gruppe ü", "near")), ensure_ascii=False), encoding=encoding)
    assert find_workspace(start=nearest.parent) == Workspace("sub", "Gruppe ü", "near")


def refusal_of(nearest):
    with pytest.raises(ConfigError) as refusal:
        find_workspace(start=nearest.parent)
    assert f"The workspace file {nearest} cannot be read" in str(refusal.value)
    assert "--workspace" in refusal.value.hint
    return str(refusal.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no JSON",
        b'{"subscription_id": "s", // ours\n "resource_group": "g", "workspace_name": "w"}',
        b'{"subscription_id": "s", "resource_group": "g", "workspace_name": "w",}',
        b'{"subscription_id": "s", "resource_group": "g", "workspace_name": "w\xff"}',
        '{"subscription_id": "s"}'.encode("utf-16")[:-1],
    ],
    ids=["empty", "text", "comment", "trailing comma", "Latin-1", "half a character"],
)
@pytest.mark.parametrize("place", ["config.json", ".azureml/config.json"])
def test_a_nearest_file_that_is_no_json_is_never_passed_over(nearest, content, place):
    path = nearest.parent / place
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read: it is not JSON") as refusal:
        find_workspace(start=nearest.parent)
    assert str(path) in str(refusal.value)


def test_a_folder_of_that_name_is_never_passed_over(nearest):
    nearest.mkdir()
    assert "it is no file" in refusal_of(nearest)


def test_a_pipe_of_that_name_is_not_waited_for(nearest):
    os.mkfifo(nearest)
    assert "it is no file" in refusal_of(nearest)


def test_a_link_to_nothing_is_never_passed_over(nearest):
    nearest.symlink_to(nearest.parent / "gone.json")
    assert "No such file" in refusal_of(nearest)


@pytest.mark.parametrize("closed", ["the file", "its folder"])
def test_a_file_without_rights_is_never_passed_over(nearest, closed):
    Workspace("sub", "group", "near").save(nearest.parent / ".azureml" / "config.json")
    path = nearest.parent / ".azureml" / "config.json"
    (path if closed == "the file" else path.parent).chmod(0)
    try:
        said = _as_nobody(nearest.parent)
    finally:
        path.parent.chmod(0o755)
    assert f"The workspace file {path} cannot be read: Permission denied." in said


def _as_nobody(start):
    """What a child says of the workspace that has no rights of root, whoever runs the tests."""
    closed = [folder for folder in (start, *start.parents) if folder.stat().st_mode & 0o111 != 0o111]
    if os.geteuid() == 0:
        for folder in closed:
            folder.chmod(folder.stat().st_mode | 0o111)
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            said = str(find_workspace(start=start))
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(send, said.encode())
        os._exit(0)
    os.close(send)
    with os.fdopen(receive, encoding="utf-8") as said:
        text = said.read()
    os.waitpid(child, 0)
    return text


def test_the_environment_needs_no_file_to_be_read(nearest, monkeypatch):
    nearest.write_text("no JSON")
    monkeypatch.chdir(nearest.parent)
    assert find_workspace("s/g/w") == Workspace("s", "g", "w")
    for name, value in zip(VARIABLES.values(), "sgw", strict=True):
        monkeypatch.setenv(name, value)
    assert find_workspace() == Workspace("s", "g", "w")


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
