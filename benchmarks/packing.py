"""A folder of photographs in `train/class/` and `test/class/`, packed in the other ways that people have them."""

import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet

_ROWS = 100  # of a row group, as Hugging Face writes images
_SHARD = 256  # images


def pack_zip(photographs: Path, packed: Path) -> Path:
    path = packed / "photographs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for image in sorted(photographs.rglob("*.jpg")):
            archive.write(image, image.relative_to(photographs))
    return path


def pack_shards(photographs: Path, packed: Path) -> Path:
    folder = packed / "shards"
    folder.mkdir()
    for split, images in _splits(photographs):
        for first in range(0, len(images), _SHARD):
            with tarfile.open(folder / f"{split}-{first // _SHARD:05}.tar", "w") as shard:
                for image in images[first : first + _SHARD]:
                    for ending, content in ((".jpg", image.read_bytes()), (".cls", image.parent.name.encode())):
                        member = tarfile.TarInfo(f"{image.parent.name}-{image.stem}{ending}")
                        member.size = len(content)
                        shard.addfile(member, io.BytesIO(content))
    return folder


def pack_parquet(photographs: Path, packed: Path) -> Path:
    folder = packed / "parquet"
    folder.mkdir()
    for split, images in _splits(photographs):
        rows = {
            "image": [{"bytes": image.read_bytes(), "path": image.name} for image in images],
            "label": [image.parent.name for image in images],
        }
        pyarrow.parquet.write_table(pyarrow.table(rows), folder / f"{split}.parquet", row_group_size=_ROWS)
    return folder


def _splits(photographs: Path) -> Iterator[tuple[str, list[Path]]]:
    for split in ("train", "test"):
        yield split, sorted((photographs / split).rglob("*.jpg"))
