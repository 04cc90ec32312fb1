"""The steps of a compiled model on whichever Keras engine is loaded, several in one call; knows nothing of runs.

steps         what a call does and gives, and which engine does it
tensorflow    a loop in TensorFlow's graph
jax           compiled steps one behind the other
adam          Adam's update as one operation a variable, for TensorFlow
"""

from keras_azure.engines.steps import Batch, Done, Steps, steps_of

__all__ = ["Batch", "Done", "Steps", "steps_of"]
