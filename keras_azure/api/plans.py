"""`keras_azure.plan`, what `kaz plan` does, as a function; and the look ahead before a run is submitted."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from keras_azure.api.settings import SettingsElsewhere
from keras_azure.backends.asked import all_machines, machine_of
from keras_azure.backends.machine import Machine
from keras_azure.data.local_files import is_here
from keras_azure.data.locate import paths_in
from keras_azure.description.config import RunConfig, describe_run, height_and_width
from keras_azure.description.events import Observer
from keras_azure.errors import DoesNotFit, TooExpensive, UsageError
from keras_azure.keras_engine import asked_engine, load_on
from keras_azure.lazy import lazy
from keras_azure.listeners.display import display_for_here, span
from keras_azure.registry.given import Plugin


def plan(
    model: Plugin | None = None,
    *,
    config: str | Path | None = None,
    backend: str | Sequence[str] = (),
    pictures: int | None = None,
    classes: int = 10,
    channels: int = 3,
    prices: bool = False,
    region: str | None = None,
    observer: Observer | None = None,
    **settings: Unpack[SettingsElsewhere],
) -> dict[str, Any]:
    """What a run would need: memory, time and money, on one machine or on all, side by side. Nothing is trained.

        plan = keras_azure.plan("resnet50", pictures=50_000, image_size=(224, 224))
        plan["memory"]["total"], plan["machines"][0]["seconds"]

    Args:
        model, config, settings: as in `keras_azure.run`.
        backend: the machines: "local", "azure-nc6", or several; by default all that backends have to choose from,
            such as Azure's current sizes.
        pictures: how many there are to train with, where the data is not here; with `image_size`.
        classes, channels: of these.
        prices: with today's, such as those of Azure's public list, which needs a network; else those that are known.
        region: of these prices; by default the backend's own.
        observer: hears of the progress instead of the display.

    Returns:
        A JSON-safe mapping. Bytes, seconds and US dollars; what is a range is a list of its low and its high end.

    Raises:
        KerasAzureError: what was asked for is not possible; see `keras_azure.errors`.
    """
    image_size = height_and_width(settings.pop("image_size", None)) if pictures is not None else None
    if pictures is not None and (image_size is None or pictures < 2 or classes < 2 or channels not in (1, 3)):
        raise UsageError(
            f"{pictures} pictures that are not here can only be planned for with their size.",
            hint="--pictures 50000 --image-size 224 224 --classes 10",
        )
    described = describe_run(model, config, settings)
    if described.engine == "jax":
        raise UsageError("A plan is of the training step on TensorFlow.", hint="--engine tensorflow")
    backends = [backend] if isinstance(backend, str) else list(backend)
    facts = (pictures, (*image_size, channels), classes) if pictures is not None and image_size is not None else None
    with display_for_here(observer) as display:
        once = Once(display)
        machines = [machine_of(each, once, prices=prices, region=region) for each in backends]
        machines = machines or all_machines(once, prices=prices, region=region)
        return _plan_run(described, machines, display, facts)


class Once(Observer):
    """Passes each message on once: backends of one kind say the same of each machine, and data is looked at twice."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._told: set[str] = set()

    def message(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._observer.message(text)

    def advance(self, activity: str, done: int, total: int) -> None:
        self._observer.advance(activity, done, total)


def look_ahead(
    config: RunConfig,
    observer: Observer | None,
    *,
    force: bool,
    max_cost: float | None,
    confirm: Callable[[str], bool] | None,
) -> None:
    """Looks, before a run is submitted, whether it fits and what it will cost, and says so.

    Args:
        force: submits what does not fit, and looks at the data alone.
        max_cost: US dollars up to which nobody is asked.
        confirm: asks; without it what may cost more is refused.

    Raises:
        DoesNotFit: there is not memory enough for a step.
        TooExpensive: it may cost more, and nobody agreed to that.
    """
    if force and max_cost is None:
        tell_of_data(config, observer)
        return
    if asked_engine(config.engine) != "tensorflow":
        if max_cost is not None:
            raise UsageError(
                "What a run costs is known before on TensorFlow alone.", hint="--engine tensorflow, or no --max-cost"
            )
        tell_of_data(config, observer)
        return
    if not is_here(config.data):  # the node fetches it
        if max_cost is not None:
            raise UsageError(
                f"What a run on {config.data} costs is not known before: the data is not here.", hint="no --max-cost"
            )
        return
    with display_for_here(observer) as display:
        machine = machine_of(config.backend, display)
        if not machine.is_known:
            if max_cost is not None:
                raise UsageError(
                    f"What a run on {config.backend} costs is not known before: {machine.note or 'nor is its memory'}.",
                    hint="no --max-cost",
                )
            display.message(f"{machine.backend}: {machine.note or 'its memory is not known'}")
            tell_of_data(config, display)
            return
        if max_cost is not None and machine.price is None:
            machine = machine_of(config.backend, display, prices=True)
        estimate = _plan_run(config, [machine], display, None)["machines"][0]
        if not estimate["fits"] and not force:
            needed, limit = (f"{estimate[name] / 1e9:.1f} GB" for name in ("memory_needed", "memory_limit"))
            raise DoesNotFit(
                f"Training needs {needed} of GPU memory, and of {machine.name or machine.backend} it can have {limit}.",
                hint=f"{estimate['advice']}; --force submits it nevertheless; kaz plan shows where it fits",
            )
        text = _in_words(estimate)
        if text:
            display.message(text)
    _agree(estimate, max_cost, confirm)


def tell_of_data(config: RunConfig, observer: Observer | None) -> None:
    """Looks at data that lies on this machine, and says of it what a run here would say.

    Raises:
        DataError: it cannot be used as it is.
    """
    if paths_in(config.data_spec):
        with display_for_here(observer) as display:
            look_at_data: Callable[[RunConfig, Observer], None] = lazy("keras_azure.data.overview:look_at_data")
            look_at_data(config, display)


def _agree(estimate: Mapping[str, Any], max_cost: float | None, confirm: Callable[[str], bool] | None) -> None:
    if max_cost is None:
        return
    usd = estimate["usd"]
    if usd is not None and usd[1] <= max_cost:
        return
    known = f"may cost up to {usd[1]:.2f} USD" if usd is not None else "may cost anything: no price is known"
    problem = f"The run {known}, and --max-cost is {max_cost:g}"
    if confirm is None or not confirm(f"{problem}. Submit it?"):
        raise TooExpensive(f"{problem}. Nothing was submitted.", hint="a higher --max-cost; kaz plan shows other sizes")


def _in_words(estimate: Mapping[str, Any]) -> str:
    """ "Estimated: 5 to 12 min of training, 0.20 to 0.34 USD (price of 2026-11-26)"; nothing where nothing is known."""
    if estimate["seconds"] is None:
        return ""
    parts = [f"Estimated: {span(estimate['seconds'])} of training"]
    if estimate["usd"] is not None:
        low, high = estimate["usd"]
        date = estimate["price"]["date"]
        parts.append(f"{low:.2f} to {high:.2f} USD with the node's start and end (price of {date})")
    return ", ".join(parts)


def _plan_run(
    config: RunConfig,
    machines: Sequence[Machine],
    display: Observer,
    facts: tuple[int, tuple[int, int, int], int] | None,
) -> dict[str, Any]:
    plan_run: Callable[..., dict[str, Any]] = load_on("tensorflow", "keras_azure.planning.plan:plan_run", display)
    return plan_run(config, machines, display, facts=facts)
