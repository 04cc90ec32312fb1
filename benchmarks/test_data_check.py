"""What is found in a thousand photographs and digits of which it is known what is wrong with them, beside cleanvision
and cleanlab: how much of it, what is found wrongly, and in which time.

    pip install ".[bench]" && pytest benchmarks/test_data_check.py

`KAZ_BENCH_PHOTOS` names a folder of photographs to plant in, in place of some that are made up; another
`KAZ_BENCH_SEED` than 0 plants in other ones.
"""

import contextlib
import io
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from benchmarks.pictures import dead_leaves
from benchmarks.rounds import Group, Lap, interleave, require
from keras_azure.checking.check import check
from keras_azure.checking.confident import label_errors
from keras_azure.checking.findings import DataCheck
from keras_azure.checking.out_of_fold import ByTraining
from keras_azure.data.digits import digits
from keras_azure.data.locate import find_dataset
from keras_azure.description.events import Observer

IMAGES, DIGITS, PLANTED = 1_000, 400, 10
SEED = int(os.environ.get("KAZ_BENCH_SEED", "0"))
TITLE = f"checking {IMAGES} photographs and digits"
OURS, PEER = "kaz data check", "cleanvision"
KINDS = ("exact duplicates", "near duplicates", "leakage", "unreadable", "dark", "light", "blurry", "flat", "odd shape")
# As cleanvision calls them; it knows no splits, and ends on files that cannot be read.
_THEIR_NAMES = {
    "exact duplicates": "exact_duplicates",
    "near duplicates": "near_duplicates",
    "dark": "dark",
    "light": "light",
    "blurry": "blurry",
    "flat": "low_information",
    "odd shape": "odd_aspect_ratio",
}


@dataclass(frozen=True)
class Planted:
    """A folder of classes in splits, and what is wrong in it: by kind the images, or the pairs of images."""

    root: Path
    wrong: Mapping[str, set[frozenset[str]]]


def plant(root: Path, photographs: Iterable[Image.Image]) -> Planted:
    """Writes the images; a third of the photographs, and of the digits, is in the test split."""
    rng = np.random.default_rng(SEED)
    wrong: dict[str, set[frozenset[str]]] = {kind: set() for kind in KINDS}

    def save(place: str, image: Image.Image, quality: int = 92) -> str:
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, **({"quality": quality} if path.suffix == ".jpg" else {}))
        return place

    images = [image.convert("RGB") for image in photographs]
    places = [
        save(f"{'test' if number % 3 == 0 else 'train'}/photo/{number:04}.jpg", image)
        for number, image in enumerate(images)
    ]
    split = [place.partition("/")[0] for place in places]
    free = iter(rng.permutation(len(images)).tolist())
    for _ in range(20):
        number = next(free)
        copy = f"{split[number]}/photo/exact-{number:04}.jpg"
        shutil.copy(root / places[number], root / copy)
        wrong["exact duplicates"].add(frozenset((places[number], copy)))
    for turn in range(20):
        number = next(free)
        image = Image.open(root / places[number])
        copy = save(
            f"{split[number]}/photo/near-{number:04}.jpg", _NEAR[turn % len(_NEAR)](image), 60 if turn % 5 == 0 else 92
        )
        wrong["near duplicates"].add(frozenset((places[number], copy)))
    for _ in range(10):
        number = next(free)
        other = "train" if split[number] == "test" else "test"
        copy = f"{other}/photo/leaked-{number:04}.jpg"
        shutil.copy(root / places[number], root / copy)
        wrong["exact duplicates"].add(frozenset((places[number], copy)))
        wrong["leakage"].add(frozenset((places[number], copy)))
    for kind, change in _POOR.items():
        for _ in range(PLANTED):
            number = next(free)
            place = save(f"train/photo/{kind.replace(' ', '-')}-{number:04}.jpg", change(images[number]))
            wrong[kind].add(frozenset([place]))
            (root / places[number]).unlink()
    dataset = digits()
    for number in range(DIGITS):
        pixels, label = dataset.read("train", number)
        save(f"{'test' if number % 3 == 0 else 'train'}/digit {label}/{number:04}.png", Image.fromarray(pixels[..., 0]))
    for number in range(10):
        content = _stored(images[0])
        place = f"train/photo/broken-{number}.jpg"
        (root / place).write_bytes((b"", b"no image", content[: 300 * number + 200])[number % 3])
        wrong["unreadable"].add(frozenset([place]))
    return Planted(root, wrong)


