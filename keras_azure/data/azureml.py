"""The data set `azureml`: data that is in an Azure ML workspace already, for runs there."""

from collections.abc import Mapping

from keras_azure.data.formats.images import readable_here, requirements_of
from keras_azure.data.formats.split_names import parse_split_names
from keras_azure.description.events import Observer
from keras_azure.errors import DataUnavailable


class AzureMl:
    """Data in an Azure ML workspace: a folder of IDX files or of pictures, which a job there reads.

    Args:
        asset: as Azure ML calls it: azureml:mnist:1, azureml:mnist@latest, azureml://datastores/.../paths/...
        image_size: height and width that the pictures are stretched to.
        skip_unreadable: leaves out what is no picture or is damaged.
        split_names: which folders are the splits: "train=Lehre,test=Pruefung".
        bit_depth: how many bits the levels of images of 16 bits a channel use.
    """

    def __init__(
        self,
        *,
        asset: str,
        image_size: tuple[int, int] | None = None,
        skip_unreadable: bool = False,
        split_names: str = "",
        bit_depth: int = 16,
    ) -> None:
        parse_split_names(split_names)
        self.asset = asset

    @staticmethod
    def from_text(text: str) -> Mapping[str, str]:
        return {"asset": text}

    def requirements(self) -> list[str]:
        return requirements_of(readable_here())

    def prepare(self, observer: Observer) -> None:
        raise DataUnavailable(
            f"The data {self.asset} is in an Azure ML workspace, and this run is on this machine.",
            hint="--backend azure-nc4as-t4-v3; or download it, and pass its folder",
        )
