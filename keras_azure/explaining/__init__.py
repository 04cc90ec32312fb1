"""What in an image a network goes by: maps, for networks of Keras on whichever engine; knows nothing of runs.

grad_cam              where in an image a layer finds what raises a score
integrated_gradients  what each level of each pixel adds to a score
networks              a network's layers and scores, without a change of it
batches               what both maps are made of: images, classes, how many at once
explanation           maps of image files, with what is predicted, as a figure and as files
sheet                 the figure
"""

from keras_azure.explaining.grad_cam import grad_cam
from keras_azure.explaining.integrated_gradients import integrated_gradients

__all__ = ["grad_cam", "integrated_gradients"]
