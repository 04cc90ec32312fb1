"""The contract of backends: what they have is looked at, and nothing is started that costs money or needs a network."""

import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from numbers import Real

from keras_azure.backends import (
    Backend,
    DryRuns,
    Examined,
    KeepsJobs,
    OffersMachines,
    OnMachine,
    OpensJobs,
    RunningJob,
    Submits,
)
from keras_azure.backends.machine import Machine
from keras_azure.description.events import Observer
from keras_azure.errors import ConfigError
from keras_azure.registry.registry import BACKENDS
from keras_azure.registry.specs import Spec
from keras_azure.testing.findings import Findings, name_of, short, with_article

_OPTIONAL = (Submits, DryRuns, OpensJobs, KeepsJobs, OnMachine, OffersMachines, Examined)


def check_backend(backend: object, *, job: RunningJob | None = None) -> None:
    """Checks a backend: it has `run`, what it has besides is called as `keras_azure.backends` says, and what it tells
    of its machine makes sense.

    Args:
        backend: the backend, or the spec of a registered one.
        job: one that it gave, to be looked at and opened again.

    Raises:
        ContractError: the backend breaks its contract.
        KerasAzureError: there is no such plugin, it cannot be loaded, or does not take the options.

    Example:
        check_backend("my-cluster")
    """
    findings = Findings(f"The backend {name_of(backend)!r}")
    if isinstance(backend, str | Spec):
        backend = BACKENDS.build(backend)
    if not callable(getattr(backend, "run", None)):
        findings.add(f"it builds {with_article(backend)} without a method run", "a keras_azure.backends.Backend")
        findings.settle()
    for protocol in (Backend, *_OPTIONAL):
        findings.extend(_signature_problems(backend, protocol))
    findings.settle()
    if isinstance(backend, OnMachine):
        with findings.when("asked for its machine"):
            findings.extend(_machine_problems(backend.machine(Observer())))
    if isinstance(backend, OpensJobs):
        findings.extend(_refusal_problems(backend))
    if job is not None:
        with findings.when("asked for its job"):
            findings.extend(_job_problems(backend, job))
    findings.settle()


def _signature_problems(backend: object, protocol: type) -> Iterator[tuple[str, str]]:
    """Of the methods of a protocol that the backend has."""
    names = _members(protocol)
    missing = [name for name in names if not hasattr(backend, name)]
    if len(missing) not in (0, len(names)):
        yield f"it has no method {' and no '.join(missing)}", f"all of {' and '.join(names)}, or none"
    for name in names:
        if name not in missing:
            yield from _call_problems(name, getattr(backend, name), getattr(protocol, name))


def _members(protocol: type) -> list[str]:
    return sorted(name for name in {*vars(protocol), *protocol.__annotations__} if not name.startswith("_"))


def _call_problems(name: str, method: object, contract: Callable[..., object]) -> Iterator[tuple[str, str]]:
    _, *parameters = inspect.signature(contract).parameters.values()  # without self
    expected = f"{name}({', '.join(map(str, parameters))})"
    if not callable(method):
        yield f"its {name} is {with_article(method)}", expected
        return
    by_name = {each.name: None for each in parameters if each.kind is each.KEYWORD_ONLY}
    try:
        inspect.signature(method).bind(*[None] * (len(parameters) - len(by_name)), **by_name)
    except TypeError as error:
        yield f"its method {name}{inspect.signature(method)} cannot be called: {error}", expected


def _machine_problems(machine: object) -> Iterator[tuple[str, str]]:
    if not isinstance(machine, Machine):
        yield f"its machine is {with_article(machine)}", "a keras_azure.backends.Machine"
        return
    for field in fields(machine):
        value = getattr(machine, field.name)
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if is_number:
            least = 0 if field.name == "idle_minutes" else 1 if field.name == "nodes" else None
            if not (value > 0 if least is None else value >= least) or value == float("inf"):
                yield f"its machine has {field.name}={value}", f"{least} or more" if least is not None else "above 0"
    if machine.price is not None and not 0 <= machine.price.usd_per_hour < float("inf"):
        yield f"its machine costs {machine.price.usd_per_hour} US dollars an hour", "0 or more"


def _refusal_problems(backend: OpensJobs) -> Iterator[tuple[str, str]]:
    try:
        backend.open_job({})
    except ConfigError:
        return
    except Exception as error:  # whatever a stranger's code raises where something is missing
        yield f"open_job({{}}) raises {type(error).__name__}", "a ConfigError, as nothing describes no job"
    else:
        yield "open_job({}) gives a job", "a ConfigError, as nothing describes no job"


def _job_problems(backend: object, job: RunningJob) -> Iterator[tuple[str, str]]:
    missing = [name for name in _members(RunningJob) if not hasattr(job, name)]
    if missing:
        yield f"its job has no {' and no '.join(missing)}", "a keras_azure.backends.RunningJob"
        return
    if not isinstance(job.name, str) or not job.name:
        yield f"its job is called {job.name!r}", "a text"
    state = job.status()
    if not isinstance(state, str) or not state:
        yield f"the state of its job is {state!r}", "a word"
    if odd := [line for line in job.logs() if not isinstance(line, str)]:
        yield f"a line of its job's logs is {short(odd[0])}", "texts"
    described = job.to_json()
    try:
        restored = json.loads(json.dumps(described))
    except (TypeError, ValueError) as error:
        yield f"to_json of its job gives no JSON: {error}", "numbers, texts, lists and mappings with texts as keys"
        return
    if "backend" not in restored:
        yield f"to_json of its job is {short(described)}", 'with the "backend" that opens it'
    if isinstance(backend, OpensJobs):
        opened = backend.open_job(restored)
        if opened.name != job.name or opened.to_json() != described:
            yield f"open_job of what {job.name!r} says of itself gives another job", "the same one"
