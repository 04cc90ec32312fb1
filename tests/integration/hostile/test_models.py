"""Model files, weights and run folders that are damaged or made to do harm."""

import io
import json
import os
import pickle
import warnings
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import psutil
import pytest
from hypothesis import strategies as st
from keras import layers
from keras.src.legacy.saving import legacy_h5_format
from sklearn.linear_model import LogisticRegression

from keras_azure.errors import RunFailed, UnusableWeights
from keras_azure.models.classic import FeatureClassifier
from keras_azure.models.estimators import from_bytes, to_bytes
from keras_azure.models.fitting import fit
from keras_azure.models.predictor import load
from keras_azure.models.saving import load_model, read_model, save_model
from keras_azure.models.untrusted import check_weights
from keras_azure.models.weights import load_safely, load_weights, start_from

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"


def network(units: int = 3) -> keras.Sequential:
    return keras.Sequential(
        [layers.Input((4, 4, 1), name="pixels"), layers.Flatten(name="flat"), layers.Dense(units, name="dense")],
        name="small",
    )


def zipped(entries: dict[str, bytes], **options) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", **options) as archive:
        for name, value in entries.items():
            archive.writestr(name, value)
    return content.getvalue()


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def hdf5(write) -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        write(file)
    return content.getvalue()


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> bytes:
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    save_model(network(), path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def entries(saved) -> dict[str, bytes]:
    return unzipped(saved)


@pytest.fixture(scope="module")
def classifier() -> FeatureClassifier:
    features = keras.Sequential([layers.Input((4, 4, 1), name="pixels"), layers.Flatten(name="flat")], name="features")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 1)).astype(np.uint8)
    unfitted = FeatureClassifier(features, LogisticRegression(max_iter=50), 3)
    return fit(unfitted, unfitted.vectors(pixels), np.arange(20) % 3, seed=0).classifier


@pytest.fixture(scope="module")
def archive(classifier, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("archive") / "model.zip"
    classifier.save(path)
    return path.read_bytes()


# ---------------------------------------------------------------- damage


def test_damaged_models(throw, changed, saved, entries, tmp_path):
    path = tmp_path / "model.keras"
    part = st.sampled_from([*entries]).flatmap(lambda name: st.tuples(st.just(name), changed([entries[name]])))
    rezipped = part.map(lambda changes: zipped(entries | dict([changes])))

    def parse(content):
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load_model(path)

    throw(st.one_of(changed([saved]), rezipped, st.binary(max_size=100)), parse, share=0.5)


def test_descriptions_of_models(throw, entries, texts, tmp_path):
    """Parts of a model's description are replaced by others, by what runs code, and by anything."""
    path = tmp_path / "model.keras"
    config = json.loads(entries[CONFIG])
    names = st.one_of(
        st.sampled_from(["system", "exec", "Lambda", "get_file", "Dense", "__lambda__", "function"]), texts
    )
    modules = st.one_of(
        st.sampled_from(["os", "builtins", "keras.utils", "keras.layers", "keras", "antigravity"]), texts
    )
    whatever = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), texts, st.lists(st.integers(), max_size=3)
    )
    poison = st.fixed_dictionaries(
        {
            "module": modules,
            "class_name": names,
            "config": st.one_of(names, st.dictionaries(names, whatever, max_size=3)),
        },
        optional={"registered_name": names, "build_config": st.just({"input_shape": [None, 10**9]})},
    )

    def parse(given):
        place, value = given
        path.write_bytes(zipped(entries | {CONFIG: json.dumps(replaced(config, place, value)).encode()}))
        load_model(path)

    throw(st.tuples(st.integers(0, 200), st.one_of(poison, whatever)), parse, share=0.5)


def replaced(config, place: int, value):
    """A copy in which the value that is met as number `place` is another."""
    count = -1

    def copy(part):
        nonlocal count
        count += 1
        if count == place % 60:
            return value
        if isinstance(part, dict):
            return {key: copy(each) for key, each in part.items()}
        return [copy(each) for each in part] if isinstance(part, list) else part

    return copy(config)


