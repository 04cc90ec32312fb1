"""Which augmentations run together: neighbours of one kind become a stage, which touches each picture once.

Neighbouring geometric augmentations compose to one map a picture and are resampled once; neighbouring colours are
applied in one pass; all else is a stage by itself, in its place.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any

import keras
import numpy as np

from keras_azure.augmentations import kernels
from keras_azure.augmentations.arrays import NUMPY, Array, Arrays
from keras_azure.augmentations.colours import ChannelMix, Curves
from keras_azure.augmentations.foreign import ForeignAugmentation
from keras_azure.augmentations.geometry import FILLS, Fill, Geometric, compose, fixed_point, resample
from keras_azure.augmentations.layer import Augmentation
from keras_azure.augmentations.mixing import Mixing
from keras_azure.augmentations.policies import Policy
from keras_azure.registry.registry import AUGMENTATIONS

Shape = tuple[int, int, int]  # height, width, channels


@dataclass(frozen=True)
class Step:
    """One layer, and where its random numbers come from.

    Attributes:
        label: what a user would call it.
        stream: the number of the random stream that it draws from.
        num_draws: the numbers that are drawn there for each picture.
        uniform: from those (batch, num_draws) to the layer's own.
    """

    layer: Augmentation
    label: str
    stream: int
    num_draws: int
    uniform: Callable[[np.ndarray], np.ndarray] = field(default=lambda uniform: uniform)


Draw = Callable[[int, int], np.ndarray]  # (stream, count) -> random numbers (batch, count) in [0, 1)


@dataclass
class Stage:
    """Layers that run together. The base is a layer that runs by itself, on the engine's arrays."""

    kind = "alone"
    steps: list[Step]
    shape: Shape

    def takes(self, step: Step) -> bool:
        """Whether a further step may join."""
        return False

    def sample(self, draw: Draw) -> np.ndarray:
        """The parameters of all steps, int32 (batch, k)."""
        return np.concatenate([self._parameters(step, draw) for step in self.steps], axis=1)

    def transform(self, levels: Array, parameters: Array, xp: Arrays) -> Array:
        """New levels, int32 (batch, height, width, channels), on any engine."""
        for step, part in self._with_parameters(parameters):
            levels = step.layer.transform(levels, part, xp)
        return levels

    @cached_property
    def num_parameters(self) -> int:
        return self.sample(_no_draws).shape[1]

    @cached_property
    def _widths(self) -> list[int]:
        """How many of the parameters are of each step."""
        return [self._parameters(step, _no_draws).shape[1] for step in self.steps]

    def _numbers(self, step: Step, draw: Draw) -> np.ndarray:
        return step.uniform(draw(step.stream, step.num_draws))

    def _parameters(self, step: Step, draw: Draw) -> np.ndarray:
        return step.layer.sample(self._numbers(step, draw), self.shape, NUMPY)

    def _with_parameters(self, parameters: Array) -> Iterator[tuple[Step, Array]]:
        start = 0
        for step, width in zip(self.steps, self._widths, strict=True):
            yield step, parameters[:, start : start + width]
            start += width


def _no_draws(stream: int, count: int) -> np.ndarray:
    return np.zeros((1, count))


