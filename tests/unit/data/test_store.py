import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from keras_azure.data import store
from keras_azure.data.arrays import ArrayDataset
from keras_azure.data.sizes import resized
from keras_azure.data.store import can_store, clear, entries, limit, open_stored, size_in_words
from keras_azure.data.tfds import RecordDataset
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UsageError

BYTES = 6 * (4 * 5 * 3 + 8)  # of the pictures and labels of an entry of `Pictures`


class Listener(Observer):
    def __init__(self):
        self.messages: list[str] = []
        self.progress: list[tuple[str, int, int]] = []

    def message(self, text):
        self.messages.append(text)

    def advance(self, activity, done, total):
        self.progress.append((activity, done, total))


class Pictures:
    """A data set of six pictures that have a content, and count how often they are decoded."""

    def __init__(self, content: str = "a", image_shape: tuple[int, int, int] = (4, 5, 3)):
        self.content = content
        self.image_shape = image_shape
        self.split_sizes = {"train": 6, "test": 6}
        self.description = f"pictures {content}"
        self.filled = 0

    def fingerprint(self, split, observer):
        return self.content

    def fill(self, pictures, labels):
        assert (pictures.dtype, pictures.shape) == (np.uint8, (6, *self.image_shape))
        assert (labels.dtype, labels.shape) == (np.int64, (6,))
        self.filled += 1
        pictures[...], labels[...] = self.expected()

    def expected(self) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.RandomState(ord(self.content))
        return random.randint(0, 256, (6, *self.image_shape)), np.arange(6) - 1

    def open(self, split: str = "train", observer: Observer | None = None) -> tuple[np.ndarray, np.ndarray]:
        arrays = open_stored(self, split, self.fill, observer or Observer())
        for array, expected in zip(arrays, self.expected(), strict=True):
            assert np.array_equal(array, expected)
        return arrays


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("KAZ_CACHE", str(folder))
    monkeypatch.delenv("KAZ_CACHE_GB", raising=False)
    return folder


@pytest.fixture
def listener() -> Listener:
    return Listener()


def entry_folder(folder: Path) -> Path:
    (entry,) = (folder / entry.key for entry in entries())
    return entry


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name != "locks"]


def test_pictures_are_decoded_once(listener):
    pictures, labels = Pictures().open(observer=listener)
    assert listener.progress == [("Storing the train pictures", 6, 6)]
    again = Pictures()
    pictures, labels = again.open(observer=listener)
    assert again.filled == 0
    assert listener.progress[1:] == [("Checking the stored train pictures", 6, 6)]
    assert listener.messages == []
    assert isinstance(pictures, np.memmap)
    assert (pictures.dtype, labels.dtype) == (np.uint8, np.int64)


def test_what_is_given_cannot_be_written_to():
    for _ in range(2):  # made, and opened
        for array in Pictures().open():
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0