def _stored(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG")
    return content.getvalue()


def _cut(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


_NEAR: tuple[Callable[[Image.Image], Image.Image], ...] = (
    lambda image: image,  # stored again, of quality 60
    lambda image: image.resize((image.width // 2, image.height // 2)),
    lambda image: _cut(image, 0.025, 0.025, 0.025, 0.025),
    lambda image: _cut(image, 0.05, 0, 0, 0.05),
    lambda image: image.resize((round(1.3 * image.width), round(1.3 * image.height))),
)
_POOR: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "dark": lambda image: image.point(lambda level: round(0.15 * level)),
    "light": lambda image: image.point(lambda level: 245 + level // 26),
    "blurry": lambda image: image.filter(ImageFilter.GaussianBlur(max(image.size) / 70)),
    "flat": lambda image: image.point(lambda level: 120 + level // 32),
    "odd shape": lambda image: image.resize((image.width, max(8, image.width // 5))),
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    wanted = IMAGES - DIGITS - 60  # copies and broken files come to them
    photos = os.environ.get("KAZ_BENCH_PHOTOS")
    real = sorted(each for each in Path(photos).rglob("*") if each.is_file())[:wanted] if photos else []
    photographs = [
        *map(Image.open, real),
        *(dead_leaves(IMAGES * SEED + number, (375, 500)) for number in range(wanted - len(real))),
    ]
    return plant(tmp_path_factory.mktemp("planted") / "images", photographs)


@pytest.fixture(scope="module")
def compared(planted: Planted) -> tuple[Group, dict[str, dict[str, set[frozenset[str]]]]]:
    found: dict[str, dict[str, set[frozenset[str]]]] = {}

    def ours() -> Mapping[str, Lap]:
        begun = time.perf_counter()
        spec = str(find_dataset(str(planted.root)))
        checked = check(spec, weights=None, labels=False, model="cnn", seed=0, tolerant=False, observer=Observer())
        seconds = time.perf_counter() - begun
        found[OURS] = _ours(checked)
        return {TITLE: Lap(IMAGES, seconds)}

    def theirs() -> Mapping[str, Lap]:
        require("cleanvision")
        from cleanvision import Imagelab

        sound = sorted(str(path) for path in planted.root.rglob("*") if path.is_file() and "broken" not in path.name)
        with contextlib.redirect_stdout(io.StringIO()):
            begun = time.perf_counter()
            lab = Imagelab(filepaths=sound)
            lab.find_issues(n_jobs=os.cpu_count(), verbose=False)  # its bars go to stderr
            seconds = time.perf_counter() - begun
        found[PEER] = _theirs(lab, planted.root)
        return {TITLE: Lap(IMAGES, seconds)}

    outcomes = interleave([TITLE], {OURS: ours, PEER: theirs})
    return Group(TITLE, (OURS,), outcomes[TITLE]), found


def _ours(checked: DataCheck) -> dict[str, set[frozenset[str]]]:
    groups = {"exact duplicates": checked.exact, "near duplicates": checked.near, "leakage": checked.leakage}
    singles = {"unreadable": [*checked.unreadable], **checked.poor}
    return {
        **{kind: {frozenset(map(checked.place, group)) for group in found} for kind, found in groups.items()},
        **{kind: {frozenset([checked.place(number)]) for number in found} for kind, found in singles.items()},
    }


def _theirs(lab: "object", root: Path) -> dict[str, set[frozenset[str]]]:
    def named(paths: Iterable[str]) -> frozenset[str]:
        return frozenset(str(Path(path).relative_to(root)) for path in paths)

    found: dict[str, set[frozenset[str]]] = {}
    for kind, name in _THEIR_NAMES.items():
        if name.endswith("duplicates"):
            found[kind] = {named(group) for group in lab.info[name]["sets"]}
        else:
            column = lab.issues[f"is_{name}_issue"]
            found[kind] = {named([path]) for path in column.index[column]}
    return found


@pytest.mark.parametrize("candidate", [OURS, PEER])
def test_images_a_second(compared, candidate, replay):
    replay(compared[0], candidate)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_found(compared, planted, kind):
    """All of it that the other one finds, and no more that is none."""
    sought, rates = planted.wrong[kind], {}
    for name, by_kind in compared[1].items():
        if kind in by_kind:
            hits = len(by_kind[kind] & sought)
            rates[name] = hits / len(sought), len(by_kind[kind]) - hits
    _print(kind, rates)
    ours, theirs = rates[OURS], rates.get(PEER)
    if kind in ("leakage", "unreadable"):
        assert ours == (1, 0)
    if theirs is not None:
        assert ours[0] >= theirs[0]
        assert ours[1] <= theirs[1]


def test_wrong_labels_beside_cleanlab():
    """Both get the same probabilities, out of fold, of digits of which 20 have wrong labels."""
    find_label_issues = pytest.importorskip("cleanlab.filter").find_label_issues
    images, true = digits().arrays("train")
    rng = np.random.default_rng(SEED)
    labels, wrong = true.copy(), rng.choice(len(true), 20, replace=False)
    labels[wrong] = (true[wrong] + rng.integers(1, 10, 20)) % 10
    judge = ByTraining("cnn", seed=0)
    for number, pixels in enumerate(images):
        judge.keep(number, judge.take(_Image(pixels)))
    folds = rng.permutation(len(labels)) % 5
    probabilities = judge.probabilities(np.arange(len(labels)), labels, folds, 10, Observer())
    rates = {}
    for name, found in {
        OURS: label_errors(labels, probabilities),
        "cleanlab": np.flatnonzero(find_label_issues(labels, probabilities)),
    }.items():
        hits = len({*found.tolist()} & {*wrong.tolist()})
        rates[name] = hits / len(wrong), len(found) - hits
    _print("wrong labels", rates)
    assert rates[OURS][0] >= rates["cleanlab"][0]
    assert rates[OURS][1] <= rates["cleanlab"][1]


@dataclass(frozen=True)
class _Image:
    pixels: np.ndarray


def _print(kind: str, rates: Mapping[str, tuple[float, int]]) -> None:
    shown = "  ".join(f"{name}: {recall:.0%} and {false} wrongly" for name, (recall, false) in rates.items())
    print(f"{kind:<16}  {shown}")  # noqa: T201
