"""What `keras_azure.run` and the other functions take by name: so that editors and type checkers know it.

Made of RunConfig and of the backends' options by tests/fixtures/settings.py: change it there.
"""

# ruff: noqa: E501

from collections.abc import Sequence
from typing import Literal, TypedDict

from keras_azure.data.given import Data
from keras_azure.registry.given import Plugin


class SettingsElsewhere(TypedDict, total=False):
    """All but `backend`, which some functions take in another way."""

    data: Data | None
    """The data set: a name, tfds:NAME, or the path of a folder or a file: pictures, IDX, zip, tar, npz, parquet, a table such as .csv."""

    task: Literal["auto", "classify", "multilabel", "regress"] | None
    """What is learned: a class for each image, several labels, or numbers; auto: what the labels say."""

    augment: Plugin | Sequence[Plugin] | None
    """An augmentation; may be given several times and keeps its order."""

    augment_on: Literal["auto", "host", "device"] | None
    """Where augmentations run; auto: on the host, or in the step of a GPU that it cannot keep up with."""

    standardize: Literal["none", "featurewise", "samplewise"] | None
    """Bring pixels to mean 0 and deviation 1: over the training pictures, or each picture by itself."""

    cache: Literal["auto", "memory", "disk", "none"] | None
    """Where decoded pictures are kept; auto: in memory if they fit, else on the disk, else not at all."""

    epochs: int | None
    """Epochs: how often training goes through the training images."""

    batch_size: int | None
    """The batch size: images per step."""

    steps_per_epoch: int | None
    """Steps that make an epoch of an endless stream. By default the whole data set makes an epoch."""

    fine_tune: str | None
    """Stages after the head's: 'blocks=2,epochs=3;blocks=4,epochs=2', or auto. By default none."""

    learning_rate: float | None
    """The learning rate. By default the optimizer's own."""

    optimizer: Plugin | None
    """The optimizer: adam, or with options: 'sgd(momentum=0.9)'."""

    schedule: Literal["auto", "constant", "cosine"] | None
    """How the learning rate goes; cosine: up, then down to 0; auto: cosine in fine-tuning, else constant."""

    warmup: float | None
    """The share of the steps in which a cosine schedule goes up."""

    clip_norm: float | None
    """Gradients are scaled down to this norm over all weights."""

    loss: Plugin | None
    """The loss. By default categorical_crossentropy, for several labels binary_crossentropy, and mean_squared_error for numbers and for an autoencoder."""

    label_smoothing: float | None
    """The share of each label that is spread over all classes in the loss."""

    class_weights: Literal["none", "balanced"] | None
    """Balanced: pictures of rare classes count more in the loss, so that all classes count the same."""

    metrics: Plugin | Sequence[Plugin] | None
    """A metric beside those of the task; may be given several times."""

    callbacks: Plugin | Sequence[Plugin] | None
    """A Keras callback: 'reduce_lr_on_plateau(patience=3)'; may be given several times."""

    validation_split: float | None
    """The share of the training pictures to validate on after each epoch."""

    early_stopping: int | None
    """Stop after so many epochs without a lower validation loss, or a better --monitor."""

    keep: Literal["last", "best"] | None
    """The epoch whose weights are saved; best: lowest validation loss, or best --monitor."""

    monitor: str | None
    """What epochs are judged by: val_loss, val_accuracy, or val_ and the name of a metric."""

    checkpoint_every: str | None
    """Checkpoints within epochs too, such as 500steps or 10min. By default after each epoch alone."""

    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] | None
    """The Keras dtype policy."""

    engine: Literal["auto", "tensorflow", "jax"] | None
    """What Keras computes with; auto: KERAS_BACKEND if it is set, else tensorflow."""

    seed: int | None
    """The random seed."""

    tracking: bool | None
    """Record the run with MLflow."""

    set: str | Sequence[str] | None
    """Options of the model, such as dropout=0.2."""

    image_size: int | tuple[int, int] | None
    """Resize all pictures to this height and width; a number is both."""

    skip_unreadable: bool | None
    """Leave out files that are no pictures, and count them."""

    split_names: str | None
    """Which folders of the data are its splits: train=FOLDER,test=FOLDER; or none."""

    bit_depth: int | None
    """How many bits the levels of images of 16 bits a channel use."""

    image_column: str | None
    """Of a table: the column of files."""

    label_column: str | Sequence[str] | None
    """Of a table: the column of labels, or several."""

    split_column: str | None
    """Of a table: the column of splits; none: there is none."""

    image_folder: str | None
    """Of a table: the folder that its paths are within."""

    label_separator: str | None
    """Of a table: what is between the labels of an image."""

    group_column: str | None
    """Of a table: images with the same value are in one split."""

    weight_column: str | None
    """Of a table: what each image counts in the loss."""

    size: str | None
    """Of the backend azure: of the machines, as kaz sizes has it."""

    nodes: int | None
    """Of the backend azure: of the job."""

    max_nodes: int | None
    """Of the backend azure: between which a new cluster scales; at 0 nodes it costs nothing."""

    min_nodes: int | None
    """Of the backend azure: between which a new cluster scales; at 0 nodes it costs nothing."""

    spot: bool | None
    """Of the backend azure: low-priority nodes, cheaper, which may be evicted: the job goes on after its last checkpoint."""

    idle_minutes: int | None
    """Of the backend azure: after which a node of a new cluster goes."""

    cluster: str | None
    """Of the backend azure: its name; by default kaz- and the size. It is created if it is not there, and never changed."""

    serverless: bool | None
    """Of the backend azure: no cluster: Azure ML finds machines for the job."""

    data_mode: Literal["auto", "mount", "download"] | None
    """Of the backend azure: whether nodes read data over a mount, or download it first; auto goes by its size and the epochs."""

    max_hours: float | None
    """Of the backend azure: after which Azure ends the job."""

    max_restarts: int | None
    """Of the backend azure: how many lost nodes the job survives."""

    register: str | None
    """Of the backend azure: the name in the workspace under which the model is registered."""

    strict_size: bool | None
    """Of the backend azure: refuse a size that Azure has retired, instead of taking its successor."""

    workspace: str | None
    """Of the backend azure: a config.json, or SUBSCRIPTION/GROUP/WORKSPACE. By default the nearest config.json."""

    device: Literal["auto", "cpu", "gpu"] | None
    """Of the backend local: auto, cpu also where there is a GPU, or gpu, an error where there is none."""


class Settings(SettingsElsewhere, total=False):
    """The fields of a run; None is what is not given."""

    backend: str | None
    """Where to run."""
