"""A small folder of pictures to train on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """Two classes of twelve 12x10 pictures in colour: dark ones and bright ones."""
    return write_pictures(tmp_path / "pictures")


@pytest.fixture(scope="module")
def shared_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, for all tests of a module, which must not change them."""
    return write_pictures(tmp_path_factory.mktemp("shared") / "pictures")


def write_pictures(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("bright", 128)):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(low, low + 128, (12, 10, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02}.png")
    return folder
