"""Makes folders of images as people have them, with what is right to be read of each.

`make(seed)` describes a layout, `write(layout, root)` puts it on a disk. The answer is known by how a layout is made,
and never by looking at it: nothing of `keras_azure` is used here.
"""

import os
import random
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

# For each split, what data sets call it. The first one is what it is called here.
SPLIT_NAMES = {
    "train": (
        "train",
        "Train",
        "TRAIN",
        "training",
        "Training",
        "train_set",
        "training-set",
        "Training Data",
        "images_train",
    ),
    "validation": ("val", "valid", "Validation", "dev", "eval", "VAL_SET", "validation-data", "dev set"),
    "test": ("test", "Test", "testing", "TESTING", "test_set", "test-images", "Testing Set"),
}
UNUSUAL = {"train": ("Lehre", "fold 1", "seg_train"), "test": ("Pruefung", "fold 2", "seg_test")}
CLASSES = (
    "cat",
    "dog",
    "fox",
    "café",
    "thé",
    "日本",
    "Ärger",
    "n01440764",
    "a b",
    "o'hara",
    "50%",
    "normal",
    "train car",
)
# Directly beside images, within classes too; and folders with images in them.
LITTER_FILES = (
    *(".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini", "Icon\r", "Picasa.ini", "._0.png"),
    *(".gitkeep", ".directory", "ZbThumbnail.info"),
)
LITTER_FOLDERS = (
    *("__MACOSX", "@eaDir", "lost+found", "#recycle", ".thumbnails", "System Volume Information", ".ipynb_checkpoints"),
    *("$RECYCLE.BIN", ".git", ".Trash-1000", "@Recycle"),
)
HIDDEN = (".hidden.png", ".old/0.png")
ENDINGS = (".png", ".PNG", ".jpg", ".JPEG", ".bmp", ".gif", ".jfif", "", ".dat.png")
MODES = ("RGB", "L", "P", "RGBA", "1")
BROKEN = ("empty", "text", "cut off")
SIDE = 6  # pixels
_NOT_READ = 1000  # the numbers of images that are not to be read


@dataclass
class Layout:
    """Files to be written, and what is right.

    Attributes:
        files: what is written, by path below the root: an image's number, or the bytes of another file.
        folders: empty folders.
        links: paths of links, and what they lead to: a path below the root or, with "/" before it, below `elsewhere`.
        images: what is to be read: for each split and class the paths of its images. Where the test is to be held out
            of the training images, there is no "test".
        options: of the data set.
        must_say: of each line that has to come a part.
        refused: part of the error that is right instead; empty where the layout is sound.
        hint: part of the error's hint.
        broken: paths of images that cannot be read.
        orientations: of the images that are turned, by path.
        tops: the folders in which the folders of splits and of classes are.
    """

    seed: int
    files: dict[str, int | bytes] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    images: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    must_say: list[str] = field(default_factory=list)
    refused: str = ""
    hint: str = ""
    broken: dict[str, str] = field(default_factory=dict)
    orientations: dict[str, int] = field(default_factory=dict)
    tops: list[str] = field(default_factory=lambda: [""])

    @property
    def paths(self) -> list[str]:
        return sorted(path for classes in self.images.values() for found in classes.values() for path in found)


def make(seed: int, *, broken: bool = False) -> Layout:
    """The layout of a seed. Layouts of neighbouring seeds are of different kinds.

    Args:
        broken: whether some images may be broken, so that the option `skip_unreadable` is needed.
    """
    rng = random.Random(seed)
    kinds = (_flat, _splits, _splits, _named, _inverted, _unnamed, _wrapped, _mixed_up)
    layout = kinds[seed % len(kinds)](Layout(seed), rng)
    for change in (_litter, _hidden, _strays, _empty_classes, _links, _rings):
        if rng.random() < 0.4:
            change(layout, rng)
    if broken and not layout.refused:
        _break_some(layout, rng)
    _turn_some(layout, rng)
    return layout


