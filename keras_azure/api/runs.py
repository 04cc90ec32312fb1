"""The Python API: what `kaz run`, `resume`, `jobs`, `bench`, `preview` and `predict` do, as functions."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from keras_azure.api.plans import Once, look_ahead, tell_of_data
from keras_azure.api.settings import Settings
from keras_azure.backends import Backend, DryRuns, RunningJob, Submits
from keras_azure.backends.asked import job_of, machine_of
from keras_azure.data import TaskChoice
from keras_azure.data.given import Data, data_as_text
from keras_azure.data.locate import find_dataset
from keras_azure.description.commands import command
from keras_azure.description.config import RunConfig, describe_run, lay_over
from keras_azure.description.events import Observer
from keras_azure.description.folder import DESCRIPTION, choose_run_dir, is_finished, read_description, runs_folder
from keras_azure.description.result import RunResult
from keras_azure.errors import UsageError
from keras_azure.keras_engine import load_on, native_messages_held_back, prepare_keras
from keras_azure.lazy import lazy
from keras_azure.listeners.display import display_for_here
from keras_azure.registry.given import Plugin, as_text, typed_by_user
from keras_azure.registry.registry import AUGMENTATIONS, BACKENDS, DATASETS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keras_azure.models.predictor import Predictor


def run(
    model: Plugin | None = None,
    *,
    config: str | Path | None = None,
    output: str | Path | None = None,
    resume: bool | None = None,
    observer: Observer | None = None,
    force: bool = False,
    max_cost: float | None = None,
    confirm: Callable[[str], bool] | None = None,
    **settings: Unpack[Settings],
) -> RunResult:
    """Trains a model and gives back its result.

    Args:
        model: the model's name or spec: "cnn", "cnn(dropout=0.2)"; or a function `(input_shape, num_classes)` that
            builds it.
        config: a JSON file of settings, such as the run.json of another run; the arguments here lie over it.
        output: the run folder; by default a new one in `runs/` that is named after the time and the model. If there is
            an unfinished run of the same settings in it, that goes on.
        resume: True to go on with an unfinished run, in `output` or the newest one of these settings in `runs/`, and
            not to begin a new one; False for the opposite.
        observer: hears of the progress instead of the display.
        force: on a cluster, submits also what does not fit into a GPU's memory.
        max_cost: on a cluster, US dollars above which `confirm` is asked, with a text, or else nothing is submitted.
        confirm: gives whether to submit it.
        settings: the fields of `RunConfig`, such as `data="digits"`, `epochs=3`, for options of model and data
            `set=["dropout=0.2"]`, `image_size=64` or `(64, 48)`, `skip_unreadable=True`,
            `split_names="train=A,test=B"`, of a table `label_column="breed"`, and the options of the backend, such as
            `register="digits"`. In place of the name of a loss, a metric, an optimizer, an augmentation or a callback
            there may be a function, a class or an object of Keras's kind: see `keras_azure.registry.given`. `data`
            may also be arrays, `(x_train, y_train)` or `((x_train, y_train), (x_test, y_test))`, a
            `tf.data.Dataset` of (image, label), a DataFrame of file names and labels, or a data set such as a
            `keras_azure.ArrayDataset`. Labels of arrays may be classes; 0 and 1, (n, labels), where an image has
            several; or numbers to predict.

    Raises:
        KerasAzureError: what was asked for is not possible, or the run failed; see `keras_azure.errors`.
    """
    described, backend = _described(model, config, settings)
    with _run_dir(described, output, resume) as (run_dir, goes_on):
        if isinstance(backend, Submits) and not goes_on:
            look_ahead(described, observer, force=force, max_cost=max_cost, confirm=confirm)
        with display_for_here(observer) as display:
            if goes_on:
                display.message(f"Going on with the run in {run_dir}")
            return backend.run(described, run_dir, display, resume=goes_on)


def submit(
    model: Plugin | None = None,
    *,
    config: str | Path | None = None,
    output: str | Path | None = None,
    resume: bool | None = None,
    observer: Observer | None = None,
    force: bool = False,
    max_cost: float | None = None,
    confirm: Callable[[str], bool] | None = None,
    **settings: Unpack[Settings],
) -> RunningJob:
    """Begins a run on a cluster, and does not wait for its end.

        job = keras_azure.submit("cnn", backend="azure-nc6", epochs=3)
        job.status()  # "Running"
        job.result().test_accuracy  # waits, and fetches the run folder

    Args:
        model, config, output, resume, observer, force, max_cost, confirm, settings: as in `run`.

    Returns:
        A handle with `name`, `status`, `logs`, `result`, `cancel` and `to_json`; `job` makes it again.

    Raises:
        KerasAzureError: what was asked for is not possible; see `keras_azure.errors`.
    """
    described, backend = _described(model, config, settings)
    if not isinstance(backend, Submits):
        raise _refusal(described, "submits nothing")
    with _run_dir(described, output, resume) as (run_dir, goes_on):
        if not goes_on:
            look_ahead(described, observer, force=force, max_cost=max_cost, confirm=confirm)
        with display_for_here(observer) as display:
            return backend.submit(described, run_dir, display, resume=goes_on)


def job(description: Mapping[str, Any]) -> RunningJob:
    """The handle of a submitted run again, from what its `to_json` gave, in any process and on any machine.

    Raises:
        ConfigError: it describes no job.
    """
    return job_of(description)


def dry_run(
    model: Plugin | None = None,
    *,
    config: str | Path | None = None,
    output: str | Path | None = None,
    observer: Observer | None = None,
    **settings: Unpack[Settings],
) -> dict[str, Any]:
    """Writes what `submit` would send to the cluster into the run folder, without a login and a network.

    Args:
        model, config, output, observer, settings: as in `run`.

    Returns:
        What would be uploaded, on which machines it would run, and what looks like a secret.

    Raises:
        KerasAzureError: what was asked for is not possible; see `keras_azure.errors`.
    """
    described, backend = _described(model, config, settings)
    if not isinstance(backend, DryRuns):
        writes = "does not show what it would submit" if isinstance(backend, Submits) else "submits nothing"
        raise _refusal(described, writes)
    with _run_dir(described, output, resume=False) as (run_dir, _), display_for_here(observer) as display:
        once = Once(display)
        tell_of_data(described, once)
        return backend.dry_run(described, run_dir, once)


def _described(
    model: Plugin | None, config: str | Path | None, settings: Mapping[str, Any]
) -> tuple[RunConfig, Backend]:
    described = describe_run(model, config, settings)
    backend = BACKENDS.build(described.backend_spec)
    if isinstance(backend, Submits):
        _refuse_objects(described)
    return described, backend


def _refuse_objects(config: RunConfig) -> None:
    """
    Raises:
        UsageError: the run was given something in Python that only this process has.
    """
    for registry, spec in config.plugins():
        if spec.given is not None and registry is DATASETS:
            raise UsageError(
                f"The data {spec} is in the memory of this program, which no node of {config.backend} has.",
                expected="data that is on the disk, or goes by name",
                hint="numpy.savez('data.npz', x_train=..., y_train=..., x_test=..., y_test=...) and data='data.npz'; "
                "of a DataFrame, frame.to_csv('labels.csv') and data='labels.csv'",
            )
        if spec.given is not None:
            raise UsageError(
                f"The {registry.kind} {spec} is code of this program, which no node of {config.backend} has.",
                expected="the name of a plugin: a package of its own, which travels with the run",
                hint="kaz new model writes such a package; kaz list shows those that are there",
            )


@contextlib.contextmanager
def _run_dir(config: RunConfig, output: str | Path | None, resume: bool | None) -> Iterator[tuple[Path, bool]]:
    """The run folder, and whether the run in it goes on; gone again if nothing was written into it."""
    run_dir, goes_on = choose_run_dir(config, Path(output) if output is not None else None, resume)
    try:
        yield run_dir, goes_on
    finally:
        with contextlib.suppress(OSError):
            # Only what is empty goes: the folders of a run that could not even begin.
            run_dir.rmdir()
            runs_folder().rmdir()


def _refusal(config: RunConfig, why: str) -> UsageError:
    return UsageError(f"The backend {config.backend} {why}.", hint="another --backend; kaz list backends")


def resume(run_dir: str | Path, *, observer: Observer | None = None) -> RunResult:
    """Goes on with a run that was stopped, after its newest sound checkpoint, as if it had never stopped.

    Raises:
        UsageError: there is no run in the folder, or it is finished, or another process is at work in it.
    """
    run_dir = Path(run_dir).expanduser().absolute()
    config = read_description(run_dir)
    if is_finished(run_dir):
        raise UsageError(
            f"The run in {run_dir} is finished.",
            hint=f"to repeat it: {command('kaz', 'run', '--config', run_dir / DESCRIPTION)}",
        )
    if code := config.python_texts():
        raise UsageError(
            f"The run in {run_dir} was given objects of a Python program, which no file can bring back: "
            f"{', '.join(code)}.",
            expected="the same again from you",
            hint=f"keras_azure.run(...) with the same arguments and output={str(run_dir)!r}; for what can be imported "
            f"also {command('kaz', 'run', '--config', run_dir / DESCRIPTION, '--output', run_dir)}, with its name",
        )
    config = config.resolved()
    backend = BACKENDS.build(config.backend)
    with display_for_here(observer) as display:
        return backend.run(config, run_dir, display, resume=True)


def preview(
    data: Data = RunConfig.data,
    *,
    augment: Plugin | Sequence[Plugin] = (),
    samples: int = 6,
    draws: int = 6,
    seed: int = RunConfig.seed,
    observer: Observer | None = None,
    task: TaskChoice = RunConfig.task,
    image_size: int | tuple[int, int] | None = None,
    skip_unreadable: bool | None = None,
    split_names: str | None = None,
    bit_depth: int | None = None,
    image_column: str | None = None,
    label_column: str | Sequence[str] | None = None,
    split_column: str | None = None,
    image_folder: str | None = None,
    label_separator: str | None = None,
    group_column: str | None = None,
    weight_column: str | None = None,
) -> "Figure":
    """A contact sheet: training pictures beside what the augmentations make of them in each epoch.

    Args:
        data, task, image_size, skip_unreadable, split_names, bit_depth: as in `run`.
        image_column, label_column, split_column, image_folder, label_separator, group_column, weight_column: as in
            `run`, of a table.
        augment: the augmentations, in their order; names, or layers and functions of images.
        samples: how many pictures.
        draws: how many epochs of each.
        seed: the run's seed: the same draws are made in training.
        observer: hears of the progress instead of the display.

    Returns:
        A `matplotlib.figure.Figure`, which a notebook shows.

    Raises:
        KerasAzureError: what was asked for is not possible; see `keras_azure.errors`.
    """
    if samples < 1 or draws < 1:
        raise UsageError(f"{samples} samples with {draws} draws make no contact sheet.", expected="1 or more of each")
    given = augment if isinstance(augment, tuple | list) else (augment,)
    augmentations = tuple(typed_by_user(as_text(each)) for each in given)
    changes = {
        "image_size": image_size,
        "skip_unreadable": skip_unreadable,
        "split_names": split_names,
        "bit_depth": bit_depth,
        "image_column": image_column,
        "label_column": label_column,
        "split_column": split_column,
        "image_folder": image_folder,
        "label_separator": label_separator,
        "group_column": group_column,
        "weight_column": weight_column,
    }
    found = find_dataset(lay_over({"data": data_as_text(data)}, changes)["data"])
    if task != "auto" and DATASETS.takes(found, "task"):
        found = found.with_options(**{"task": task, **found.options})
    named = str(found)
    for augmentation in augmentations:
        AUGMENTATIONS.find(augmentation)
    prepare_keras()
    with display_for_here(observer) as display:
        with native_messages_held_back():
            contact_sheet: Callable[..., Figure] = lazy("keras_azure.augmentations.contact_sheet:contact_sheet")
        return contact_sheet(named, augmentations, samples, draws, seed, display)


def bench(
    model: Plugin | None = None,
    *,
    part: Literal["input", "step", "run"] = "run",
    config: str | Path | None = None,
    rounds: int = 3,
    seconds: float = 1.0,
    observer: Observer | None = None,
    **settings: Unpack[Settings],
) -> dict[str, Any]:
    """Measures this machine with a model and data; trains nothing to its end, and keeps nothing.

    Args:
        part: "input", "step" on made-up pictures, or "run": both alone, and together.
        model, config, observer, settings: as in `run`. Of a backend elsewhere only the price is taken.
        rounds: laps of each part, in turns; numbers are medians over them.
        seconds: a lap takes about so long.

    Returns:
        The report that `keras_azure.throughput.bench.bench` describes.

    Raises:
        KerasAzureError: what was asked for is not possible; see `keras_azure.errors`.
    """
    described = describe_run(model, config, settings)
    with display_for_here(observer) as display:
        measure: Callable[..., dict[str, Any]]
        measure = load_on(described.engine, "keras_azure.throughput.bench:bench", display)
        device = machine_of(described.backend).device
        return measure(part, described, display, rounds=rounds, seconds=seconds, device=device)


def load(run: str | Path) -> "Predictor":
    """The model of a finished run, to be asked about pictures.

        predictor = keras_azure.load("runs/20250101-120000-cnn")
        predictor.predict(["cat.jpg"])[0].class_name

    Args:
        run: the run folder, or the file of the model in it.

    Returns:
        A `keras_azure.models.predictor.Predictor`.

    Raises:
        KerasAzureError: there is no finished run, or its model gives no classes; see `keras_azure.errors`.
    """
    prepare_keras()
    with native_messages_held_back():
        load_run: Callable[[str | Path], Predictor] = lazy("keras_azure.models.predictor:load")
        lazy("keras.distribution:list_devices")()  # the first look at them makes TensorFlow talk about the driver
    return load_run(run)
