"""Maps of image files, with what the model says of them: as a figure, and as files."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_azure.data.headers import Headers
from keras_azure.description.events import Observer
from keras_azure.errors import UnknownName, UnreadableFile, UsageError
from keras_azure.explaining.grad_cam import grad_cam
from keras_azure.explaining.integrated_gradients import integrate
from keras_azure.files import write_atomically
from keras_azure.models.kinds import NETWORK, kind_of
from keras_azure.models.predictor import Predictor, Said
from keras_azure.reporting.notebook import table_html

if TYPE_CHECKING:
    from keras_azure.data.shown_figure import ShownFigure

GRAD_CAM, INTEGRATED_GRADIENTS = "grad-cam", "integrated-gradients"
_PNG_DPI = 100


@dataclass(frozen=True, eq=False)
class Explanation:
    """What in images a model goes by.

        explanation = keras_azure.explain("runs/20250101-120000-cnn", ["cat.jpg"])
        explanation.maps["grad-cam"][0]  # (height, width), 0..1
        explanation.sheet()  # a figure

    Attributes:
        paths: of the images.
        predictions: what the model says of each, as `Predictor.predict` gives it.
        class_names: all classes, labels or numbers of the model.
        classes: the index of that which is explained, for each image, int64 (n,).
        probabilities: of each class or label, or numbers, float32 (n, classes).
        images: as the model takes them, uint8 (n, height, width, channels).
        maps: by the method's name: "grad-cam" float32 (n, height, width), 0..1; "integrated-gradients" float32
            (n, height, width, channels), what each level adds to the logit or number, above that of a black image.
        gaps: of integrated gradients, by which share of that difference their sum misses it, float64 (n,).
        unreadable: the errors of files that were left out.
    """

    paths: tuple[Path, ...]
    predictions: tuple[Said, ...]
    class_names: tuple[str, ...]
    classes: np.ndarray
    probabilities: np.ndarray = field(repr=False)
    images: np.ndarray = field(repr=False)
    maps: Mapping[str, np.ndarray] = field(repr=False)
    gaps: np.ndarray | None = field(default=None, repr=False)
    unreadable: tuple[UnreadableFile, ...] = ()

    @property
    def explained(self) -> tuple[str, ...]:
        """The name of the class, label or number that is explained, for each image."""
        return tuple(self.class_names[index] for index in self.classes)

    def sheet(self) -> "ShownFigure":
        """The images with their maps over them, and what is predicted, as a figure of Matplotlib; of many the first."""
        from keras_azure.explaining.sheet import draw  # here, as Matplotlib takes a second to import

        return draw(self)

    def save(self, sheet: Path | None = None, arrays: Path | None = None) -> None:
        """Writes the sheet as a PNG file, and all arrays as a file of NumPy's.

        Args:
            arrays: a `.npz` file with `paths`, `class_names`, `classes`, `probabilities`, `images`, and of the maps
                `grad_cam`, `integrated_gradients` and `gaps`.

        Raises:
            RunFailed: the disk is full or not writable; files that were there are as they were.
        """
        if sheet is not None:
            figure = self.sheet()
            write_atomically(sheet, lambda beside: figure.savefig(beside, format="png", dpi=_PNG_DPI))
        if arrays is not None:
            write_atomically(arrays, lambda beside: np.savez_compressed(beside, allow_pickle=False, **self._arrays()))

    def to_json(self) -> list[dict[str, Any]]:
        """What is predicted and what is explained of each image, JSON-safe; the maps are arrays."""
        rows = [
            {**said.to_json(), "explained": name} for said, name in zip(self.predictions, self.explained, strict=True)
        ]
        if self.gaps is not None:
            rows = [{**row, "gap": gap} for row, gap in zip(rows, self.gaps.tolist(), strict=True)]
        return rows

    def __str__(self) -> str:
        rows = [f"{path}  {predicted}  explained: {name}" for path, predicted, name in self._rows()]
        return "\n".join([f"{' and '.join(self.maps)} of {len(self.paths)} images", *rows])

    def _repr_html_(self) -> str:
        png = io.BytesIO()
        self.sheet().savefig(png, format="png", dpi=_PNG_DPI)
        encoded = base64.b64encode(png.getvalue()).decode("ascii")
        alternative = f"The images, and over each in colours what speaks for its class by {' and '.join(self.maps)}"
        figure = f'<img alt="{alternative}" style="max-width:100%" src="data:image/png;base64,{encoded}">'
        return table_html(("image", "predicted", "explained"), self._rows()) + figure

    def _rows(self) -> list[tuple[str, str, str]]:
        """The path, what is predicted and what is explained of each image, as texts."""
        words = [", ".join(" ".join(each).strip() for each in said.in_words()) for said in self.predictions]
        return [*zip(map(str, self.paths), words, self.explained, strict=True)]

    def _arrays(self) -> dict[str, np.ndarray]:
        maps = {method.replace("-", "_"): values for method, values in self.maps.items()}
        return {
            "paths": np.array([str(path) for path in self.paths]),
            "class_names": np.array(self.class_names),
            "classes": self.classes,
            "probabilities": self.probabilities,
            "images": self.images,
            **maps,
            **({} if self.gaps is None else {"gaps": self.gaps}),
        }


def explain_files(
    predictor: Predictor,
    paths: Sequence[Path],
    methods: Sequence[str],
    *,
    class_name: str | None = None,
    layer: str | None = None,
    steps: int = 64,
    observer: Observer,
) -> Explanation:
    """
    Args:
        methods: "grad-cam", "integrated-gradients".
        class_name: what is explained; by default the most probable class or label of each image, and of numbers the
            first.

    Raises:
        UsageError: the model is no network, or has no such class or layer.
        UnreadableFile: none of the files can be read.
    """
    if kind_of(predictor.model) is not NETWORK:
        raise UsageError(
            "This run's model is a classifier of scikit-learn on features, which has no gradients to explain it by.",
            expected="the run of a network, such as cnn, resnet50 or transfer",
        )
    index = _index_of(class_name, predictor, observer)
    images, kept, unreadable = _read(predictor, paths, observer)
    probabilities = predictor.predict_pixels(images)
    classes = np.full(len(images), index) if index is not None else probabilities.argmax(axis=1)
    maps, gaps = {}, None
    if GRAD_CAM in methods:
        maps[GRAD_CAM] = grad_cam(predictor.model, images, classes, layer=layer, observer=observer)
    if INTEGRATED_GRADIENTS in methods:
        maps[INTEGRATED_GRADIENTS], gaps = integrate(predictor.model, images, classes, steps=steps, observer=observer)
    said = [predictor.said(path, row) for path, row in zip(kept, probabilities.tolist(), strict=True)]
    return Explanation(
        paths=tuple(kept),
        predictions=tuple(said),
        class_names=predictor.class_names,
        classes=classes,
        probabilities=probabilities,
        images=images,
        maps=maps,
        gaps=gaps,
        unreadable=tuple(unreadable),
    )


def _index_of(class_name: str | None, predictor: Predictor, observer: Observer) -> int | None:
    """Which output is explained of all images; None for that of each image's own class."""
    names = predictor.class_names
    if class_name is not None:
        if class_name not in names:
            raise UnknownName.among("number" if predictor.task == "regress" else "class", class_name, names)
        return names.index(class_name)
    if predictor.task != "regress":
        return None
    if len(names) > 1:
        observer.message(f"Explaining {names[0]}, the first of the numbers; another one with --class")
    return 0


def _read(
    predictor: Predictor, paths: Sequence[Path], observer: Observer
) -> tuple[np.ndarray, list[Path], list[UnreadableFile]]:
    """The images as the model takes them, the paths of those, and the errors of the others."""
    headers, images, kept, unreadable = Headers(), [], [], []
    for number, path in enumerate(paths, start=1):
        found = predictor.read(path, headers)
        if isinstance(found, UnreadableFile):
            unreadable.append(found)
        else:
            images.append(found)
            kept.append(path)
        observer.advance("Reading images", number, len(paths))
    headers.tell(observer)
    return np.stack(images) if images else np.zeros((0, *predictor.image_shape), np.uint8), kept, unreadable