def write(layout: Layout, root: Path) -> dict[str, int]:
    """Puts a layout on the disk, and gives the number of each image by its path. Some of it lies beside the root."""
    elsewhere = root.with_name(f"{root.name}-elsewhere")
    elsewhere.mkdir(parents=True)
    root.mkdir()
    for folder in layout.folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
    behind = {path: target for path, target in layout.links.items() if not target.endswith("/..")}
    for path, content in layout.files.items():
        place = root / path
        for link, target in behind.items():  # what is reached by a link lies elsewhere
            if path == link or path.startswith(f"{link}/"):
                place = elsewhere / (target + path[len(link) :])
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            place.write_bytes(content)
        else:
            _write_image(place, content, layout.broken.get(path), layout.orientations.get(path))
    for link, target in layout.links.items():
        place = root / link
        place.parent.mkdir(parents=True, exist_ok=True)
        if target.endswith("/.."):
            place.symlink_to(os.path.relpath(root / target[:-3], place.parent), target_is_directory=True)
        else:
            place.symlink_to(elsewhere / target)
    return {path: number for path, number in layout.files.items() if isinstance(number, int)}


def level_of(number: int) -> int:
    """What brightness the image of this number has, 0..255, which tells them apart."""
    return 10 + number * 37 % 240


def _flat(layout: Layout, rng: random.Random) -> Layout:
    """class/image, or deeper."""
    layout.images = {"train": _classes(layout, rng, "", _some_classes(rng))}
    if rng.random() < 0.2:  # a locomotive
        layout.images["train"]["train"] = _class(layout, rng, "train", 4, deeper=False)
    return layout


def _splits(layout: Layout, rng: random.Random) -> Layout:
    """train/class/image and the like, called as usual."""
    names = _some_classes(rng)
    kinds = rng.choice((("train", "test"), ("train", "validation", "test"), ("train", "validation"), ("train",)))
    layout.images = {}
    for split in kinds:
        of_split = names if split == "train" else rng.sample(names, rng.randint(1, len(names)))
        layout.tops.append(rng.choice(SPLIT_NAMES[split]))
        layout.images[split] = _classes(layout, rng, f"{layout.tops[-1]}/", of_split, forms=True)
        if missing := sorted({*names} - {*of_split}):
            layout.must_say.append(f"There are no {split} images of {missing[0]}")
    if "validation" in kinds:
        layout.must_say.append("take the place of --validation-split")
    return layout


def _named(layout: Layout, rng: random.Random) -> Layout:
    """Splits with other names, which the option tells."""
    names = _some_classes(rng)
    called = {split: rng.choice(UNUSUAL[split]) for split in ("train", "test")}
    layout.images = {split: _classes(layout, rng, f"{name}/", names) for split, name in called.items()}
    layout.options["split_names"] = ",".join(f"{split}={name}" for split, name in called.items())
    if rng.random() < 0.5:
        _put(layout, rng, "more/0.png")
        layout.must_say.append("Left out, as no split is named after it: more")
    return layout


def _inverted(layout: Layout, rng: random.Random) -> Layout:
    """class/train/image and class/test/image."""
    layout.images = {"train": {}, "test": {}}
    train, test = rng.choice(SPLIT_NAMES["train"]), rng.choice(SPLIT_NAMES["test"])
    for name in _some_classes(rng):
        layout.images["train"][name] = _class(layout, rng, f"{name}/{train}", 3)
        layout.images["test"][name] = _class(layout, rng, f"{name}/{test}", 2)
    layout.must_say.append("within each class are taken as splits")
    return layout


def _unnamed(layout: Layout, rng: random.Random) -> Layout:
    """Splits with unknown names, and no option."""
    names = _some_classes(rng)
    for name in rng.choice((("A", "B"), ("fold1", "fold2", "fold3"), ("seg_train", "seg_test"), ("2019", "2020"))):
        inner = f"{name}/{name}" if rng.random() < 0.3 else name
        _classes(layout, rng, f"{inner}/", names)
    layout.refused, layout.hint = "hold the same folders", "--split-names"
    return layout


