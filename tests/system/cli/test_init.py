import io
import json
import sys

import pytest

VARIABLES = ("AZURE_SUBSCRIPTION_ID", "AZURE_DEFAULTS_GROUP", "AZURE_DEFAULTS_WORKSPACE")
FLAGS = ("--subscription", "s-1", "--group", "g", "--name", "w")
CONTENT = {"subscription_id": "s-1", "resource_group": "g", "workspace_name": "w"}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return tmp_path


@pytest.fixture
def nothing_is_named(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("nothing_is_named")
class TestWithoutAzure:
    def test_the_file_is_written(self, kaz, folder):
        code, out, err = kaz("init", "--no-check", *FLAGS)
        assert (code, out) == (0, "config.json\n")
        assert json.loads((folder / "config.json").read_text()) == CONTENT
        assert '"workspace_name": "w"' in err
        assert err.endswith("Next: kaz doctor\n")

    def test_into_another_folder(self, kaz, folder):
        assert kaz("init", "--no-check", "--output", "deep/er", *FLAGS)[0] == 0
        assert json.loads((folder / "deep" / "er" / "config.json").read_text()) == CONTENT

    def test_nothing_is_overwritten_unasked(self, kaz, folder):
        (folder / "config.json").write_text("mine")
        code, out, err = kaz("init", "--no-check", *FLAGS)
        assert (code, out) == (2, "")
        assert "not overwritten" in err
        assert "kaz init --force" in err
        assert (folder / "config.json").read_text() == "mine"
        assert kaz("init", "--no-check", "--force", *FLAGS)[0] == 0
        assert json.loads((folder / "config.json").read_text()) == CONTENT

    def test_without_a_terminal_and_without_flags(self, kaz, folder):
        code, out, err = kaz("init", "--group", "g")
        assert (code, out) == (2, "")
        assert "Nobody can be asked for --subscription and --name." in err
        assert "kaz init --subscription ID --group NAME --name NAME" in err
        assert not list(folder.iterdir())

    def test_a_person_is_asked(self, kaz, folder, monkeypatch):
        monkeypatch.setattr(sys, "stdin", Terminal("s-1\nw\n"))
        code, out, err = kaz("init", "--no-check", "--group", "g")
        assert (code, out) == (0, "config.json\n")
        assert "The subscription's id: " in err
        assert "The resource group" not in err
        assert json.loads((folder / "config.json").read_text()) == CONTENT

    def test_a_value_that_cannot_be_one(self, kaz, folder):
        code, _, err = kaz("init", "--no-check", "--subscription", "/subscriptions/s", "--group", "g", "--name", "w")
        assert code == 2
        assert "'/subscriptions/s' cannot be a subscription id." in err
        assert not list(folder.iterdir())

    def test_a_folder_that_cannot_be_made(self, kaz, folder):
        (folder / "file").write_text("")
        code, _, err = kaz("init", "--no-check", "--output", "file", *FLAGS)
        assert code == 2
        assert "cannot be written" in err


@pytest.mark.slow
class TestWithAzure:
    def test_the_workspace_is_looked_up(self, kaz, folder, azure_emulator):
        code, out, err = kaz("init")  # the emulator's variables name it
        assert (code, out) == (0, "config.json\n")
        assert "The workspace is there, in westus2." in err
        assert json.loads((folder / "config.json").read_text()) == azure_emulator.config

    def test_a_workspace_that_is_not_there(self, kaz, folder, azure_emulator):
        code, out, err = kaz("init", "--name", "elsewhere")
        assert (code, out) == (1, "")
        assert "Nothing was written." in err
        assert "kaz init --no-check" in err
        assert not list(folder.iterdir())

    def test_without_a_login(self, kaz, folder, azure_emulator, monkeypatch):
        monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong")
        code, out, err = kaz("init", "--name", "elsewhere")
        assert (code, out) == (0, "config.json\n")
        assert "Not checked: " in err
        assert (folder / "config.json").exists()
