import io
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from keras_azure.data.store import entries, open_stored
from keras_azure.description.events import Observer


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KAZ_CACHE", str(tmp_path))
    monkeypatch.setenv("KAZ_CACHE_GB", "0.5")
    return tmp_path


@pytest.fixture
def two_entries():
    for name in "ab":
        dataset = SimpleNamespace(
            fingerprint=lambda split, observer, name=name: name,
            split_sizes={"train": 10},
            image_shape=(10, 10, 3),
            description=f"pictures {name}",
        )
        open_stored(dataset, "train", lambda pictures, labels: (pictures.fill(0), labels.fill(0)), Observer())


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_the_entries_are_listed(kaz, folder, two_entries, arguments):
    code, out, err = kaz("cache", *arguments)
    assert (code, err) == (0, "")
    summary, blank, heading, *rows = out.splitlines()
    assert summary == f"{folder}: 2 entries, 6.2 kB of at most 500.0 MB"
    assert blank == ""
    assert heading.split() == ["size", "last", "used", "pictures"]
    assert [row.partition("pictures ")[2] for row in rows] == ["b", "a"]
    assert rows[0].split()[:2] == ["3.1", "kB"]
    assert f"{entries()[0].last_used:%Y-%m-%d %H:%M}" in rows[0]
    assert all(row.index("train: ") == heading.index("pictures") for row in rows)


def test_an_empty_cache_is_one_line(kaz, folder):
    assert kaz("cache") == (0, f"{folder}: 0 entries, 0 bytes of at most 500.0 MB\n", "")


def test_the_entries_as_json(kaz, folder, two_entries):
    listed = json.loads(kaz("cache", "list", "--json")[1])
    found = entries()
    rows = listed.pop("entries")
    assert listed == {"folder": str(folder), "size": 6160, "limit": 500_000_000}
    assert [row["key"] for row in rows] == [entry.key for entry in found]
    assert rows[1] == {
        "key": found[1].key,
        "description": "train: pictures a",
        "size": 3080,
        "last_used": found[1].last_used.isoformat(timespec="seconds"),
    }


def test_clear_without_a_terminal_needs_yes(kaz, folder, two_entries, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    code, out, err = kaz("cache", "clear")
    assert (code, out) == (2, "")
    assert f"Nobody can be asked: Remove 2 entries, 6.2 kB, from {folder}?" in err
    assert "kaz cache clear --yes" in err
    assert len(entries()) == 2
    assert kaz("cache", "clear", "--yes") == (0, f"Removed 2 entries, 6.2 kB, from {folder}\n", "")
    assert entries() == []
    assert kaz("cache", "clear")[0] == 0


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 0), ("n\n", 1, 2), ("\n", 1, 2)])
def test_clear_asks_in_a_terminal(kaz, two_entries, monkeypatch, answer, code, left):
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert kaz("cache", "clear")[0] == code
    assert len(entries()) == left


def test_a_limit_that_is_no_amount_is_a_usage_error(kaz, monkeypatch):
    monkeypatch.setenv("KAZ_CACHE_GB", "much")
    code, _, err = kaz("cache")
    assert code == 2
    assert "KAZ_CACHE_GB is 'much'" in err


@pytest.mark.parametrize("arguments", [["--help"], ["cache", "--help"]])
def test_nothing_heavy_is_loaded_for_help(arguments):
    code = (
        "import sys; from keras_azure.cli import main; sys.argv[0] = 'kaz'\ntry: main()\nexcept SystemExit: pass\n"
        "assert not {'numpy', 'tensorflow', 'filelock'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert "cache" in done.stdout


def test_tensorflow_is_not_loaded_for_the_list():
    code = (
        "import sys; from keras_azure.cli import main; sys.argv = ['kaz', 'cache']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert 'numpy' in sys.modules and not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
