"""Five hundred folders as people have them: none is read with other images or classes than were put there."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from layouts.generator import Layout, level_of, make, write

from keras_azure.data.formats.entries import list_folder
from keras_azure.data.formats.folder import Folder, find_images
from keras_azure.data.formats.layout import Listing, class_folders
from keras_azure.description.events import Observer
from keras_azure.errors import DataError

LAYOUTS = 500
READ = 60


def right(layout: Layout) -> dict[str, dict[str, list[str]]]:
    return {split: {name: sorted(paths) for name, paths in classes.items()} for split, classes in layout.images.items()}


def sorted_paths(splits: dict[str, dict[str, list[str]]]) -> dict[str, dict[str, list[str]]]:
    return {split: {name: sorted(paths) for name, paths in classes.items()} for split, classes in splits.items()}


def of_text(listing: Listing) -> Listing:
    """The listing as an archive gives it: files alone, in another order."""
    return Listing(listing.files[::-1], (), listing.notes)


@pytest.mark.parametrize("part", range(10))
def test_no_layout_means_anything_else_than_was_put_there(tmp_path, part):
    for seed in range(part * LAYOUTS // 10, (part + 1) * LAYOUTS // 10):
        layout, root = make(seed), tmp_path / str(seed)
        write(layout, root)
        split_names = layout.options.get("split_names", "")
        if layout.refused:
            with pytest.raises(DataError) as caught:
                find_images(root, split_names=split_names)
            assert layout.refused in caught.value.problem, seed
            assert layout.hint in caught.value.hint, (seed, str(caught.value))
        else:
            found = find_images(root, split_names=split_names)
            assert sorted_paths(found.splits) == right(layout), seed
            said = [*found.notes, found.origins]
            for part_of_line in layout.must_say:
                assert any(part_of_line in line for line in said), (seed, part_of_line, said)
            if not layout.must_say:
                assert not found.notes, (seed, found.notes)
            listed = class_folders(of_text(list_folder(root)), str(root), split_names=split_names)
            assert sorted_paths(listed.splits) == right(layout), seed
        shutil.rmtree(root)
        shutil.rmtree(root.with_name(f"{root.name}-elsewhere"))


@pytest.mark.parametrize("part", range(6))
def test_what_is_read_and_what_is_uploaded_is_what_was_put_there(tmp_path, part, make_listener):
    for seed in range(1000 + part * READ // 6, 1000 + (part + 1) * READ // 6):
        layout, root = make(seed, broken=True), tmp_path / str(seed)
        numbers = write(layout, root)
        data = Folder(path=str(root), image_size=(6, 6), **layout.options)
        listener = make_listener()
        if layout.refused:
            for look in (data.prepare, data.files):
                with pytest.raises(DataError) as caught:
                    look(Observer())
                assert layout.refused in caught.value.problem, seed
            continue
        data.prepare(listener)
        said = [*listener.messages, data.description]
        for part_of_line in layout.must_say:
            assert any(part_of_line in line for line in said), (seed, part_of_line, said)
        assert {name for classes in layout.images.values() for name in classes} == {*data.class_names}, seed
        for split in data.split_sizes:
            read = Counter(_told_apart(data, split))
            assert read <= Counter(_levels(layout, numbers, split)), (seed, split)
            if split in layout.images and "test" in layout.images:
                assert read == Counter(_levels(layout, numbers, split)), (seed, split)
        assert sum(data.split_sizes.values()) == len(layout.paths), seed
        uploaded = [Path(path).relative_to(root).as_posix() for path in data.files(Observer())]
        assert {*layout.paths} <= {*uploaded} <= {*layout.paths, *layout.broken}, seed


def _levels(layout: Layout, numbers: dict[str, int], split: str) -> list[tuple[str, int]]:
    """The class and the brightness of each image that a split may have."""
    classes = layout.images.get(split, layout.images["train"])
    return [(name, level_of(numbers[path])) for name, paths in classes.items() for path in paths]


def _told_apart(data: Folder, split: str) -> list[tuple[str, int]]:
    samples = (data.read(split, index) for index in range(data.split_sizes[split]))
    return [(data.class_names[label], _nearest(float(pixels[3:, 3:].mean()))) for pixels, label in samples]


def _nearest(level: float) -> int:
    """The level that an image was made with, of which a lossy format keeps nearly all."""
    return min(range(10, 250), key=lambda each: abs(each - level))
