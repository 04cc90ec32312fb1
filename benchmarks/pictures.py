"""The pictures that the benchmarks work on: made up, but as large and as costly to decode as real ones."""

import io
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CLASSES = 10
_TILE = 25  # pixels between the fixed points of a photograph's smooth structures


@dataclass(frozen=True)
class Pictures:
    """Pictures in memory, and the batches that are wanted of them.

    Attributes:
        images: (count, height, width, channels) uint8.
        labels: (count,) int64.
        batch_size: divides the count, so that all batches are full.
    """

    images: np.ndarray
    labels: np.ndarray
    batch_size: int

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.images.shape[1:]

    @property
    def one_hot(self) -> np.ndarray:
        """(count, CLASSES) float32."""
        return np.eye(CLASSES, dtype=np.float32)[self.labels]


def random_pictures(count: int, image_shape: tuple[int, int, int], batch_size: int) -> Pictures:
    """Noise; no candidate's time depends on what the pictures show."""
    images = np.random.default_rng(0).integers(0, 256, (count, *image_shape), np.uint8)
    return Pictures(images, np.arange(count) % CLASSES, batch_size)


def write_photographs(root: Path, train: int, test: int, size: tuple[int, int] = (375, 500)) -> None:
    """JPEG files in `train/class/` and `test/class/`: smooth structures and noise, about 80 KB each at quality 90."""
    rng = np.random.default_rng(0)
    height, width = size
    for split, count in (("train", train), ("test", test)):
        for number in range(count):
            folder = root / split / f"class_{number % CLASSES}"
            folder.mkdir(parents=True, exist_ok=True)
            points = rng.integers(0, 256, (height // _TILE, width // _TILE, 3), np.uint8)
            smooth = np.asarray(Image.fromarray(points).resize((width, height), Image.Resampling.BICUBIC), np.float32)
            noisy = smooth + rng.normal(0, 8, (height, width, 1))
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{number:04}.jpg", quality=90)


def write_idx(folder: Path, train: Pictures, test: Pictures) -> None:
    """The four files that MNIST came in."""
    for stem, pictures in (("train", train), ("t10k", test)):
        images, labels = pictures.images[..., 0], pictures.labels.astype(np.uint8)
        for content, values in (("images", images), ("labels", labels)):
            header = struct.pack(f">HBB{values.ndim}I", 0, 0x08, values.ndim, *values.shape)
            (folder / f"{stem}-{content}-idx{values.ndim}-ubyte").write_bytes(header + values.tobytes())


def write_small_files(root: Path, count: int) -> None:
    """JPEG files of 28x28 noise in `train/class/` and, each seventh, `test/class/`, of some 700 bytes each."""
    rng, contents = np.random.default_rng(0), []
    for _ in range(64):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(file, "JPEG", quality=80)
        contents.append(file.getvalue())
    for number in range(count):
        folder = root / ("train" if number % 7 else "test") / f"class_{number % CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:06}.jpg").write_bytes(contents[number % len(contents)])


def dead_leaves(seed: int, size: tuple[int, int]) -> Image.Image:
    """Discs that lie on each other at random, with grain: structures of all sizes with edges, as photographs have."""
    rng = np.random.default_rng(seed)
    height, width = size
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    # The larger ones first: sizes are by a power law, and what lies on top would hide all others.
    for radius in sorted(max(size) * 0.01 / rng.uniform(0.02, 1, 500), reverse=True):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(rng.integers(10, 250, 3).tolist()))
    grain = rng.normal(0, 5, (height, width, 1))
    return Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))