def test_other_content_size_or_split_is_another_entry(monkeypatch):
    for dataset in (Pictures(), Pictures("b"), Pictures(image_shape=(5, 4, 3)), Pictures(image_shape=(4, 5, 1))):
        dataset.open()
        dataset.open("test")
        dataset.open()
        assert dataset.filled == 2
    for name in ("DECODING", "_FORMAT"):
        monkeypatch.setattr(store, name, "other")
        dataset = Pictures()
        dataset.open()
        assert dataset.filled == 1
    assert len(entries()) == 10


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def note(**changes):
    def change(entry: Path) -> None:
        path = entry / "entry.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def write(content: bytes):
    return lambda entry: (entry / "entry.json").write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda entry: os.truncate(entry / "pictures.raw", 359), "pictures.raw has 359 bytes instead of 360"),
        (lambda entry: os.truncate(entry / "pictures.raw", 361), "pictures.raw has 361 bytes instead of 360"),
        (lambda entry: os.truncate(entry / "labels.raw", 0), "labels.raw has 0 bytes instead of 48"),
        (lambda entry: flip_a_bit(entry / "pictures.raw"), "a checksum is wrong"),
        (lambda entry: flip_a_bit(entry / "labels.raw"), "a checksum is wrong"),
        (lambda entry: (entry / "pictures.raw").unlink(), "no such file or directory"),
        (lambda entry: (entry / "labels.raw").unlink(), "no such file or directory"),
        (lambda entry: (entry / "entry.json").unlink(), "no such file or directory"),
        (lambda entry: [path.unlink() for path in entry.iterdir()], "no such file or directory"),
        (write(b""), "entry.json is no JSON"),
        (write(b"\xff\xfe\0"), "entry.json is no JSON"),
        (write(b"[" * 100_000), "entry.json is no JSON"),
        (write(b"[1]"), "entry.json does not tell of 6 pictures of 4x5x3"),
        (write(b"{}"), "entry.json does not tell of 6 pictures of 4x5x3"),
        (note(shape=[6, 5, 4, 3]), "entry.json does not tell of 6 pictures of 4x5x3"),
        (note(checksums={}), "a checksum is wrong"),
        (note(checksums=None), "a checksum is wrong"),
    ],
)
def test_a_damaged_entry_is_not_believed_but_made_again(folder, listener, damage, reason):
    Pictures().open()
    entry = entry_folder(folder)
    damage(entry)
    dataset = Pictures()
    dataset.open(observer=listener)
    assert dataset.filled == 1
    assert listener.messages == [f"The stored train pictures in {entry} are damaged ({reason}), and are made again."]
    dataset.open()
    assert dataset.filled == 1
    assert left_in(folder) == [entry.name]


def test_files_of_many_chunks_are_checked_to_the_end(folder, listener, monkeypatch):
    monkeypatch.setattr(store, "_CHUNK", 100)
    Pictures().open(observer=listener)
    assert [done for _, done, _ in listener.progress] == [1, 3, 5, 6]
    sums = json.loads((entry_folder(folder) / "entry.json").read_text())["checksums"]
    assert {name: len(values) for name, values in sums.items()} == {"pictures.raw": 4, "labels.raw": 1}
    path = entry_folder(folder) / "pictures.raw"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    dataset = Pictures()
    dataset.open()
    assert dataset.filled == 1


@pytest.mark.parametrize("error", [DataError("a picture is damaged"), OSError(28, "not ours"), KeyboardInterrupt()])
def test_nothing_is_left_when_the_pictures_cannot_be_decoded(folder, error):
    def fail(pictures, labels):
        pictures[0] = 1
        raise error

    with pytest.raises(type(error)) as caught:
        open_stored(Pictures(), "train", fail, Observer())
    assert caught.value is error
    assert left_in(folder) == []
    Pictures().open()


PROCESS = """
import sys, time
import numpy as np
from keras_azure.description.events import Observer
from keras_azure.data.store import open_stored

class Pictures:
    image_shape, split_sizes, description = (40, 50, 3), {"train": 6}, "pictures"
    def fingerprint(self, split, observer):
        return "x"

class Speaking(Observer):
    def message(self, text):
        print(text)

def fill(pictures, labels):
    print("filling", flush=True)
    sys.stdin.readline()
    pictures[...], labels[...] = 7, np.arange(6)

print("ready", flush=True)
sys.stdin.readline()
pictures, labels = open_stored(Pictures(), "train", fill, Speaking())
print(int(pictures.sum()), labels.tolist(), flush=True)
"""
RESULT = f"{6 * 40 * 50 * 3 * 7} [0, 1, 2, 3, 4, 5]"


@pytest.fixture
def start():
    started = []

    def start_process() -> subprocess.Popen:
        """Begins when it is told a line, and is done with filling when it is told another one."""
        command = [sys.executable, "-c", PROCESS]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start_process
    for process in started:
        process.kill()
        process.communicate()


def tell(process: subprocess.Popen) -> None:
    process.stdin.write("\n")
    process.stdin.flush()


