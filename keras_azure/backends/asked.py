"""What registered backends are asked for, by whoever knows none of them by name."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from keras_azure.backends import OffersMachines, OnMachine, OpensJobs, RunningJob
from keras_azure.backends.machine import Machine
from keras_azure.description.events import Observer
from keras_azure.errors import ConfigError, KerasAzureError, UsageError
from keras_azure.registry.options import missing_options, option_parameters
from keras_azure.registry.registry import BACKENDS, as_spec
from keras_azure.registry.specs import Spec

NODE_OF = "KAZ_NODE_OF"  # the variable with which a backend may tell its nodes what `--backend` was


def machine_of(
    backend: str | Spec, observer: Observer | None = None, *, prices: bool = False, region: str | None = None
) -> Machine:
    """The machine of a backend; one of which nothing is known, with a note, where the backend does not tell.

    Args:
        backend: "local", "azure-nc6(spot=True)".
        observer, prices, region: as `OnMachine.machine` has them.
    """
    name, built = as_spec(backend).name, BACKENDS.build(backend)
    if not isinstance(built, OnMachine):
        return Machine(name, note="it does not say what its machines are: memory, time and cost are not known")
    found = built.machine(observer or Observer(), prices=prices, region=region)
    return dataclasses.replace(found, backend=name)


def all_machines(observer: Observer, *, prices: bool = False, region: str | None = None) -> list[Machine]:
    """The machines of all backends that have some to choose from.

    Raises:
        UsageError: none has.
    """
    found = [
        machine
        for _, backend in backends_that(OffersMachines, observer.message)
        for machine in backend.machines(observer, prices=prices, region=region)
    ]
    if not found:
        raise UsageError("No backend that is installed has machines to choose from.", hint="--backend local")
    return found


def job_of(description: Mapping[str, Any]) -> RunningJob:
    """The handle of a submitted run: its backend makes it, or where it names none the first that understands it.

    Raises:
        ConfigError: it describes no job.
    """
    named = description.get("backend")
    if named is not None:
        backend = BACKENDS.build(named if isinstance(named, Spec) else str(named))
        if not isinstance(backend, OpensJobs):
            raise ConfigError(f"This describes no job: the backend {named} opens none.", expected=_OF_A_JOB)
        return backend.open_job(description)
    refusals: list[ConfigError] = []
    for _, each in backends_that(OpensJobs):
        try:
            job: RunningJob = each.open_job(description)
            return job
        except ConfigError as error:
            refusals.append(error)
    raise refusals[0] if len(refusals) == 1 else ConfigError("This describes no job.", expected=_OF_A_JOB)


def backends_that(
    give: type[Any], tell: Callable[[str], None] = lambda text: None, *, flags: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, Any]]:
    """The registered backends with what a protocol asks for, by name, each with its default options.

    Args:
        give: the protocol: KeepsJobs.
        tell: hears which backends are left out, as they are broken.
        flags: options; a backend that does not have all of them is left out.
    """
    for name in sorted({entry.name for entry in BACKENDS.entries()}):
        try:
            spec, plugin = Spec(name, dict(flags or {})), BACKENDS.load(name)
            if missing_options(spec, plugin, 0) or set(spec.options) - set(option_parameters(plugin, 0)):
                continue
            backend = BACKENDS.build(spec)
        except KerasAzureError as error:
            tell(f"The backend {name} is left out: {error.problem}")
            continue
        if isinstance(backend, give):
            yield name, backend


_OF_A_JOB = "what a job's to_json() gives"
