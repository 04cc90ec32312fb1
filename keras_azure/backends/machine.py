"""What is known of a machine that a run could go to: enough to plan memory, time and money on it."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal


@dataclass(frozen=True)
class Price:
    """What one machine costs, pay as you go, with Linux.

    Attributes:
        usd_per_hour: US dollars an hour.
        date: as exactly as it is known: "2019-09", "2026-11-24".
        region: as "eastus"; None if the source does not say.
        source: an address, or what else it was read in.
    """

    usd_per_hour: float
    date: str
    region: str | None
    source: str


@dataclass(frozen=True)
class Machine:
    """The nodes of a run, all alike. What is None is not known, and what needs it is not planned.

    Speeds are peaks of one whole GPU as its maker gives them, also where a machine has a part of one.

    Attributes:
        backend: what `--backend` calls it; need not be given where a user has named it.
        name: as its owner spells it: "Standard_NC24ads_A100_v4".
        here: whether it is this machine. Then memory and speed are found by trying, and what follows says nothing.
        device: of this machine, what a run is on.
        gpu: "A100", "A100 SXM".
        gpu_count: GPUs of a node; 1/6 where six nodes share one.
        gpu_memory_gb: GB of each GPU, or of the part of one that a node has.
        fp32_tflops: 10^12 operations a second in float32, not on tensor cores.
        tf32_tflops: the same in TF32: float32 on tensor cores, with fewer digits; None for a GPU that has no TF32.
        tensor_tflops: the same in float16 on tensor cores, without sparsity; None for a GPU that has none, too.
        memory_bandwidth_gbps: 10^9 bytes a second between the GPU and its memory.
        needs_rocm: whether it is a GPU of AMD's, on which packages for CUDA do not run.
        cores: virtual processors of a node.
        nodes: how many of them.
        spot: whether they are low-priority nodes, which may be evicted.
        idle_minutes: after which a node goes, when its work is done.
        price: of one node.
        instead_of: the machine that was asked for, where it is no more and this one takes its place.
        note: what the user should know of it.
    """

    backend: str = ""
    name: str | None = None
    here: bool = False
    device: Literal["auto", "cpu", "gpu"] = "auto"
    gpu: str | None = None
    gpu_count: Fraction | None = None
    gpu_memory_gb: float | None = None
    fp32_tflops: float | None = None
    tf32_tflops: float | None = None
    tensor_tflops: float | None = None
    memory_bandwidth_gbps: float | None = None
    needs_rocm: bool = False
    cores: int | None = None
    nodes: int = 1
    spot: bool = False
    idle_minutes: float = 0.0
    price: Price | None = None
    instead_of: "Machine | None" = None
    note: str = ""

    @property
    def is_known(self) -> bool:
        """Whether enough is known to tell what fits."""
        return self.here or self.gpu_memory_gb is not None
