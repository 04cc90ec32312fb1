"""The steps of a compiled model on whichever Keras engine is loaded, several in one call; knows nothing of runs.

steps         what a call does and gives: the contract
select        which engine does it: the table of engines
tensorflow    a loop in TensorFlow's graph
jax           compiled steps one behind the other
adam          Adam's update as one operation a variable, for TensorFlow
devices       where the arithmetic runs
keras_settings  what Keras has one of in a process, set for a run
variables     what variables hold at one moment
environment   what a run ran on, for the record
"""

from keras_azure.engines.select import steps_of
from keras_azure.engines.steps import Batch, StepResult, Steps

__all__ = ["Batch", "StepResult", "Steps", "steps_of"]