def test_of_two_processes_at_once_one_makes_the_entry_and_the_other_waits(start):
    processes = [start(), start()]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        tell(process)
    assert sorted(process.stdout.readline() for process in processes) == [
        "Another run is storing the same pictures: waiting for it\n",
        "filling\n",
    ]
    for process in processes:
        tell(process)
    assert [process.stdout.read() for process in processes] == [f"{RESULT}\n"] * 2


def test_what_a_killed_process_left_is_removed(folder, start):
    process = start()
    tell(process)
    while process.stdout.readline() != "filling\n":
        pass
    (part,) = left_in(folder)
    assert part.endswith(".part")
    Pictures().open()
    assert part in left_in(folder)  # the other one lives
    assert clear()[0] == 1
    assert left_in(folder) == [part]
    process.kill()
    process.wait()
    (folder / f"{'0' * 32}.gone").mkdir()
    Pictures().open()
    assert left_in(folder) == [entry.key for entry in entries()]
    assert len(entries()) == 1


def test_the_same_entry_is_made_after_its_maker_was_killed(folder, start):
    for told, last in ((1, "filling"), (2, RESULT)):
        process = start()
        for _ in range(told):
            tell(process)
        while process.stdout.readline() != f"{last}\n":
            assert process.poll() is None
        process.kill()
        process.wait()
    assert left_in(folder) == [entry_folder(folder).name]


def use_in_order(folder: Path, *contents: str) -> dict[str, str]:
    """Makes entries that were used one after the other, and gives the content of each key."""
    keys = {}
    for age, content in enumerate(reversed(contents)):
        before = {entry.key for entry in entries()}
        Pictures(content).open()
        (key,) = {entry.key for entry in entries()} - before
        keys[key] = content
        os.utime(folder / key / "entry.json", (0, time.time() - 100 - age))
    return keys


def test_what_was_not_used_for_longest_is_removed_to_make_room(folder, monkeypatch):
    keys = use_in_order(folder, "a", "b", "c")
    assert [keys[entry.key] for entry in entries()] == ["c", "b", "a"]
    Pictures("a").open()
    assert [keys[entry.key] for entry in entries()] == ["a", "c", "b"]
    monkeypatch.setenv("KAZ_CACHE_GB", str(3.5 * BYTES / 1e9))
    Pictures("d").open()
    keys |= {entry.key: "d" for entry in entries() if entry.key not in keys}
    assert [keys[entry.key] for entry in entries()] == ["d", "a", "c"]
    monkeypatch.setenv("KAZ_CACHE_GB", str(BYTES / 1e9))
    Pictures("e").open()
    assert [entry.description for entry in entries()] == ["train: pictures e"]


def test_an_entry_that_is_removed_can_be_read_on(monkeypatch):
    dataset = Pictures()
    pictures, _ = dataset.open()
    monkeypatch.setenv("KAZ_CACHE_GB", str(BYTES / 1e9))
    Pictures("b").open()
    assert [entry.description for entry in entries()] == ["train: pictures b"]
    assert np.array_equal(pictures, dataset.expected()[0])
    clear()
    assert np.array_equal(pictures, dataset.expected()[0])


def test_an_entry_that_is_removed_while_it_is_checked_is_made_again_without_alarm(listener, monkeypatch):
    Pictures().open()
    checksums = store._checksums

    def interrupted(*arguments):
        monkeypatch.setattr(store, "_checksums", checksums)
        clear()
        return checksums(*arguments)

    monkeypatch.setattr(store, "_checksums", interrupted)
    dataset = Pictures()
    dataset.open(observer=listener)
    assert dataset.filled == 1
    assert listener.messages == []


