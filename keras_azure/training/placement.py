"""Where the augmentations of a run are applied: by the host in the pipeline, or by the device in the training step."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import keras
import numpy as np
from keras import layers

from keras_azure.augmentations import Augment, DeviceAugment
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Listener
from keras_azure.engines import Steps, steps_of
from keras_azure.errors import UsageError
from keras_azure.training.compiling import compile_model
from keras_azure.training.data import Batch, RunData
from keras_azure.training.tasks import Task

if TYPE_CHECKING:
    import tensorflow as tf

Placement = Literal["host", "device"]
TRIED_STEPS = 20  # timed at each place; as many before are not, which compile and fill the pipeline


def placement_of(
    config: RunConfig, task: Task, augment: Augment | None, device: str
) -> Literal["host", "device", "tried"]:
    """Where a run augments; "tried" if only a trial can tell.

    On a CPU, "auto" is the host: the processor is the same, and the host's compiled loops are the faster form.

    Raises:
        UsageError: "device" is asked for, and the last augmentation is one that only the host can do.
    """
    if config.augment_on == "device" and not task.augments_on_device:
        raise UsageError(
            "The pictures that an autoencoder is to give back are augmented on the host.", hint="--augment-on host"
        )
    on_device = augment is not None and bool(augment.for_device) and task.augments_on_device
    if config.augment_on == "device" and augment is not None and not on_device:
        raise UsageError(
            f"The augmentation {config.augment[-1]} runs on the host only.",
            expected="at the end of the list an augmentation of this package",
            hint="--augment-on host",
        )
    if not on_device or config.augment_on == "host" or (config.augment_on == "auto" and device.startswith("cpu")):
        return "host"
    return "device" if config.augment_on == "device" else "tried"


def place_augmentations(
    model: keras.Model, data: RunData, config: RunConfig, device: str, epochs: tuple[int, int], listener: Listener
) -> tuple[Placement, Steps]:
    """Where to augment, and the steps to train by: of `model` itself, or of the one that augments in front of it.

    Raises:
        UsageError: as `placement_of`.
    """
    wanted = placement_of(config, data.task, data.augment, device)
    if wanted == "host":
        return "host", steps_of(model)
    augmenting = augmenting_model(model, data, config, device)
    if wanted == "device":
        return "device", steps_of(augmenting)
    listener.message("Trying where to augment: on the host, and on the device")
    candidates: dict[Placement, Steps] = {"host": steps_of(model), "device": steps_of(augmenting)}
    place, seconds = faster_place(
        {place: (steps, data.train_batches(*epochs, place)) for place, steps in candidates.items()}
    )
    times = ", ".join(f"{name} {1000 * value:.1f} ms" for name, value in seconds.items())
    listener.message(f"Augmenting on the {place}; a step took: {times}")
    return place, candidates[place]


def augmenting_model(model: keras.Model, data: RunData, config: RunConfig, device: str) -> keras.Model:
    """The model with the augmentations in front, trained with the model's own weights and optimizer.

    It takes `images` and `parameters`, as `data.train_batches(..., "device")` gives them.
    """
    assert data.augment is not None  # else nothing is to be placed
    augment = DeviceAugment(data.augment.for_device)
    shape = data.dataset.image_shape
    leaves, columns = data.augment.device_shape
    inputs = {
        "images": layers.Input((leaves, *shape), dtype="uint8", name="images"),
        "parameters": layers.Input((leaves, columns), dtype="int32", name="parameters"),
    }
    augmenting = keras.Model(inputs, model(augment(inputs)), name=f"augmenting_{model.name}")
    compile_model(augmenting, config, device, model.optimizer, data.task)
    return augmenting


def faster_place(
    candidates: "Mapping[Placement, tuple[Steps, tf.data.Dataset]]",
) -> tuple[Placement, dict[Placement, float]]:
    """Trains some steps at each place, takes them back, and gives the faster place and the seconds a step took.

    All candidates share one model's weights and optimizer; both are afterwards as they were.
    """
    variables = _variables(candidates)
    before = [np.array(variable) for variable in variables]
    seconds = {place: _seconds_a_step(steps, batches) for place, (steps, batches) in candidates.items()}
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    return min(seconds, key=lambda place: seconds[place]), seconds


def _variables(candidates: "Mapping[Placement, tuple[Steps, tf.data.Dataset]]") -> list[keras.Variable]:
    found: dict[int, keras.Variable] = {}
    for steps, _ in candidates.values():
        variables = [*steps.model.variables, *steps.model.optimizer.variables]
        found |= {id(variable): variable for variable in variables}
    return list(found.values())


def _seconds_a_step(steps: Steps, batches: "tf.data.Dataset") -> float:
    stream = iter(batches.repeat())  # as a short run may have fewer steps than are tried
    _make_steps(steps, stream)
    began = time.perf_counter()
    _make_steps(steps, stream)
    seconds = time.perf_counter() - began
    steps.synchronize()
    return seconds / TRIED_STEPS


def _make_steps(steps: Steps, batches: Iterator[Batch]) -> None:
    done = 0
    while done < TRIED_STEPS:
        done += steps.run(batches, TRIED_STEPS - done).steps