class KernelStage(Stage):
    """A stage for which the host has compiled loops."""

    def on_host(self, pictures: np.ndarray, indices: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """The pictures (N, height, width, channels) uint8 at `indices` (batch,), as `transform` makes them."""
        raise NotImplementedError


@dataclass
class GeometricStage(KernelStage):
    """One map a picture, one resampling."""

    kind = "geometric"

    @property
    def fill(self) -> Fill:
        return next((step.layer.fill for step in self.steps if step.layer.fill), "nearest")

    @property
    def fill_value(self) -> int:
        return next((step.layer.fill_value for step in self.steps if step.layer.fill), 0)

    def takes(self, step: Step) -> bool:
        if not isinstance(step.layer, Geometric):
            return False
        filling = [each.layer for each in [*self.steps, step] if each.layer.fill]
        return len({(layer.fill, layer.fill == "constant" and layer.fill_value) for layer in filling}) <= 1

    def sample(self, draw: Draw) -> np.ndarray:
        maps = [step.layer.maps(self._numbers(step, draw), self.shape, NUMPY) for step in self.steps]
        return fixed_point(reduce(compose, maps), self.shape, NUMPY)

    def transform(self, levels: Array, parameters: Array, xp: Arrays) -> Array:
        return resample(levels, parameters, self.fill, self.fill_value, xp)

    def on_host(self, pictures: np.ndarray, indices: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        mode = FILLS.index(self.fill)
        return kernels.resample_pictures(pictures, indices, parameters, mode, self.fill_value)


@dataclass
class ColourStage(KernelStage):
    """Tables and matrices, applied in one pass over each picture, or in one more for each matrix in between."""

    kind = "colour"

    def takes(self, step: Step) -> bool:
        return isinstance(step.layer, Curves | ChannelMix)

    def on_host(self, pictures: np.ndarray, indices: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        images = pictures[indices]
        channels = images.shape[-1]
        tables = None  # what the pixels have still to go through, uint8 (batch, channels, 256)
        for step, part in self._with_parameters(parameters):
            if isinstance(step.layer, ChannelMix):
                if channels == 3:
                    kernels.recolour(images, tables, part)
                    tables = None
                continue
            counts = None
            if step.layer.uses_histogram:
                counts = _through(tables, kernels.histograms(images))
            table = np.broadcast_to(step.layer.tables(part, counts, NUMPY), (len(images), channels, 256))
            tables = (table if tables is None else np.take_along_axis(table, tables, axis=2)).astype(np.uint8)
        if tables is not None:
            kernels.recolour(images, tables, None)
        return images


@dataclass
class MixingStage(Stage):
    """Two pictures become one."""

    kind = "mixing"

    @property
    def layer(self) -> Mixing:
        return self.steps[0].layer

    def mix(self, levels: Array, others: Array, parameters: Array, xp: Arrays) -> Array:
        return self.layer.mix(levels, others, parameters, xp)


@dataclass(frozen=True)
class ForeignStage:
    """Another package's augmentation, in its place."""

    label: str
    augmentation: ForeignAugmentation
    kind = "foreign"


def plan_stages(specs: Sequence[str], shape: Shape, num_classes: int) -> list[Stage | ForeignStage]:
    """The stages that do what the named augmentations do, in their order.

    Raises:
        UnknownName, WrongOption: an augmentation is not there or does not take its options.
        BrokenPlugin: an augmentation changes the pictures' shape or cannot take them.
    """
    stages: list[Stage | ForeignStage] = []
    for stream, (label, layer) in enumerate(_layers(specs)):
        if not isinstance(layer, Augmentation):
            stages.append(ForeignStage(label, ForeignAugmentation(layer, label, stream, shape, num_classes)))
            continue
        for step in _steps(layer, label, stream):
            if stages and isinstance(stages[-1], Stage) and stages[-1].takes(step):
                stages[-1].steps.append(step)
            else:
                stages.append(_new_stage(step, shape))
    return stages


def describe(stages: Sequence[Stage | ForeignStage]) -> list[dict[str, Any]]:
    """The plan as plain data: for each stage its `kind`, what it does, and its augmentations."""
    return [
        {
            "kind": stage.kind,
            "how": _HOW[stage.kind],
            "augmentations": [stage.label] if isinstance(stage, ForeignStage) else [s.label for s in stage.steps],
        }
        for stage in stages
    ]


_HOW = {
    "geometric": "one map a picture, resampled once",
    "colour": "one pass over the pixels",
    "alone": "by itself, compiled",
    "mixing": "with another picture of the training split",
    "foreign": "as it is, picture by picture",
}


def _layers(specs: Sequence[str]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The layers and functions that the specs name, recipes taken apart, each with what it is called."""
    for spec in specs:
        built = AUGMENTATIONS.build(spec)
        if isinstance(built, keras.layers.Pipeline):
            for layer in built.layers:
                yield f"{type(layer).__name__.lower()} of {spec}", layer
        else:
            yield str(spec), built


def _steps(layer: Augmentation, label: str, stream: int) -> Iterator[Step]:
    if not isinstance(layer, Policy):
        yield Step(layer, label, stream, 1 + layer.num_draws)
        return
    for part in layer.parts():
        name = f"{type(part.layer).__name__.lower()} of {label}"
        yield Step(part.layer, name, stream, 1 + layer.num_draws, _on_host(part.uniform))


def _on_host(uniform: Callable[[Array, Arrays], Array]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda numbers: uniform(numbers, NUMPY)


def _new_stage(step: Step, shape: Shape) -> Stage:
    if isinstance(step.layer, Geometric):
        return GeometricStage([step], shape)
    if isinstance(step.layer, Curves | ChannelMix):
        return ColourStage([step], shape)
    if isinstance(step.layer, Mixing):
        return MixingStage([step], shape)
    return Stage([step], shape)


def _through(tables: np.ndarray | None, counts: np.ndarray) -> np.ndarray:
    """The histograms (batch, channels, 256) that pictures have after they went through tables of the same shape."""
    if tables is None:
        return counts
    rows = np.arange(counts.shape[0] * counts.shape[1])[:, None] * 256
    places = (rows + tables.reshape(-1, 256)).reshape(-1)
    moved = np.bincount(places, weights=counts.reshape(-1), minlength=counts.size)
    return moved.astype(np.int32).reshape(counts.shape)
