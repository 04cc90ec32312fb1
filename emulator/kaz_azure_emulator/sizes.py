"""Sizes of machines: what Azure's documentation of N-series sizes says, and a few without GPUs.

Sources: MicrosoftDocs/azure-compute-docs, `articles/virtual-machines/sizes/gpu-accelerated/` and `general-purpose/`.
Which of them a region offers to Azure ML is not documented; here it is all of them that are not retired.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """A size of machine, as `compute.list_sizes` shows it."""

    name: str  # "Standard_NC24ads_A100_v4"
    family: str  # "standardNCADSA100v4Family"
    cpus: int
    gpus: int
    memory_gib: float

    @property
    def family_title(self) -> str:
        """As quotas are called by: "Standard NCADSA100v4 Family"."""
        return f"Standard {self.family.removeprefix('standard').removesuffix('Family')} Family"


SIZES = (
    Size("Standard_DS3_v2", "standardDSv2Family", 4, 0, 14),
    Size("Standard_DS4_v2", "standardDSv2Family", 8, 0, 28),
    Size("Standard_D2s_v5", "standardDSv5Family", 2, 0, 8),
    Size("Standard_D4s_v5", "standardDSv5Family", 4, 0, 16),
    Size("Standard_D8s_v5", "standardDSv5Family", 8, 0, 32),
    Size("Standard_D16s_v5", "standardDSv5Family", 16, 0, 64),
    Size("Standard_E4s_v5", "standardESv5Family", 4, 0, 32),
    Size("Standard_E8s_v5", "standardESv5Family", 8, 0, 64),
    Size("Standard_F4s_v2", "standardFSv2Family", 4, 0, 8),
    Size("Standard_F8s_v2", "standardFSv2Family", 8, 0, 16),
    Size("Standard_NC4as_T4_v3", "standardNCASv3_T4Family", 4, 1, 28),
    Size("Standard_NC8as_T4_v3", "standardNCASv3_T4Family", 8, 1, 56),
    Size("Standard_NC16as_T4_v3", "standardNCASv3_T4Family", 16, 1, 110),
    Size("Standard_NC64as_T4_v3", "standardNCASv3_T4Family", 64, 4, 440),
    Size("Standard_NC24ads_A100_v4", "standardNCADSA100v4Family", 24, 1, 220),
    Size("Standard_NC48ads_A100_v4", "standardNCADSA100v4Family", 48, 2, 440),
    Size("Standard_NC96ads_A100_v4", "standardNCADSA100v4Family", 96, 4, 880),
    Size("Standard_NC40ads_H100_v5", "standardNCadsH100v5Family", 40, 1, 320),
    Size("Standard_NC80adis_H100_v5", "standardNCadsH100v5Family", 80, 2, 640),
    Size("Standard_ND96asr_v4", "standardNDASv4_A100Family", 96, 8, 900),
    Size("Standard_ND96amsr_A100_v4", "standardNDAMSv4_A100Family", 96, 8, 1900),
    Size("Standard_ND96isr_H100_v5", "standardNDSH100v5Family", 96, 8, 1900),
    Size("Standard_ND96isr_H200_v5", "standardNDISRH200V5Family", 96, 8, 1850),
    Size("Standard_NV6ads_A10_v5", "standardNVADSA10v5Family", 6, 1, 55),
    Size("Standard_NV12ads_A10_v5", "standardNVADSA10v5Family", 12, 1, 110),
    Size("Standard_NV18ads_A10_v5", "standardNVADSA10v5Family", 18, 1, 220),
    Size("Standard_NV36ads_A10_v5", "standardNVADSA10v5Family", 36, 1, 440),
    Size("Standard_NV72ads_A10_v5", "standardNVADSA10v5Family", 72, 2, 880),
)
_BY_NAME = {size.name.lower(): size for size in SIZES}


def size_of(name: str) -> Size | None:
    """By its name, however that is spelled: the service writes it in capitals."""
    return _BY_NAME.get(name.lower())
