"""The machines that a run could go to, and what of their memory is left for it."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from keras_azure.backends.azure.sizes import SIZES, Price, Size, find_size, substitute
from keras_azure.errors import UsageError
from keras_azure.registry.registry import as_spec
from keras_azure.registry.specs import Spec

_IDLE_MINUTES = 2  # by default, as the Azure backends have it
# TensorFlow leaves the driver and others this share of a GPU's memory, and not less than so many bytes
# (MinSystemMemory in tensorflow/core/common_runtime/gpu/gpu_device.cc).
_RESERVED_SHARE = 0.05
_RESERVED_BYTES = 300 << 20
_AZURE = "azure-"


@dataclass(frozen=True)
class Machine:
    """Where a run would be.

    Attributes:
        backend: the backend's name.
        size: of the machine; None for this one.
        nodes: how many of them.
        spot: whether they are spare ones, which may be taken away.
        idle_minutes: after which a node goes.
        note: what the user should know of it.
    """

    backend: str
    size: Size | None = None
    nodes: int = 1
    spot: bool = False
    idle_minutes: float = _IDLE_MINUTES
    note: str = ""

    @property
    def memory(self) -> int:
        """Bytes that training may have: of one GPU, or what is free in this machine."""
        if self.size is None:
            return psutil.virtual_memory().available
        total = int(self.size.gpu_memory_gb * 1e9)
        return total - max(_RESERVED_BYTES, int(_RESERVED_SHARE * total))


def machine_of(backend: str) -> Machine:
    """The machine of a backend, such as "local" or "azure-nc6(nodes=1, spot=True)"; a retired one's successor.

    Raises:
        UsageError: it is no machine whose size is known.
    """
    spec = as_spec(backend)
    if spec.name.startswith("local"):
        return Machine(spec.name)
    if not spec.name.startswith(_AZURE):
        raise UsageError(
            f"The machines of the backend {spec.name!r} are not known.", expected="local, or one of Azure's sizes"
        )
    return _on_azure(find_size(spec.name), spec)


def current_machines() -> list[Machine]:
    """One machine of each of Azure's sizes that is not retired and that TensorFlow's packages for NVIDIA run on."""
    today = datetime.date.today()
    return [Machine(size.backend_name, size) for size in SIZES if not size.is_retired(today) and not size.needs_rocm]


def _on_azure(asked: Size, spec: Spec) -> Machine:
    substitution = substitute(asked, datetime.date.today())
    note = ""
    if substitution.size is not asked:
        losses = f", with {', '.join(substitution.losses)}" if substitution.losses else ""
        note = f"{asked.short_name} was retired on {asked.retirement}: {substitution.size.short_name} instead{losses}"
    options = spec.options
    return Machine(
        spec.name,
        substitution.size,
        nodes=int(options.get("nodes", 1)),
        spot=bool(options.get("spot", False)),
        idle_minutes=0 if options.get("serverless") else float(options.get("idle_minutes", _IDLE_MINUTES)),
        note=note,
    )


@dataclass(frozen=True)
class Prices:
    """What machines cost an hour, by the names of sizes, beyond what their table has.

    Attributes:
        dedicated, spot: of machines that stay, and of spare ones.
    """

    dedicated: Mapping[str, Price]
    spot: Mapping[str, Price]

    def of(self, machine: Machine) -> Price | None:
        """The newest price of one node; None if none is known. The table has none of spare machines."""
        if machine.size is None:
            return None
        if machine.spot:
            return self.spot.get(machine.size.name)
        return self.dedicated.get(machine.size.name) or next(reversed(machine.size.prices), None)
