"""Steps of a compiled model, several in one call, and gradients, on whichever Keras engine; knows nothing of runs.

steps         what a call does and gives: the contract
select        which engine does it: the table of engines
tensorflow    a loop in TensorFlow's graph
jax           compiled steps one behind the other
gradients     how scores change with what goes through a model: the contract
tensorflow_gradients, jax_gradients  each engine's way to them
adam          Adam's update as one operation a variable, for TensorFlow
devices       where the arithmetic runs
keras_settings  what Keras has one of in a process, set for a run
variables     what variables hold at one moment
environment   what a run ran on, for the record
"""

from keras_azure.engines.select import gradients_of, steps_of
from keras_azure.engines.steps import Batch, StepResult, Steps

__all__ = ["Batch", "StepResult", "Steps", "gradients_of", "steps_of"]
