"""Transfer learning: a network that was trained elsewhere, and a new head on it.

backbones        keras.applications by name, each with its own preprocessing
weights          what they start from: ImageNet, a file, or nothing
heads            linear, mlp
parts            a model's two parts, features and head; the blocks of its backbone
features         the outputs of a frozen backbone, computed once
classic          a classifier of scikit-learn on features
fitting          how it learns, and how one is chosen
estimators       that classifier as bytes, which are read without running code from them
archive          model.zip: features and classifier in one file
"""

from keras_azure.transfer.backbones import features_model, transfer_model
from keras_azure.transfer.classic import FeatureClassifier
from keras_azure.transfer.weights import start_from

__all__ = ["FeatureClassifier", "features_model", "start_from", "transfer_model"]
