"""A folder of photographs in which it is known what is wrong."""

import io
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.photographs import blurred, exposed, photograph, with_contrast
from PIL import Image


@dataclass(frozen=True)
class Planted:
    """A folder with two classes, and the places of what is wrong in it."""

    root: Path
    exact: list[set[str]]
    near: list[set[str]]
    leakage: list[set[str]]
    in_two_classes: list[set[str]]
    unreadable: set[str]
    poor: dict[str, set[str]]


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    root = tmp_path_factory.mktemp("planted") / "images"

    def save(place: str, image: Image.Image, **options: object) -> str:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        image.save(root / place, **options)
        return place

    for number in range(40):
        split, name = ("test", "train")[number % 4 > 0], ("barn", "owl")[number % 2]
        save(f"{split}/{name}/{number:02}.png", photograph(number))
    originals = [f"train/owl/{number:02}.png" for number in (1, 3, 5, 7, 9, 11)]
    for number in (1, 3):
        shutil.copy(root / f"train/owl/{number:02}.png", root / f"train/owl/copy{number}.png")
    smaller = save("train/owl/smaller.png", photograph(5).resize((120, 90)))
    compressed = save("train/owl/compressed.jpg", photograph(7), quality=60)
    leaked = save("test/owl/leaked.bmp", photograph(9))
    cut = save("train/barn/cut.png", photograph(11).crop((5, 4, 195, 146)))
    (root / "train/owl/empty.jpg").write_bytes(b"")
    content = io.BytesIO()
    photograph(50).save(content, "JPEG", quality=80)
    (root / "train/owl/half.jpg").write_bytes(content.getvalue()[:4000])
    (root / "test/barn/text.png").write_text("no image at all")
    return Planted(
        root,
        exact=[
            {originals[0], "train/owl/copy1.png"},
            {originals[1], "train/owl/copy3.png"},
            {originals[4], leaked},
        ],
        near=[{originals[2], smaller}, {originals[3], compressed}, {originals[5], cut}],
        leakage=[{originals[4], leaked}],
        in_two_classes=[{originals[5], cut}],
        unreadable={"train/owl/empty.jpg", "train/owl/half.jpg", "test/barn/text.png"},
        poor={
            "dark": {save("train/owl/dark.png", exposed(photograph(60), 0.15))},
            "light": {save("train/barn/light.png", photograph(61).point(lambda level: 250 + level // 51))},
            "flat": {save("train/barn/flat.png", with_contrast(photograph(62), 0.02))},
            "blurry": {save("test/barn/blurry.png", blurred(photograph(63), 5))},
            "odd shape": {save("test/owl/odd.png", photograph(64, (40, 200)))},
        },
    )