def _wrapped(layout: Layout, rng: random.Random) -> Layout:
    """One folder too much, as archives have it."""
    inner = _splits(Layout(layout.seed), rng) if rng.random() < 0.5 else _flat(Layout(layout.seed), rng)
    around = rng.choice(("archive", "data/images", "Dataset (1)"))
    layout.files = {f"{around}/{path}": content for path, content in inner.files.items()}
    layout.refused, layout.hint = "only one class", around.split("/")[-1]
    if rng.random() < 0.5 and len(inner.images) == 1:  # it may be asked for as it is
        layout.files, layout.images, layout.refused = inner.files, inner.images, ""
        layout.must_say = inner.must_say
    return layout


def _mixed_up(layout: Layout, rng: random.Random) -> Layout:
    """What can be understood in two ways, or not at all."""
    names = _some_classes(rng)
    match rng.randrange(6):
        case 0:
            _classes(layout, rng, "train/", names)
            _classes(layout, rng, "test/", names)
            _put(layout, rng, "more/0.png")
            layout.refused = "beside it more"
        case 1:
            _classes(layout, rng, "", names)
            _classes(layout, rng, "holdout/", names)
            layout.refused, layout.hint = "called as those beside it", "train"
        case 2:
            _classes(layout, rng, "train/", names)
            for number in range(4):
                _put(layout, rng, f"test/{number}.png")
            layout.refused, layout.hint = "holds no class folders", "/train"
        case 3:
            for number in range(4):
                _put(layout, rng, f"{number}.png")
            layout.refused, layout.hint = "holds no class folders", "folder of its own"
        case 4:
            _classes(layout, rng, "train/", names)
            _classes(layout, rng, "test/", [*names, "unseen"])
            layout.refused = "has none of the same name"
        case _:
            for split in ("train", "test"):
                _classes(layout, rng, f"{split}/{split}/", names)
            layout.refused, layout.hint = "only one class", "train=train/train"
    return layout


def _some_classes(rng: random.Random) -> list[str]:
    return rng.sample(CLASSES, rng.randint(2, 4))


def _classes(
    layout: Layout, rng: random.Random, prefix: str, names: list[str], *, forms: bool = False
) -> dict[str, list[str]]:
    """Images of each class, by the class's name; `forms`: folders may be written in either of Unicode's forms."""
    made = {}
    for name in names:
        written = unicodedata.normalize(rng.choice(("NFC", "NFD")), name) if forms else name
        made[unicodedata.normalize("NFC", name)] = _class(layout, rng, f"{prefix}{written}", rng.randint(2, 4))
    return made


def _class(layout: Layout, rng: random.Random, folder: str, count: int, *, deeper: bool = True) -> list[str]:
    """Some images in a folder, and in one below it which no other class has."""
    paths = []
    for number in range(count):
        within = f"part of {layout.seed} {len(layout.files)}/" if deeper and number and rng.random() < 0.15 else ""
        path = f"{folder}/{within}{number:02}{rng.choice(ENDINGS)}"
        _put(layout, rng, path)
        paths.append(path)
    return paths


def _put(layout: Layout, rng: random.Random, path: str) -> None:
    layout.files[path] = len(layout.files)


def _place(layout: Layout, rng: random.Random) -> str:
    """A folder of the layout, at any depth; "" is the root."""
    folders = {""} | {path.rpartition("/")[0] for path, content in layout.files.items() if _is_of_layout(content)}
    folders |= {each.rpartition("/")[0] for each in folders}
    return rng.choice(sorted(folders))


def _is_of_layout(content: int | bytes) -> bool:
    return isinstance(content, int) and content < _NOT_READ


