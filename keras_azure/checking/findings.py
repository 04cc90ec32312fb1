"""What a check of a data set found: as an object, as JSON, as lines of text and as a table of a notebook."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from keras_azure.checking.duplicates import Groups
from keras_azure.checking.looking import UNKNOWN, Looked
from keras_azure.redaction import printable
from keras_azure.reporting.notebook import table_html
from keras_azure.reporting.text import escaped

_SHOWN = 3  # images of each kind that are named in text; JSON names all
_CLASSES_SHOWN = 20
_SIZES_SHOWN = 3


class WrongLabel(NamedTuple):
    """An image whose label is probably wrong.

    Attributes:
        number: of the image.
        label, suggested: its class, and the one that a model takes it for, which did not learn from it.
        probability: of the suggested class.
    """

    number: int
    label: int
    suggested: int
    probability: float


@dataclass(frozen=True, eq=False, repr=False)
class DataCheck:
    """What a check found. Images have numbers, through all splits; `place` says where one is.

    Attributes:
        looked: the images, with what was measured of each.
        exact: groups of images of equal pixels.
        near: groups of images that are nearly the same; copies of equal pixels are in them, too.
        leakage: those of these groups that are in more than one split.
        in_two_classes: those that are in more than one class.
        poor: the numbers of the images that are "dark", "light", "flat", "blurry", or of "odd shape".
        wrong_labels: the most probable first; None if labels were not judged.
        judged_by: what labels were judged by, as a phrase; or why they were not.
        tolerated: whether files that cannot be read were to be left out.
    """

    looked: Looked
    exact: Groups
    near: Groups
    leakage: Groups
    in_two_classes: Groups
    poor: Mapping[str, Sequence[int]]
    wrong_labels: Sequence[WrongLabel] | None = None
    judged_by: str = ""
    tolerated: bool = field(default=False)

    @property
    def failed(self) -> bool:
        """Whether a run on this data would not count, or would not begin: images that are trained and tested on, or
        that cannot be read."""
        return bool(self.leakage) or (bool(self.unreadable) and not self.tolerated)

    @property
    def unreadable(self) -> Mapping[int, str]:
        """Why images cannot be read, by their numbers."""
        return self.looked.problems

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """How many images each split has of each class; empty without single classes."""
        names, splits = self.looked.originals.class_names, self.looked.originals.split_sizes
        found: dict[str, dict[str, int]] = {split: dict.fromkeys(names, 0) for split in splits}
        for number, label in enumerate(self.looked.labels.tolist()):
            if label != UNKNOWN:
                found[self.looked.split(number)][names[label]] += 1
        return found if self.looked.originals.task == "classify" else {}

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        """How many images there are of each height and width."""
        return Counter((each.height, each.width) for each in self.looked.measures if each is not None)

    @property
    def modes(self) -> Counter[str]:
        """How many images there are of each mode."""
        return Counter(mode for mode in self.looked.modes if mode)

    def place(self, number: int) -> str:
        """Where an image is within the data: "train/cat/b.png"."""
        return self.looked.place(number)

    def to_json(self) -> dict[str, Any]:
        """All of it, JSON-safe; images by their places."""
        names = self.looked.originals.class_names
        groups = {
            "exact_duplicates": self.exact,
            "near_duplicates": self.near,
            "leakage": self.leakage,
            "in_two_classes": self.in_two_classes,
        }
        wrong = None
        if self.wrong_labels is not None:
            wrong = [
                {
                    **self._image(each.number),
                    "class": names[each.label],
                    "suggested": names[each.suggested],
                    "probability": round(each.probability, 4),
                }
                for each in self.wrong_labels
            ]
        return {
            "data": self.looked.originals.description,
            "images": len(self.looked.places),
            "splits": dict(self.looked.originals.split_sizes),
            "classes": self.counts,
            "sizes": [
                {"height": size[0], "width": size[1], "images": count} for size, count in self.sizes.most_common()
            ],
            "modes": dict(self.modes.most_common()),
            "unreadable": [{**self._image(number), "problem": problem} for number, problem in self.unreadable.items()],
            **{kind: [[*map(self._image, group)] for group in found] for kind, found in groups.items()},
            **{kind.replace(" ", "_"): [*map(self._image, found)] for kind, found in self.poor.items()},
            "wrong_labels": wrong,
            "judged_by": self.judged_by,
            "failed": self.failed,
        }

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """What people read: the images there are, and what was found, with some examples of each."""
        yield self.looked.originals.description
        yield ""
        yield from self._lines_of_classes()
        yield f"sizes  {self._named_sizes()}"
        yield f"modes  {', '.join(f'{mode} {count}' for mode, count in self.modes.most_common())}"
        yield ""
        rows = [*self._rows()]
        width = max(len(kind) for kind, _, _ in rows)
        yield f"{'found':<{width}}  images"
        for kind, count, examples in rows:
            yield f"{kind:<{width}}  {count:>6}  {examples}".rstrip()
        if self.judged_by:
            yield f"Labels: {self.judged_by}."

    def __repr__(self) -> str:
        found = {kind: count for kind, count, _ in self._rows() if count}
        return f"<DataCheck of {len(self.looked.places)} images: {found or 'nothing was found'}>"

    def _repr_html_(self) -> str:
        table = table_html(("found", "images", "such as"), [*self._rows()], caption=self.looked.originals.description)
        return table + (f"<p>Labels: {escaped(self.judged_by)}.</p>" if self.judged_by else "")

    def examples(self) -> dict[str, Groups]:
        """Groups of images to be shown, by what was found; a single image is a group."""
        groups = {
            "leakage": self.leakage,
            "in two classes": self.in_two_classes,
            "exact duplicates": self.exact,
            "near duplicates": self.near,
            **{kind: [[number] for number in found] for kind, found in self.poor.items()},
            "wrong labels": [[each.number] for each in self.wrong_labels or ()],
        }
        return {kind: found for kind, found in groups.items() if found}

    def _rows(self) -> Iterator[tuple[str, int, str]]:
        """Each kind of finding, how many images it is of, and some of them."""
        unreadable = [*self.unreadable]
        yield "unreadable", len(unreadable), _some([*map(self._named, unreadable[: _SHOWN + 1])], ", ", len(unreadable))
        for kind, groups in {
            "exact duplicates": self.exact,
            "near duplicates": self.near,
            "leakage": self.leakage,
            "in two classes": self.in_two_classes,
        }.items():
            shown = [
                " = ".join([*map(self._named, group[:_SHOWN]), *["..."][: len(group) - _SHOWN]]) for group in groups
            ]
            yield kind, sum(map(len, groups)), _some(shown, "; ")
        for kind, found in self.poor.items():
            yield kind, len(found), _some([*map(self._named, found[: _SHOWN + 1])], ", ", len(found))
        if self.wrong_labels is not None:
            names = self.looked.originals.class_names
            shown = [
                f"{self._named(each.number)} is {printable(names[each.label])}, "
                f"looks like {printable(names[each.suggested])}"
                for each in self.wrong_labels[: _SHOWN + 1]
            ]
            yield "wrong labels", len(self.wrong_labels), _some(shown, "; ", len(self.wrong_labels))

    def _lines_of_classes(self) -> Iterator[str]:
        """A table of the classes, the largest first, with a column for each split."""
        counts = self.counts
        if not counts or not self.looked.originals.is_labelled:
            sizes = self.looked.originals.split_sizes
            yield f"images  {', '.join(f'{split} {count}' for split, count in sizes.items())}"
            return
        totals = Counter[str]()
        for of_split in counts.values():
            totals.update(of_split)
        ordered = totals.most_common()
        if len(ordered) > _CLASSES_SHOWN:
            ordered = ordered[: _CLASSES_SHOWN // 2] + ordered[-_CLASSES_SHOWN // 2 :]
        names = [printable(name) for name, _ in ordered]
        width = max(5, *map(len, names))
        yield f"{'class':<{width}}" + "".join(f"  {split:>10}" for split in counts) + f"  {'share':>6}"
        for (name, total), shown in zip(ordered, names, strict=True):
            cells = "".join(f"  {of_split[name]:>10}" for of_split in counts.values())
            yield f"{shown:<{width}}{cells}  {total / max(1, totals.total()):>6.1%}"
        if len(totals) > len(ordered):
            yield f"and {len(totals) - len(ordered)} classes between these"
        smallest = max(1, ordered[-1][1])
        if ordered[0][1] > smallest:
            yield f"The largest class has {ordered[0][1] / smallest:.1f} times as many images as the smallest."
        yield ""

    def _named_sizes(self) -> str:
        sizes = self.sizes
        shown = [f"{height}x{width} {count}" for (height, width), count in sizes.most_common(_SIZES_SHOWN)]
        if len(sizes) > _SIZES_SHOWN:
            areas = sorted(sizes, key=lambda size: size[0] * size[1])
            (low, small), (high, large) = areas[0], areas[-1]
            shown.append(f"and {len(sizes) - _SIZES_SHOWN} more, from {low}x{small} to {high}x{large}")
        return ", ".join(shown)

    def _named(self, number: int) -> str:
        return printable(self.place(number))

    def _image(self, number: int) -> dict[str, Any]:
        return {"image": self.place(number), "split": self.looked.split(number)}


def _some(texts: Sequence[str], between: str, count: int | None = None) -> str:
    """The first few texts."""
    total = len(texts) if count is None else count
    return between.join([*texts[:_SHOWN], *["..."][: max(0, total - _SHOWN)]])


def spread(groups: Groups, values: Sequence[Any] | np.ndarray) -> Groups:
    """The groups whose images have more than one value of what is known."""
    return [group for group in groups if len({values[number] for number in group} - {UNKNOWN}) > 1]