def test_damaged_classifiers(throw, changed, classifier, tmp_path):
    content = to_bytes(classifier.estimator)
    parts = unzipped(content)
    part = st.sampled_from([*parts]).flatmap(lambda name: st.tuples(st.just(name), changed([parts[name]])))
    rezipped = part.map(lambda changes: zipped(parts | dict([changes])))

    def parse(content):
        try:
            from_bytes(content)
        except Exception as error:  # the archive's reader gives them a name, as the next test sees
            raise RunFailed("damaged") from error

    throw(st.one_of(changed([content]), rezipped), parse, share=0.25)


def test_damaged_archives(throw, changed, archive, tmp_path):
    path = tmp_path / "model.zip"
    parts = unzipped(archive)
    part = st.sampled_from([*parts]).flatmap(lambda name: st.tuples(st.just(name), changed([parts[name]])))
    rezipped = part.map(lambda changes: zipped(parts | dict([changes])))

    def parse(content):
        path.write_bytes(content)
        FeatureClassifier.load(path)

    throw(st.one_of(changed([archive]), rezipped), parse, share=0.5)


@pytest.mark.parametrize("ending", [".weights.h5", ".h5"])
def test_damaged_weights(throw, changed, ending, tmp_path):
    target = network()
    path = tmp_path / f"w{ending}"
    if ending == ".h5":
        with h5py.File(path, "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, target)
    else:
        target.save_weights(path)
    content = path.read_bytes()

    def parse(content):
        path.write_bytes(content)
        load_weights(target, keras.applications.VGG16, str(path))

    throw(changed([content]), parse)


def test_names_of_weights(throw, texts):
    target = network()

    def parse(name):
        load_weights(target, keras.applications.VGG16, "none" if name == "imagenet" else name)

    throw(st.one_of(texts, texts.map("{}.keras".format), texts.map("{}.h5".format)), parse)


def test_a_wrong_byte_of_the_weights_is_found(saved, entries, tmp_path):
    path = tmp_path / "model.keras"
    kernel = hdf5_numbers(entries[WEIGHTS])
    place = saved.index(kernel) + 5
    path.write_bytes(saved[:place] + bytes([saved[place] ^ 1]) + saved[place + 1 :])
    with pytest.raises(RunFailed, match=r"the checksum of its entry 'model\.weights\.h5' is wrong"):
        load_model(path)


def hdf5_numbers(content: bytes) -> bytes:
    with h5py.File(io.BytesIO(content)) as file:
        return file["layers/dense/vars/0"][:].tobytes()


# ---------------------------------------------------------------- harm


def refusal(path: Path, content: bytes, load=load_model) -> str:
    path.write_bytes(content)
    with pytest.raises((RunFailed, UnusableWeights)) as caught:
        load(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def function(module: str, name: str) -> dict:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


POISON = {
    "a function of the system": function("os", "system"),
    "a function of Keras that fetches": function("keras.utils", "get_file"),
    "a function of Keras that loads": function("keras.saving", "load_model"),
    "a class of the system": {"module": "subprocess", "class_name": "Popen", "config": {"args": ["true"]}},
    "a module that opens a browser": {"module": "antigravity", "class_name": "fly", "config": {}},
    "a class registered as another": {
        "module": "os",
        "class_name": "system",
        "registered_name": "builtins>eval",
        "config": {"command": "true"},
    },
    "a lambda": {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}},
    "a SavedModel elsewhere": {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp"}},
    "a module of torch": {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"module": "gASV"}},
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
def test_what_is_no_part_of_a_model_is_refused(entries, survives, tmp_path, poison):
    for key in ("activation", "kernel_initializer"):
        config = json.loads(entries[CONFIG])
        config["config"]["layers"][-1]["config"][key] = poison
        content = zipped(entries | {CONFIG: json.dumps(config).encode()})
        error = survives(lambda content=content: refusal(tmp_path / "model.keras", content))
        assert "it is unsafe or of a plugin that is not installed: it names " in error
    config["config"]["layers"][-1] = poison
    content = zipped(entries | {CONFIG: json.dumps(config).encode()})
    assert "it names" in survives(lambda: refusal(tmp_path / "model.keras", content, load_safely))


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside-of-it", "assets/../../outside", "..\\outside"])
def test_entries_that_would_be_written_elsewhere_are_refused(entries, survives, tmp_path, name):
    content = zipped({**entries, "assets/vocabulary.txt": b"", name: b"outside"})
    (tmp_path / "inside").mkdir()
    before = sorted(tmp_path.rglob("*"))
    message = survives(lambda: refusal(tmp_path / "inside" / "model.keras", content))
    assert "would be written elsewhere" in message
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "inside" / "model.keras"])


