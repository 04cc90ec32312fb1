"""The contract check of backends; what they do besides is tried in tests/system/backends/test_third_party.py."""

import dataclasses
import json

import pytest

from keras_azure.backends import Machine
from keras_azure.errors import ConfigError
from keras_azure.testing import ContractError, check_backend


class Runs:
    """A good backend, which each bad one spoils."""

    def run(self, config, run_dir, observer, *, resume=False): ...


class OfMachine(Runs):
    def __init__(self, machine):
        self._machine = machine

    def machine(self, observer, *, prices=False, region=None):
        return self._machine


class WithJobs(Runs):
    def submit(self, config, run_dir, observer, *, resume=False): ...

    def open_job(self, description):
        if "name" not in description:
            raise ConfigError("no job")
        return Job(description["name"])


@dataclasses.dataclass
class Job:
    name: str = "one"
    state: str = "Running"
    lines: tuple = ("first",)

    def status(self):
        return self.state

    def logs(self):
        yield from self.lines

    def cancel(self): ...

    def result(self, observer=None): ...

    def to_json(self):
        return {"backend": "mine", "name": self.name}


class Unlike(Job):
    def to_json(self):
        return {"backend": "mine", "name": "other"}


class NoJson(Job):
    def to_json(self):
        return {"backend": "mine", "name": self}


class Nowhere(Job):
    def to_json(self):
        return {"name": self.name}


@pytest.mark.parametrize(
    "backend",
    [
        *(Runs(), WithJobs(), "local", "local-cpu", "azure-nc6", "azure(size='nc6', spot=True)"),
        OfMachine(Machine(here=True)),
        OfMachine(Machine(name="Cow", gpu="Cow", gpu_memory_gb=3.5, nodes=2)),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_good_backends_pass(backend):
    check_backend(backend)


def test_a_good_job_passes():
    check_backend(WithJobs(), job=Job())
    assert json.dumps(Job().to_json())


class NoRun:
    pass


class OldRun:
    def run(self, config, run_dir): ...


class HalfJobs(Runs):
    def jobs(self, limit): ...


class NoMethod(Runs):
    doctor = "well"


class Asks(Runs):
    def machine(self, observer, price): ...


class OpensAll(WithJobs):
    def open_job(self, description):
        return Job()


class OpensNone(WithJobs):
    def open_job(self, description):
        return Job(description["name"])


@pytest.mark.parametrize(
    ("backend", "problem", "expected"),
    [
        (NoRun(), "it builds a NoRun without a method run", "a keras_azure.backends.Backend"),
        (OldRun(), "its method run(config, run_dir) cannot be called: too many positional", "run(config: "),
        (HalfJobs(), "it has no method find_job", "all of find_job and jobs, or none"),
        (NoMethod(), "its doctor is a str", "doctor()"),
        (Asks(), "its method machine(observer, price) cannot be called", "machine(observer"),
        (OpensAll(), "open_job({}) gives a job", "a ConfigError"),
        (OpensNone(), "open_job({}) raises KeyError", "a ConfigError"),
        (OfMachine({"gpu": "Cow"}), "its machine is a dict", "a keras_azure.backends.Machine"),
        (OfMachine(Machine(gpu_memory_gb=-1.0)), "its machine has gpu_memory_gb=-1.0", "above 0"),
        (OfMachine(Machine(nodes=0)), "its machine has nodes=0", "1 or more"),
        (OfMachine(Machine(fp32_tflops=float("nan"))), "its machine has fp32_tflops=nan", "above 0"),
        (OfMachine(Machine(cores=float("inf"))), "its machine has cores=inf", "above 0"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_a_bad_backend_is_told_what_is_wrong(backend, problem, expected):
    with pytest.raises(ContractError) as caught:
        check_backend(backend)
    assert problem in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("job", "problem"),
    [
        (object(), "its job has no cancel and no logs"),
        (Job(name=""), "its job is called ''"),
        (Job(state=None), "the state of its job is None"),
        (Job(lines=(b"bytes",)), "a line of its job's logs is b'bytes'"),
        (Unlike(), "open_job of what 'one' says of itself gives another job"),
        (NoJson(), "to_json of its job gives no JSON"),
        (Nowhere(), "to_json of its job is {'name': 'one'}"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_a_bad_job_is_told_what_is_wrong(job, problem):
    with pytest.raises(ContractError) as caught:
        check_backend(WithJobs(), job=job)
    assert problem in str(caught.value)
