"""The model of a run, built and compiled as its config says."""

from typing import TYPE_CHECKING, Any, TypeVar

import keras
import numpy as np
from keras.src.utils.naming import reset_uids

from keras_azure.data import Dataset, TaskName, task_of_data
from keras_azure.data.overview import check_task
from keras_azure.description.config import RunConfig
from keras_azure.description.stages import learning_rates
from keras_azure.errors import BrokenPlugin, UsageError
from keras_azure.models.kinds import Model, kind_of
from keras_azure.models.measures import over_present_classes
from keras_azure.registry.registry import AUGMENTATIONS, LOSSES, METRICS, MODELS, OPTIMIZERS, Registry, as_spec
from keras_azure.training.standardizing import Statistics, standardized
from keras_azure.training.tasks import CLASSIFY, Task, task_of, task_of_labels

if TYPE_CHECKING:
    from keras_azure.training.data import DataFacts  # which loads augmentations: a step alone needs none

Made = TypeVar("Made")
# What a model gives for each of what the labels of a task are.
_OUTPUTS: dict[TaskName, tuple[str, str]] = {
    "classify": ("probability", "classes"),
    "multilabel": ("probability", "labels"),
    "regress": ("number", "numbers"),
}


def check_options(config: RunConfig) -> None:
    """Finds wrong options before any picture is read.

    Raises:
        WrongOption: an option of the model, an augmentation, the optimizer, the loss or a metric is wrong.
        ConfigError: a stage's learning rate is too high.
        BrokenPlugin: a plugin cannot be imported.
    """
    if config.task != "auto":
        check_task(config, config.task)
    MODELS.check_options(config.model, positional=2)
    for augmentation in config.augment:
        AUGMENTATIONS.build(augmentation)  # which also finds values that are out of their range
    learning_rates(config.stages, initial_learning_rate(config))
    build_optimizer(config, 1.0, 1)
    build_loss(config, CLASSIFY.loss if config.task == "auto" else task_of_labels(config.task).loss)
    build_metrics(config)


def build_model(config: RunConfig, dataset: "Dataset | DataFacts", statistics: Statistics | None = None) -> Model:
    """The model for the pictures and classes of `dataset`, not compiled; `statistics` are those to standardise by.

    Raises:
        WrongOption: an option of the model is wrong.
        BrokenPlugin: the model plugin fails or breaks its contract.
    """
    num_classes, labels = len(dataset.class_names), task_of_data(dataset)
    check_task(config, labels)
    named = {"task": labels} if MODELS.takes(config.model, "task") else {}
    # Just before the layers draw their seeds: what was imported or read until now may have drawn as well.
    keras.utils.set_random_seed(config.seed)
    # Keras numbers what has no name within a process: a second run would have other names in its model's file. Its
    # public `clear_session` would forget the user's settings as well.
    reset_uids()
    model = MODELS.build(config.model, dataset.image_shape, num_classes, **named)
    kind = kind_of(model)
    allowed = ((None, num_classes), (None, *dataset.image_shape))
    if kind is None or kind.output_shape(model) not in allowed:
        made = f"a {type(model).__name__}" if kind is None else f"outputs of {kind.output_shape(model)}"
        given, of = _OUTPUTS[labels]
        raise BrokenPlugin(
            f"The model {config.model} gives {made}.",
            expected=f"a keras.Model with one {given} for each of {num_classes} {of}",
            hint=f"kaz check {config.model_spec.name}",
        )
    return kind.with_network(model, standardized(kind.network(model), config.standardize, statistics))


def compile_model(
    model: keras.Model,
    config: RunConfig,
    device: str,
    optimizer: keras.optimizers.Optimizer,
    task: Task | None = None,
) -> None:
    """Compiles a network for a task; by default to classify, or to give back images."""
    task = task or task_of(model)
    model.compile(
        optimizer=optimizer,
        loss=build_loss(config, task.loss),
        metrics=task.compiled_metrics(build_metrics(config)),
        # On a CPU TensorFlow's own kernels (oneDNN) train convolutions about twice as fast as XLA's; on a GPU, and
        # under JAX, which knows nothing else, XLA wins.
        jit_compile=False if keras.backend.backend() == "tensorflow" and device.startswith("cpu") else "auto",
    )