def test_a_function_of_python_is_none_of_keras(entries, survives, tmp_path):
    config = json.loads(entries[CONFIG])
    config["config"]["layers"][-1]["config"]["activation"] = function("builtins", "eval")
    content = zipped(entries | {CONFIG: json.dumps(config).encode()})
    survives(lambda: refusal(tmp_path / "model.keras", content))


def bomb(compression: int) -> bytes:
    """Little that unpacks to much."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive, archive.open(WEIGHTS, "w") as entry:
        for _ in range(25):
            entry.write(bytes(1 << 22))
    return content.getvalue()


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compressed_entry_is_refused_before_it_is_unpacked(saved, archive, tmp_path, compression):
    content = bomb(compression)
    before = psutil.Process().memory_info().rss
    assert "is compressed" in refusal(tmp_path / "model.keras", content)
    assert "is compressed" in refusal(tmp_path / "model.zip", content, FeatureClassifier.load)
    assert psutil.Process().memory_info().rss - before < 50_000_000


def test_a_compressed_classifier_is_refused_before_it_is_unpacked(archive, tmp_path):
    content = zipped(unzipped(archive) | {"classifier.skops": bomb(zipfile.ZIP_DEFLATED)})
    assert "is compressed" in refusal(tmp_path / "model.zip", content, FeatureClassifier.load)


def test_entries_that_share_their_bytes_are_refused(saved, tmp_path):
    """A known way to hold more than there is: many names for one piece of the file."""
    content = io.BytesIO(saved)
    with zipfile.ZipFile(content, "a") as archive:
        weights = archive.getinfo(WEIGHTS)
        for number in range(50):
            again = zipfile.ZipInfo(f"assets/{number}")
            again.header_offset, again.CRC = weights.header_offset, weights.CRC
            again.file_size = again.compress_size = weights.file_size
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again
        archive._didModify = True
    assert "hold more than the file" in refusal(tmp_path / "model.keras", content.getvalue())


def test_two_entries_of_one_name_are_refused(entries, tmp_path):
    content = io.BytesIO(zipped(entries))
    with zipfile.ZipFile(content, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(CONFIG, b"{}")
    assert "two entries of one name" in refusal(tmp_path / "model.keras", content.getvalue())


def test_a_model_of_more_numbers_than_its_file_has_is_refused(entries, tmp_path):
    config = entries[CONFIG].replace(b'"units": 3', b'"units": 500000000')
    before = psutil.Process().memory_info().rss
    message = refusal(tmp_path / "model.keras", zipped(entries | {CONFIG: config}))
    assert "announce a model of 34000000000 bytes" in message
    assert psutil.Process().memory_info().rss - before < 50_000_000


def external_link(file):
    file["layers"] = h5py.ExternalLink("/etc/passwd", "/")


def soft_link(file):
    file["layers"] = h5py.SoftLink("/elsewhere")


def external_numbers(file):
    file.create_dataset("numbers", (4,), "u1", external=[("/etc/passwd", 0, 4)])


def virtual_numbers(file):
    layout = h5py.VirtualLayout((4,), "u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "numbers", (4,))
    file.create_virtual_dataset("numbers", layout)


def numbers_that_are_not_there(file):
    file.create_dataset("numbers", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip")


def no_numbers(file):
    file["text"] = "text"


def deep(file):
    group = file
    for _ in range(3_000):
        group = group.create_group("g")


HARM = {
    external_link: "is a link to another file",
    soft_link: "is a link to another file or place",
    external_numbers: "reads from another file",
    virtual_numbers: "reads from another file",
    numbers_that_are_not_there: "bytes of numbers",
    no_numbers: "is no array of numbers",
    deep: "is no array of numbers",
}


@pytest.mark.parametrize("write", HARM, ids=lambda write: write.__name__)
def test_weights_that_do_more_than_hold_numbers_are_refused(entries, tmp_path, write):
    content = hdf5(write)
    assert HARM[write] in refusal(tmp_path / "model.keras", zipped(entries | {WEIGHTS: content}))
    for name in ("w.weights.h5", "w.h5"):
        message = refusal(
            tmp_path / name, content, lambda path: load_weights(network(), keras.applications.VGG16, str(path))
        )
        assert HARM[write] in message


def test_a_ring_of_groups_does_not_hang(tmp_path):
    def ring(file):
        group = file.create_group("a")
        group["again"] = file["/"]
        for number in range(60):
            following = group.create_group("next")
            group["same"] = following
            group = following
            group.attrs["number"] = number

    content = hdf5(ring)
    check_weights(content)


@pytest.mark.parametrize("size", [0, 8, 2**64 - 16])
def test_a_heap_of_text_without_an_end_does_not_hang(survives, entries, tmp_path, size):
    """HDF5's own library goes round for ever in a free entry of no size."""

    def text(file):
        file.create_dataset("numbers", data=[1.0]).attrs["dtype"] = "bfloat16"

    content = bytearray(hdf5(text))
    check_weights(bytes(content))
    free = content.index(b"GCOL") + 16 + 24 + 8  # behind the heap's header and its one text
    content[free : free + 8] = size.to_bytes(8, "little")
    damaged = zipped(entries | {WEIGHTS: bytes(content)})
    assert "a heap of text in it is damaged" in survives(lambda: refusal(tmp_path / "model.keras", damaged))


