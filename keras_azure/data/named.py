"""The data sets that go by name and are made of no files that a user has named: `digits`, `tfds` and `mnist`."""

from collections.abc import Mapping
from pathlib import Path

from keras_azure.data.formats.options import check_image_size
from keras_azure.data.opened_later import OpenedLater
from keras_azure.description.events import Observer


class Digits(OpenedLater):
    """Handwritten digits, 0 to 9: 1437 for training and 360 for the test, 28x28 pixels in gray.

    Args:
        image_size: height and width that the pictures are stretched to.
    """

    def __init__(self, *, image_size: tuple[int, int] | None = None) -> None:
        check_image_size(image_size)
        super().__init__("keras_azure.data.digits:digits", image_size=image_size)

    def files(self, observer: Observer) -> list[Path]:
        return []  # scikit-learn brings them, wherever it is installed


class Tfds(OpenedLater):
    """A data set of the TensorFlow Datasets catalog, https://www.tensorflow.org/datasets/catalog.

    Args:
        name: as in the catalog: "mnist", "cifar10", "tf_flowers", with "/config" or ":version" if need be.
        image_size: height and width that the pictures are stretched to. By default they keep their size if they have
            one in common, and are brought to 224x224 if they have not.
        data_dir: where prepared data sets are; by default TFDS_DATA_DIR, or tensorflow_datasets in the home folder.
        download: fetches and prepares the data set if it is not there yet.
    """

    def __init__(
        self,
        *,
        name: str,
        image_size: tuple[int, int] | None = None,
        data_dir: str | None = None,
        download: bool = True,
    ) -> None:
        check_image_size(image_size)
        super().__init__(
            "keras_azure.data.tfds:TfdsDataset",
            name=name,
            image_size=image_size,
            data_dir=data_dir,
            download=download,
        )

    @staticmethod
    def from_text(text: str) -> Mapping[str, str]:
        return {"name": text.partition(":")[2]}


class Mnist(OpenedLater):
    """MNIST from TensorFlow Datasets: 60000 handwritten digits for training, 10000 for the test, 28x28 in gray.

    Args:
        image_size: height and width that the pictures are stretched to.
        data_dir: where prepared data sets are; by default TFDS_DATA_DIR, or tensorflow_datasets in the home folder.
        download: fetches and prepares the data set if it is not there yet.
    """

    def __init__(
        self, *, image_size: tuple[int, int] | None = None, data_dir: str | None = None, download: bool = True
    ) -> None:
        check_image_size(image_size)
        super().__init__(
            "keras_azure.data.tfds:TfdsDataset",
            name="mnist",
            image_size=image_size,
            data_dir=data_dir,
            download=download,
        )
