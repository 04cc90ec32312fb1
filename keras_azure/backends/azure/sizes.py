"""The sizes of Azure's machines with GPUs, current and retired: one table, with a source for each row.

The facts are in sizes.toml, series by series as Microsoft's pages have them. What no source gives is None here.
"""

import datetime
import difflib
import re
import tomllib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from keras_azure.backends.machine import Price
from keras_azure.errors import UnknownName, UsageError

_GPUS_WITH_TF32 = ("A10", "A100", "H100", "H200", "GB200", "GB300", "RTX")  # NVIDIA's from Ampere on


@dataclass(frozen=True)
class Size:
    """A size of machine.

    Speeds are peaks of one whole GPU as its maker gives them, also where a machine has a part of one.

    Attributes:
        name: as Azure spells it: "Standard_NC24ads_A100_v4".
        series: as Microsoft's page of it is called: "NC_A100_v4".
        family: the name of the quota for its vCPUs in Azure ML's usages, without spaces, which Azure puts into some:
            "standardNCADSA100v4Family". Letters differ in case between Azure's answers.
        gpu: "A100", "A100 SXM".
        gpu_count: GPUs of the machine; 1/6 where six machines share one.
        gpu_memory_gb: GB of each GPU, or of the part of one that the machine has.
        fp32_tflops: 10^12 operations a second in float32, not on tensor cores.
        tensor_tflops: 10^12 operations a second in float16 on tensor cores (AMD: matrix cores), without sparsity;
            None for a GPU that has none, too.
        memory_bandwidth_gbps: 10^9 bytes a second between the GPU and its memory.
        needs_rocm: whether it is a GPU of AMD's, on which packages for CUDA do not run.
        vcpus: virtual processors.
        ram_gib: memory of the machine, GiB.
        infiniband: its rate, as far as it is documented: "HDR, 8 x 200 Gb/s"; None if it has no InfiniBand.
        nvlink: whether a page says that NVLink connects its GPUs.
        retirement: the day on which Azure stopped or will stop its machines; None if no such day is published.
        retirement_source: the address of the page that says so.
        successor: the name of the size that Microsoft recommends in its place; None: none given.
        source: the address of the page that describes the size.
        gpu_source: the address of the GPU's figures.
        prices: the newest last.
        note: where sources disagree, and what else to know.
    """

    name: str
    series: str
    family: str | None
    gpu: str
    gpu_count: Fraction
    gpu_memory_gb: int
    fp32_tflops: float | None
    tensor_tflops: float | None
    memory_bandwidth_gbps: int | None
    needs_rocm: bool
    vcpus: int
    ram_gib: int
    infiniband: str | None
    nvlink: bool
    retirement: datetime.date | None
    retirement_source: str | None
    successor: str | None
    source: str
    gpu_source: str
    prices: tuple[Price, ...]
    note: str

    @property
    def short_name(self) -> str:
        """The name without what all have: "NC6"."""
        return self.name.removeprefix("Standard_")

    @property
    def backend_name(self) -> str:
        """What `--backend` calls it: "azure-nc24ads-a100-v4"."""
        return f"azure-{_key(self.name)}"

    @property
    def tf32_tflops(self) -> float | None:
        """10^12 operations a second in TF32: float32 on tensor cores, with fewer digits. NVIDIA's data sheets (see
        `gpu_source` of A100 and H100) have half of what they have for float16. None for a GPU that has no TF32."""
        if self.tensor_tflops is None or self.gpu.split()[0] not in _GPUS_WITH_TF32:
            return None
        return self.tensor_tflops / 2

    def is_retired(self, on: datetime.date) -> bool:
        """Whether Azure has stopped its machines by that day; some regions keep a size longer, see its note."""
        return self.retirement is not None and self.retirement <= on


@dataclass(frozen=True)
class Substitution:
    """What a size is replaced by.

    Attributes:
        size: one that is not retired; the size itself if it is not.
        losses: what it has less of, in words: "2 GPUs instead of 4", "no InfiniBand".
    """

    size: Size
    losses: tuple[str, ...]