def test_a_newer_form_of_hdf5_is_refused(entries, tmp_path):
    """Its library crashes where such a file is damaged, and Keras writes none."""
    content = io.BytesIO()
    with h5py.File(content, "w", libver="latest") as file:
        file["numbers"] = [1.0]
    message = refusal(tmp_path / "model.keras", zipped(entries | {WEIGHTS: content.getvalue()}))
    assert "does not begin as an HDF5 file of Keras does" in message


class Poison:
    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_pickles_in_a_classifier_run_no_code(archive, classifier, survives, tmp_path):
    mark = tmp_path / "mark"
    array = io.BytesIO()
    np.save(array, np.array([Poison(mark)], dtype=object), allow_pickle=True)
    parts = unzipped(to_bytes(classifier.estimator))
    numbers = next(name for name in parts if name.endswith(".npy"))
    for poison in (array.getvalue(), pickle.dumps(Poison(mark))):
        content = zipped(unzipped(archive) | {"classifier.skops": zipped(parts | {numbers: poison})})
        survives(lambda content=content: refusal(tmp_path / "model.zip", content, FeatureClassifier.load))
    assert not mark.exists()


def test_pickles_among_the_weights_run_no_code(entries, survives, tmp_path):
    mark = tmp_path / "mark"
    others = {name: value for name, value in entries.items() if name != WEIGHTS}
    array = io.BytesIO()
    np.savez(array, **{"layers/dense": np.array([Poison(mark)], dtype=object)}, allow_pickle=True)
    survives(lambda: refusal(tmp_path / "model.keras", zipped({**others, "model.weights.npz": array.getvalue()})))
    assert not mark.exists()


def test_a_start_from_a_hostile_model_is_refused(entries, tmp_path):
    content = zipped(entries | {WEIGHTS: hdf5(external_link)})
    message = refusal(tmp_path / "model.keras", content, lambda path: start_from(network(), str(path)))
    assert "link to another file" in message


def test_what_is_refused_elsewhere_is_loaded_where_it_is_sound(saved, tmp_path):
    (tmp_path / "model.keras").write_bytes(saved)
    assert read_model(tmp_path / "model.keras").count_params() == network().count_params()


# ---------------------------------------------------------------- finished runs


def test_results_of_runs(throw, changed, texts, saved, tmp_path):
    path = tmp_path / "metrics.json"
    (tmp_path / "model.keras").write_bytes(saved)
    usual = json.dumps({"class_names": ["a", "b", "c"], "test_accuracy": 1.0}).encode()
    value = st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=2)),
        max_leaves=5,
    )
    names = st.one_of(st.lists(texts, min_size=3, max_size=3), value)
    described = names.map(lambda names: json.dumps({"class_names": names}).encode())
    deep = st.integers(1, 20_000).map(lambda depth: b'{"class_names": ' + b"[" * depth)

    def parse(content):
        path.write_bytes(content)
        assert len({*load(tmp_path).class_names}) == 3

    throw(st.one_of(described, changed([usual]), deep), parse, share=0.5)
