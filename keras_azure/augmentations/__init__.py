"""Augmentations: the layers, their fusion, and their application to batches of samples.

layer, geometry, colours, filters, mixing, policies, recipes    what the registry names
plan                                                            which of them run together
draws, parameters                                               the random numbers of a sample
kernels, host, device, foreign                                  where and how a stage runs
"""

from keras_azure.augmentations.device import DeviceAugment
from keras_azure.augmentations.host import Augment, build_augment
from keras_azure.augmentations.plan import describe, plan_stages

__all__ = ["Augment", "DeviceAugment", "build_augment", "describe", "plan_stages"]