def find_size(name: str) -> Size:
    """The size of that name: `Standard_NC6`, `nc6`, or its backend, `azure-nc6`.

    Raises:
        UnknownName: there is none; the nearest names are in the message.
    """
    if (size := _BY_KEY.get(_key(name))) is not None:
        return size
    nearest = difflib.get_close_matches(_key(name), _BY_KEY, n=3, cutoff=0.4)
    raise UnknownName(
        f"There is no Azure size called {name!r}.",
        expected=f"such as {', '.join(_BY_KEY[key].short_name for key in nearest)}" if nearest else "",
        hint="kaz sizes",
    )


def substitute(size: Size, on: datetime.date) -> Substitution:
    """The size that runs instead of `size` on that day: the successor, or that one's successor, that is not retired.

    Raises:
        UsageError: Microsoft gives no successor.
    """
    current = size
    while current.is_retired(on):
        if current.successor is None:
            raise UsageError(
                f"The size {current.name} was retired on {current.retirement}, and Microsoft names none in its place.",
                hint="kaz sizes --available",
            )
        current = find_size(current.successor)
    return Substitution(current, tuple(_losses(size, current)))


def _losses(before: Size, after: Size) -> list[str]:
    losses = []
    if after.gpu_count < before.gpu_count:
        losses.append(f"{_in_words(after.gpu_count)} instead of {before.gpu_count}")
    if after.gpu_memory_gb < before.gpu_memory_gb:
        losses.append(f"{after.gpu_memory_gb} GB of memory a GPU instead of {before.gpu_memory_gb} GB")
    if before.infiniband and not after.infiniband:
        losses.append("no InfiniBand")
    if before.nvlink and not after.nvlink:
        losses.append("no NVLink")
    return losses


def _in_words(count: Fraction) -> str:
    if count < 1:
        return f"{count} of a GPU"
    return "1 GPU" if count == 1 else f"{count} GPUs"


def _key(name: str) -> str:
    """What is the same of all spellings of a name: "nc24ads-a100-v4"."""
    return re.sub("^(azure-)?(standard-)?", "", name.strip().lower().replace("_", "-"))


def _read_sizes() -> tuple[Size, ...]:
    table = tomllib.loads(Path(__file__).with_name("sizes.toml").read_text(encoding="utf-8"))
    gpus = {gpu["name"]: gpu for gpu in table["gpu"]}
    prices: dict[str, list[Price]] = {}
    for listed in table["prices"]:
        for name, amount in listed["sizes"].items():
            prices.setdefault(name, []).append(Price(amount, listed["date"], listed.get("region"), listed["source"]))
    return tuple(
        _size(row, series, gpus[series["gpu"]], tuple(prices.get(row["name"], ())))
        for series in table["series"]
        for row in series["sizes"]
    )


def _size(row: dict[str, Any], series: dict[str, Any], gpu: dict[str, Any], prices: tuple[Price, ...]) -> Size:
    facts = {**gpu, **series, **row}
    return Size(
        name=row["name"],
        series=series["name"],
        family=facts.get("family"),
        gpu=gpu["name"],
        gpu_count=Fraction(row["gpu_count"]),
        gpu_memory_gb=facts["gpu_memory_gb"],
        fp32_tflops=facts.get("fp32_tflops"),
        tensor_tflops=facts.get("tensor_tflops"),
        memory_bandwidth_gbps=facts.get("memory_bandwidth_gbps"),
        needs_rocm=facts.get("needs_rocm", False),
        vcpus=row["vcpus"],
        ram_gib=row["ram_gib"],
        infiniband=facts.get("infiniband"),
        nvlink=facts.get("nvlink", False),
        retirement=facts.get("retirement"),
        retirement_source=facts.get("retirement_source"),
        successor=row.get("successor"),
        source=series["source"],
        gpu_source=gpu["source"],
        prices=prices,
        note=" ".join(part["note"] for part in (row, series, gpu) if "note" in part),
    )


SIZES = _read_sizes()  # by use, NC before ND before NV, and by age
_BY_KEY = {_key(size.name): size for size in SIZES}