def build_optimizer(config: RunConfig, learning_rate: float, steps: int) -> keras.optimizers.Optimizer:
    """The optimizer of one stage of `steps` steps, whose learning rate rises to `learning_rate` at most."""
    optimizer = _plain_optimizer(config)
    if _has_schedule(optimizer):
        if config.schedule != "auto" or config.learning_rate is not None or config.fine_tune is not None:
            raise UsageError(
                f"The optimizer {config.optimizer} has a schedule of its own, which would be lost.",
                hint="no schedule, learning_rate and fine_tune; or an optimizer with a number as its learning rate",
            )
        return optimizer
    cosine = config.schedule == "cosine" or (config.schedule == "auto" and config.fine_tune is not None)
    optimizer.learning_rate = _cosine(learning_rate, config.warmup, steps) if cosine else learning_rate
    return optimizer


def follows_schedule(config: RunConfig) -> bool:
    """Whether the learning rate follows a schedule, so that nothing else can set it."""
    return _has_schedule(build_optimizer(config, 1.0, 1))


def _has_schedule(optimizer: keras.optimizers.Optimizer) -> bool:
    return isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule)


def initial_learning_rate(config: RunConfig) -> float:
    """The config's learning rate, or the one that its optimizer has by default."""
    if config.learning_rate is not None:
        return config.learning_rate
    return float(str(np.float32(_plain_optimizer(config).learning_rate)))  # 0.001, and not the float32 next to it


def _plain_optimizer(config: RunConfig) -> keras.optimizers.Optimizer:
    # With a name: Keras's own names count up within a process, and would make equal models unequal files.
    name = {"name": as_spec(config.optimizer).name} if OPTIMIZERS.takes(config.optimizer, "name") else {}
    clipping = {} if config.clip_norm is None else {"global_clipnorm": config.clip_norm}
    return _of_kind(keras.Optimizer, OPTIMIZERS, config.optimizer, **name, **clipping)


def _cosine(highest: float, warmup: float, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """From 0 up to `highest` in a straight line, and down to 0 along half a cosine (arXiv:1608.03983).

    A function of the optimizer's own count of steps, so that a run that goes on, goes on in it.
    """
    rising = round(warmup * steps)
    if not rising:
        return keras.optimizers.schedules.CosineDecay(highest, steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - rising, warmup_target=highest, warmup_steps=rising, name="warmup_and_cosine"
    )


def build_loss(config: RunConfig, default: str = CLASSIFY.loss) -> keras.losses.Loss:
    """The config's loss; without one that of its task, `default`."""
    name = config.loss or default
    smoothing = {"label_smoothing": config.label_smoothing} if config.label_smoothing else {}
    return _of_kind(keras.Loss, LOSSES, name, **smoothing)


def build_metrics(config: RunConfig) -> list[keras.metrics.Metric]:
    """The metrics that the config adds to accuracy, fresh; each time with the same names. Means over classes are of
    those that occur."""
    made: list[keras.metrics.Metric] = []
    for text in config.metrics:
        spec, name = as_spec(text), METRICS.signature(text).parameters.get("name")
        # Where none is given Keras counts up within a process: auc, auc_1, auc_2 in the stages of one run.
        counts_up = name is not None and name.default is None and spec.given is None
        before = sum(as_spec(earlier).name == spec.name for earlier in config.metrics[: len(made)])
        named = {"name": f"{spec.name}_{before}" if before else spec.name} if counts_up else {}
        made.append(over_present_classes(_of_kind(keras.Metric, METRICS, text, **named)))
    return made


def _of_kind(wanted: type[Made], registry: Registry[Made], spec: str, **defaults: Any) -> Made:
    """What a plugin, or Keras, makes of a spec such as `sgd(momentum=0.9)`.

    Raises:
        WrongOption: an option is wrong.
        BrokenPlugin: the plugin fails, or makes something else.
    """
    built = registry.build(spec, **defaults)
    if not isinstance(built, wanted):
        raise BrokenPlugin(
            f"The {registry.kind} {spec} ({registry.find(spec).origin}) is a {type(built).__name__}.",
            expected=f"a keras.{wanted.__name__}",
            hint=f"kaz check {as_spec(spec).name}",
        )
    return built