def _within(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _litter(layout: Layout, rng: random.Random) -> None:
    """Nothing of this is read, and nothing is said of it."""
    for _ in range(rng.randint(1, 4)):
        place = _place(layout, rng)
        if rng.random() < 0.5:
            layout.files[_within(place, rng.choice(LITTER_FILES))] = b"litter"
        else:
            inner = rng.choice(("", "cat/", "IMG_1.jpg/", "train/cat/"))
            layout.files[_within(place, f"{rng.choice(LITTER_FOLDERS)}/{inner}0.png")] = _NOT_READ + len(layout.files)


def _hidden(layout: Layout, rng: random.Random) -> None:
    path = _within(_place(layout, rng), rng.choice(HIDDEN))
    layout.files[path] = _NOT_READ + len(layout.files)
    layout.must_say.append("Left out, as hidden files and folders are")


def _strays(layout: Layout, rng: random.Random) -> None:
    """An image beside the folders of classes; and documents, of which nothing is said."""
    if layout.refused or not layout.images:
        return
    layout.files["README.md"] = b"# data"
    layout.files["labels.csv"] = b"a,b"
    if rng.random() < 0.5:
        layout.files["stray.png"] = _NOT_READ + len(layout.files)
        layout.must_say.append("Left out, as they are in no class folder: stray.png")


def _empty_classes(layout: Layout, rng: random.Random) -> None:
    layout.folders.append(_within(rng.choice(layout.tops), "nothing here"))
    layout.must_say.append(f"Left out, as there is nothing in it: {layout.folders[-1]}")


def _links(layout: Layout, rng: random.Random) -> None:
    """A folder or an image is a link to somewhere else."""
    if not layout.paths:
        return
    path = rng.choice(layout.paths)
    if any(path.startswith(f"{link}/") for link in layout.links):
        return
    folder = path.rpartition("/")[0]
    layout.links[folder if rng.random() < 0.5 and folder else path] = f"linked-{len(layout.links)}"


def _rings(layout: Layout, rng: random.Random) -> None:
    """A link to a folder that holds it."""
    if layout.refused or not layout.paths:
        return
    folder = layout.paths[0].rpartition("/")[0]
    if any(folder == link or folder.startswith(f"{link}/") for link in layout.links):
        return
    layout.links[f"{folder}/round"] = f"{folder.split('/')[0]}/.."
    layout.must_say.append("Left out, as links that lead back to where they are")


def _break_some(layout: Layout, rng: random.Random) -> None:
    """Some images are none: there are enough others in each class."""
    for classes in layout.images.values():
        for name, paths in classes.items():
            if len(paths) > 2 and rng.random() < 0.3:
                layout.broken[paths[-1]] = rng.choice(BROKEN)
                classes[name] = paths[:-1]
    if layout.broken:
        layout.must_say.append(f"Left out {len(layout.broken)} of")
        layout.options["skip_unreadable"] = True


def _turn_some(layout: Layout, rng: random.Random) -> None:
    for path in layout.paths:
        if path.lower().endswith((".jpg", ".jpeg", ".jfif")) and rng.random() < 0.3:
            layout.orientations[path] = rng.randint(1, 8)


def _write_image(path: Path, number: int, broken: str | None, orientation: int | None) -> None:
    """Of one brightness, so that it can be told from any format; the upper left quarter is dark."""
    if broken == "empty":
        path.write_bytes(b"")
        return
    if broken == "text":
        path.write_text("<!DOCTYPE html>")
        return
    ending = path.suffix.lower()
    kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".bmp": "BMP", ".gif": "GIF"}.get(ending, "PNG")
    level = level_of(number)
    mode = MODES[number % len(MODES)] if kind == "PNG" else "L" if kind == "GIF" else "RGB"
    image = Image.fromarray(np.full((SIDE, SIDE), level, np.uint8))
    image = image if mode == "1" else image.convert(mode)
    if mode == "1":
        image = image.convert("RGB")
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    image.save(path, kind, **({"exif": exif, "quality": 100} if kind == "JPEG" else {}))
    if broken == "cut off":
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
