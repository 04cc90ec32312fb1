"""A model, tested on the test part of its data: the same after training and whenever it is evaluated."""

import contextlib
from collections.abc import Callable, Iterator

from keras_azure.description.events import Observer
from keras_azure.errors import KerasAzureError, RunFailed, UnreadableFile
from keras_azure.models.kinds import Model
from keras_azure.pipeline import steps_in_epoch
from keras_azure.training.compiling import build_loss, build_metrics
from keras_azure.training.data import RunData
from keras_azure.training.evaluation import Exam, Predict
from keras_azure.training.tasks import About, Test


def examine(
    model: Model,
    data: RunData,
    about: About,
    observer: Observer,
    check: Callable[[], None] = lambda: None,
    predict: Predict | None = None,
) -> tuple[Test, RunData]:
    """Tests a model, and gives the data with the test images that it was tested on.

    Test images that cannot be read are left out, which the observer hears: a run that is trained can be ended.

    Args:
        model: as it was saved.
        about: what its file says of it.
        check: raises where the test is to be stopped.
        predict: what is made of images, where it is not what the model makes of them.

    Raises:
        UnreadableFile: no image can be read.
        RunFailed: the model cannot compute.
    """
    kind = data.task.kind
    predict = predict or (lambda pixels: kind.predict(model, pixels))
    try:
        with failures(data, "Testing"):
            return _test(predict, data, about, observer, check), data
    except UnreadableFile as error:
        readable = data.with_readable_test(observer)
        left_out, count = len(data.test) - len(readable.test), len(data.test)
        if left_out in (0, count):
            raise
        observer.message(f"{left_out} of {count} test pictures cannot be read, and are not tested on: {error.problem}")
    with failures(readable, "Testing"):
        return _test(predict, readable, about, observer, check), readable


def _test(predict: Predict, data: RunData, about: About, observer: Observer, check: Callable[[], None]) -> Test:
    count = steps_in_epoch(len(data.test), data.config.batch_size)

    def tell(done: int) -> None:
        observer.advance("Testing", done, count)
        check()

    exam = Exam(
        predict,
        data.ordered_batches(data.test),
        build_loss(data.config, data.task.loss),
        build_metrics(data.config),
        tell,
    )
    return data.task.evaluate(exam, about)


@contextlib.contextmanager
def failures(data: RunData, doing: str = "Training") -> Iterator[None]:
    """Turns what an engine raises into the error of the image behind it, or else of the run."""
    try:
        yield
    except KerasAzureError:
        raise
    except Exception as error:
        if data.failure is not None:
            raise data.failure from None
        if _is_out_of_memory(error):
            raise RunFailed(
                "There is not enough memory to go on.",
                hint="a smaller --batch-size, --cache disk, or a machine with more memory",
            ) from error
        raise RunFailed(f"{doing} failed: {type(error).__name__}: {error}") from error


def _is_out_of_memory(error: Exception) -> bool:
    """Also by what TensorFlow and JAX call it."""
    names = (type(error).__name__, str(error))
    return isinstance(error, MemoryError) or any(
        word in text for word in ("ResourceExhausted", "RESOURCE_EXHAUSTED", "MemoryError") for text in names
    )