def test_an_entry_that_can_never_fit_is_refused_and_the_others_stay(folder, monkeypatch):
    use_in_order(folder, "a", "b")
    monkeypatch.setenv("KAZ_CACHE_GB", str(2 * BYTES / 1e9))
    large = Pictures("c", (20, 20, 3))
    assert not can_store(large, "train")
    assert can_store(Pictures("c"), "train")
    with pytest.raises(DataError) as caught:
        large.open()
    assert str(caught.value).splitlines() == [
        f"The train pictures of pictures c are 7.2 kB when they are decoded, which do not fit in {folder}.",
        "Expected: at most 816 bytes: KAZ_CACHE_GB is 8.16e-07, a tenth of the disk stays free, and what other "
        "runs are storing stays",
        "Try: --cache memory or --cache none; or set KAZ_CACHE_GB, or KAZ_CACHE to a folder on another disk; "
        "or kaz cache clear",
    ]
    assert large.filled == 0
    assert len(left_in(folder)) == 2


def test_a_tenth_of_the_disk_stays_free(folder, monkeypatch):
    def disk(spare: int) -> None:
        usage = SimpleNamespace(total=100_000, free=10_000 + spare)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    disk(BYTES)
    assert limit() == BYTES
    Pictures().open()
    disk(BYTES - 1)  # what was removed to make room may be in use, and its space not free
    assert limit() == 2 * BYTES - 1
    with pytest.raises(DataError, match="do not fit"):
        Pictures("b").open()
    disk(-500)
    assert limit() == 0
    assert not can_store(Pictures("b"), "train")
    with pytest.raises(DataError, match="do not fit"):
        Pictures("c").open()


@pytest.mark.parametrize("text", ["many", "-1", "nan", "inf"])
def test_a_limit_that_is_no_amount_is_refused(monkeypatch, text):
    monkeypatch.setenv("KAZ_CACHE_GB", text)
    with pytest.raises(UsageError, match=f"KAZ_CACHE_GB is '{text}'"):
        Pictures().open()


def fails_with(number: int):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("function", ["posix_fallocate", "fsync"])
def test_a_full_disk_is_one_error_and_nothing_is_left(folder, monkeypatch, function, number):
    monkeypatch.setattr(os, function, fails_with(number))
    dataset = Pictures()
    with pytest.raises(DataError) as caught:
        dataset.open()
    assert caught.value.problem == f"The disk of the picture cache {folder} is full."
    assert "--cache none" in caught.value.hint
    assert left_in(folder) == []
    assert dataset.filled == (function == "fsync")


@pytest.mark.parametrize("missing", [False, True])
def test_zeros_are_written_where_space_cannot_be_reserved(monkeypatch, missing):
    if missing:
        monkeypatch.delattr(os, "posix_fallocate")
    else:
        monkeypatch.setattr(os, "posix_fallocate", fails_with(errno.EOPNOTSUPP))
    monkeypatch.setattr(store, "_CHUNK", 100)
    dataset = Pictures()
    dataset.open()
    dataset.open()
    assert dataset.filled == 1


@pytest.mark.parametrize("reserves", [True, False])
def test_a_disk_that_is_really_full(tmp_path, monkeypatch, reserves):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True, text=True
    )
    if not mounted or mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip() if mounted else 'there is no mount'}")
    try:
        monkeypatch.setenv("KAZ_CACHE", str(disk))
        if not reserves:
            monkeypatch.delattr(os, "posix_fallocate")
        monkeypatch.setattr(store, "_free", lambda: 10**9)  # another program is about to take the space
        with pytest.raises(DataError, match=f"The disk of the picture cache {disk} is full"):
            Pictures(image_shape=(300, 300, 3)).open()
        assert left_in(disk) == []
        Pictures().open()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_cache_that_is_no_folder_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KAZ_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=f"The picture cache {tmp_path}/file cannot be used: not a directory") as caught:
        Pictures().open()
    assert "KAZ_CACHE" in caught.value.hint


def test_entries_can_be_used_where_nothing_can_be_written(monkeypatch):
    Pictures().open()
    for function in ("utime", "mkdir", "rename"):
        monkeypatch.setattr(os, function, fails_with(errno.EROFS))
    dataset = Pictures()
    dataset.open()
    assert dataset.filled == 0
    with pytest.raises(DataError, match="cannot be used: read-only file system"):
        Pictures("b").open()


