"""What `keras_azure/__init__.py` imports when it is first used, for editors and type checkers."""

from keras_azure.api.check import check_data as check_data
from keras_azure.api.compare import compare as compare
from keras_azure.api.compare import runs as runs
from keras_azure.api.evaluation import evaluate as evaluate
from keras_azure.api.explanations import explain as explain
from keras_azure.api.plans import plan as plan
from keras_azure.api.reports import report as report
from keras_azure.api.runs import bench as bench
from keras_azure.api.runs import dry_run as dry_run
from keras_azure.api.runs import job as job
from keras_azure.api.runs import load as load
from keras_azure.api.runs import preview as preview
from keras_azure.api.runs import resume as resume
from keras_azure.api.runs import run as run
from keras_azure.api.runs import submit as submit
from keras_azure.augmentations.layer import Augmentation as Augmentation
from keras_azure.data import TaskName as TaskName
from keras_azure.data.arrays import ArrayDataset as ArrayDataset
from keras_azure.description.config import RunConfig as RunConfig
from keras_azure.description.events import Observer as Observer
from keras_azure.description.folder import read_result as read_result
from keras_azure.description.result import RunResult as RunResult
from keras_azure.errors import KerasAzureError as KerasAzureError
from keras_azure.models.backbones import features_model as features_model
from keras_azure.models.backbones import transfer_model as transfer_model
from keras_azure.models.classic import FeatureClassifier as FeatureClassifier
from keras_azure.models.outputs import output_layer as output_layer
from keras_azure.models.weights import start_from as start_from
from keras_azure.registry.registry import AUGMENTATIONS as AUGMENTATIONS
from keras_azure.registry.registry import BACKENDS as BACKENDS
from keras_azure.registry.registry import CALLBACKS as CALLBACKS
from keras_azure.registry.registry import DATASETS as DATASETS
from keras_azure.registry.registry import LOSSES as LOSSES
from keras_azure.registry.registry import METRICS as METRICS
from keras_azure.registry.registry import MODELS as MODELS
from keras_azure.registry.registry import OPTIMIZERS as OPTIMIZERS
from keras_azure.registry.specs import Spec as Spec

__version__: str
