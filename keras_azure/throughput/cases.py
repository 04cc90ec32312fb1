"""One model, measured with one batch size and precision, on pictures that are on the device already."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras

from keras_azure.description.config import RunConfig
from keras_azure.engines import steps_of
from keras_azure.engines.devices import device_name, on_device, peak_memory
from keras_azure.engines.keras_settings import keras_settings
from keras_azure.errors import UsageError
from keras_azure.models.weights import without_weights
from keras_azure.planning.operations import step_operations
from keras_azure.registry.registry import MODELS
from keras_azure.throughput.peak import Precision, documented_tflops
from keras_azure.throughput.step import KerasStep, OurStep, synthetic_batches
from keras_azure.throughput.timing import Candidate, Timing, measure
from keras_azure.throughput.utilisation import Utilisation, watched
from keras_azure.training.compiling import build_optimizer, compile_model, initial_learning_rate

PRECISIONS: dict[Precision, Literal["float32", "mixed_float16", "mixed_bfloat16"]] = {
    "float32": "float32",
    "float16": "mixed_float16",
    "bfloat16": "mixed_bfloat16",
}


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        model: its spec: "cnn", "resnet50(weights='none')".
        image_shape: height, width and channels.
        precision: what layers compute in; weights are float32.
        xla: whether XLA compiles the step; "auto" as a run decides.
        step: "ours", as a run trains; "keras", Keras's own compiled train_step.
        steps: of each lap; by default as many as take `seconds`.
    """

    model: str
    image_shape: tuple[int, int, int] = (224, 224, 3)
    classes: int = 10
    batch_size: int = 32
    precision: Precision = "float32"
    xla: Literal["auto", "on", "off"] = "auto"
    step: Literal["ours", "keras"] = "ours"
    device: Literal["auto", "cpu", "gpu"] = "auto"
    steps: int | None = None
    seconds: float = 1.0
    rounds: int = 5


def measure_case(case: Case, wait_for_turn: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Measures it; gives the numbers, JSON-safe: see `described`.

    Args:
        wait_for_turn: called before each round.
    """
    if case.xla == "off" and keras.backend.backend() == "jax":
        raise UsageError("JAX has no step without XLA.", expected="--xla auto or --xla on")
    config = RunConfig(case.model, batch_size=case.batch_size, precision=PRECISIONS[case.precision])
    with on_device(case.device) as device, keras_settings(config.precision):
        keras.utils.set_random_seed(config.seed)
        with without_weights():  # of which no time depends
            model: keras.Model = MODELS.build(case.model, case.image_shape, case.classes)
        compile_model(model, config, device, build_optimizer(config, initial_learning_rate(config), 1))
        if case.xla != "auto":
            model.jit_compile = case.xla == "on"
        batches = synthetic_batches(case.image_shape, case.classes, case.batch_size, device)
        step = OurStep(steps_of(model), batches[0]) if case.step == "ours" else KerasStep(model, batches)
        utilisation = Utilisation()
        timing = measure(
            {"step": Candidate(step.run, case.batch_size, case.steps)},
            rounds=case.rounds,
            seconds=case.seconds,
            wait_for_turn=wait_for_turn,
            around_laps=watched(device, utilisation),
        )["step"]
        operations = step_operations(model)
        return {
            **dataclasses.asdict(case),
            "engine": keras.backend.backend(),
            "device": device_name(device),
            "parameters": model.count_params(),
            **described(timing, device, utilisation),
            **flops(timing.images_per_second, operations.total, device, case.precision),
            "uncounted_layers": list(operations.uncounted),
        }


def described(timing: Timing, device: str, utilisation: Utilisation) -> dict[str, Any]:
    """What was measured: images/s over the rounds, seconds of steps, bytes of memory, the share of time a GPU works."""
    return {
        "images_per_second": timing.images_per_second,
        "rates": timing.rates,
        "step_seconds": timing.median_step,
        "step_seconds_p99": timing.slow_step,
        "steps_timed": len(timing.step_seconds),
        "first_step_seconds": timing.first_seconds,
        "peak_memory_bytes": peak_memory(device),
        "gpu_busy": utilisation.busy,
        "gpu_memory_bytes": utilisation.memory,
    }


def flops(images_per_second: float, operations: int, device: str, precision: Precision) -> dict[str, Any]:
    """Counted operations over time, and over the device's documented peak: model FLOPS utilisation (arXiv:2204.02311).

    Args:
        operations: of a training step, for one picture.
    """
    tflops, peak = images_per_second * operations / 1e12, documented_tflops(device, precision)
    return {
        "operations_per_image": operations,
        "tflops": tflops,
        "peak_tflops": peak,
        "flops_utilisation": tflops / peak if peak else None,
    }