def test_entries_are_listed_and_cleared(folder):
    assert (entries(), clear()) == ([], (0, 0))
    assert not folder.exists()
    begun = time.time()
    Pictures("a").open()
    Pictures("b").open("test")
    assert {entry.description for entry in entries()} == {"train: pictures a", "test: pictures b"}
    for entry in entries():
        assert entry.size == BYTES
        assert begun - 1 < entry.last_used.timestamp() < time.time() + 1  # some disks keep whole seconds
    assert clear() == (2, 2 * BYTES)
    assert entries() == left_in(folder) == []


def test_a_damaged_entry_is_listed_and_cleared_too(folder):
    Pictures().open()
    for content in (b"", b"[]", b"{}", b"\xff"):
        (entry_folder(folder) / "entry.json").write_bytes(content)
        assert [entry.description for entry in entries()] == ["damaged"]
    (entry_folder(folder) / "entry.json").unlink()
    assert clear() == (1, BYTES)


def test_what_is_not_ours_in_the_folder_stays(folder):
    Pictures().open()
    for name in ("notes", "film.part", f"{'g' * 32}", f"{'0' * 31}.gone"):
        (folder / name).mkdir()
    (folder / f"{'1' * 32}").symlink_to(folder / "notes")
    (folder / f"{'2' * 32}.part").write_text("a file")
    Pictures("b").open()
    assert clear()[0] == 2
    assert len(left_in(folder)) == 6


def test_the_usual_folder_is_that_of_the_user_for_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("KAZ_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store.cache_folder().name == "pictures"
    if sys.platform == "linux":
        assert store.cache_folder() == tmp_path / "keras_azure/pictures"
    monkeypatch.setenv("KAZ_CACHE", "~/here")
    assert store.cache_folder() == Path.home() / "here"


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (5e10, "50.0 GB")]
)
def test_sizes_are_given_in_words(size, words):
    assert size_in_words(size) == words


def test_a_data_set_without_a_fingerprint_is_not_stored():
    arrays = np.zeros((2, 4, 4, 1), np.uint8), np.arange(2)
    dataset = ArrayDataset(["a", "b"], {"train": arrays, "test": arrays}, "small")
    assert not can_store(dataset, "train")
    assert can_store(resized(dataset, (8, 8)), "train")


def test_resized_arrays_have_a_fingerprint_of_their_content():
    def fingerprint(pictures: np.ndarray, labels: tuple[int, ...] = (0, 1)) -> str:
        splits = {split: (pictures, np.array(labels)) for split in ("train", "test")}
        return resized(ArrayDataset(["a", "b"], splits, "small"), (8, 8)).fingerprint("train", Observer())

    pictures = np.arange(2 * 4 * 6, dtype=np.uint8).reshape(2, 4, 6, 1)
    assert fingerprint(pictures) == fingerprint(np.asfortranarray(pictures))
    others = [fingerprint(pictures + 1), fingerprint(pictures, (1, 0)), fingerprint(pictures.reshape(2, 6, 4, 1))]
    assert len({fingerprint(pictures), *others}) == 4


def test_records_have_a_fingerprint_of_their_content(listener):
    class Layout:
        image_key, label_key, class_names, image_shape = "image", "label", ("a", "b"), (4, 4, 3)

        def described(self, split_sizes):
            return "records"

        def sample_name(self, split, index):
            return f"The picture {index} of {split}"

    def fingerprint(*records: bytes, size: int = 2, observer: Observer | None = None) -> str:
        dataset = RecordDataset(Layout(), {"train": records}, {"train": size})
        return dataset.fingerprint("train", observer or Observer())

    assert fingerprint(b"ab", b"c", observer=listener) == fingerprint(b"ab", b"c")
    assert listener.progress == [("Looking for changes in train pictures", 2, 2)]
    assert len({fingerprint(b"ab", b"c"), fingerprint(b"a", b"bc"), fingerprint(b"c", b"ab")}) == 3
    with pytest.raises(DataError, match="The picture 1 of train cannot be read: IndexError"):
        fingerprint(b"a")
