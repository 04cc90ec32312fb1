"""Folders and logs as blobs, one step at a time."""

import threading

import pytest
from azure.core.exceptions import ServiceResponseError

from kaz_azure_emulator.execution.errors import JobCanceled, JobFailed
from kaz_azure_emulator.execution.storage import FolderUpload, Location, LogUpload, download_folder, repeated


@pytest.mark.parametrize(
    ("url", "container_url", "prefix"),
    [
        ("http://127.0.0.1:1/a/c/d/e%20f/?sig=x", "http://127.0.0.1:1/a/c?sig=x", "d/e f"),
        ("http://localhost:1/a/c?sig=x", "http://localhost:1/a/c?sig=x", ""),
        ("https://a.blob.core.windows.net/c/d?sig=x", "https://a.blob.core.windows.net/c?sig=x", "d"),
    ],
)
def test_addresses_in_both_styles(url, container_url, prefix):
    location = Location(url)
    assert (location.container.url, location.prefix) == (container_url, prefix)
    assert location.below("g h").prefix == f"{prefix}/g h".strip("/")
    assert location.below("g").parent.prefix == prefix


def test_a_folder_there_and_back(storage, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    for number in range(100):
        (source / str(number % 7)).mkdir(parents=True, exist_ok=True)
        (source / str(number % 7) / f"ä {number}.bin").write_bytes(bytes([number]) * number)
    (tmp_path / "elsewhere").write_text("secret")
    (source / "link").symlink_to(tmp_path / "elsewhere")
    location = Location(storage.url("data/set"))

    FolderUpload(source, location).update()
    assert download_folder(location, target, threading.Event()) == 100
    (source / "link").unlink()
    assert _contents(target) == _contents(source)


def test_only_changes_are_uploaded_and_deletions_follow(storage, tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
    upload = FolderUpload(tmp_path, Location(storage.url("data")), deletes=True)
    upload.update()
    storage.put(**{"data/a": "changed there", "data/c": "of another"})
    (tmp_path / "b").unlink()
    upload.update()
    assert storage.names() == ["data/a", "data/c"]
    assert storage.text("data/a") == "changed there"
    (tmp_path / "a").write_text("changed here")
    upload.update(final=False)
    assert storage.text("data/a") == "changed there"  # it may be half written
    upload.update()
    assert storage.text("data/a") == "changed here"


def test_names_that_are_no_files_are_refused_before_anything_is_fetched(storage, tmp_path):
    storage.put(**{"data/a.txt": "one", "data/b//c.txt": "two"})
    with pytest.raises(JobFailed, match="Nothing was fetched"):
        download_folder(Location(storage.url("data")), tmp_path / "data", threading.Event())
    assert not (tmp_path / "data").exists()


def test_a_blob_below_a_blob_is_no_folder(storage, tmp_path):
    storage.put(**{"data/a": "one", "data/a/b": "two"})
    with pytest.raises(JobFailed, match="could not be brought together"):
        download_folder(Location(storage.url("data")), tmp_path / "data", threading.Event())


def test_a_canceled_download(storage, tmp_path):
    storage.put(**{"data/a": "one"})
    canceled = threading.Event()
    canceled.set()
    with pytest.raises(JobCanceled):
        download_folder(Location(storage.url("data")), tmp_path / "data", canceled)


def test_a_log_grows_in_blocks(storage, tmp_path):
    file = tmp_path / "log.txt"
    file.write_bytes(b"")
    upload = LogUpload(file, Location(storage.url("logs/log.txt")))
    upload.update()
    assert storage.text("logs/log.txt") == ""
    with file.open("ab") as log:
        log.write(b"0123456789" * 1_000_000)
    upload.update()
    with file.open("ab") as log:
        log.write(b"end")
    upload.update()
    assert storage.client.get_blob_client("logs/log.txt").get_blob_properties().blob_type == "AppendBlob"
    assert storage.client.download_blob("logs/log.txt").readall() == file.read_bytes()


def test_an_append_whose_answer_is_lost_is_not_repeated(storage, tmp_path, monkeypatch):
    file = tmp_path / "log.txt"
    file.write_text("one\n")
    upload = LogUpload(file, Location(storage.url("log.txt")))
    upload.update()
    file.write_text("one\ntwo\n")
    append = type(upload._blob).append_block

    def lose(*arguments, **options):
        append(*arguments, **options)
        raise ServiceResponseError("connection was reset")

    with monkeypatch.context() as patch:
        patch.setattr(type(upload._blob), "append_block", lose)
        with pytest.raises(JobFailed, match="reset"):
            upload.update()
    file.write_text("one\ntwo\nthree\n")
    upload.update()
    assert storage.text("log.txt") == "one\ntwo\nthree\n"


def test_repeated_actions_outlive_failures():
    before, calls = threading.enumerate(), threading.Semaphore(0)

    def fail():
        calls.release()
        raise JobFailed("DataAccessError", "away")

    with repeated(0.01, fail):
        assert all(calls.acquire(timeout=300) for _ in range(3))
    assert threading.enumerate() == before


def _contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
