"""The same maps on TensorFlow and on JAX.

Engines round differently: where a rectifier is 0 but for the last digit, its gradient is 0 on one and 1 on the other.
That counts as much as one step does: with 64 steps up to 3e-4 of these networks' maps, at some pixels of one image of
eight. With 1,024 it is below 1e-4 by far, and nothing else differs by as much.
"""

import subprocess

import keras
import numpy as np
import pytest

from keras_azure.explaining import grad_cam, integrated_gradients

ON_JAX = """
import sys
import keras, numpy as np
from keras_azure.explaining import grad_cam, integrated_gradients
assert keras.backend.backend() == "jax"
given = np.load(sys.argv[1] + "/images.npz")
found = {}
for name in given:
    model = keras.saving.load_model(f"{sys.argv[1]}/{name}.keras")
    found[f"{name}_cam"] = grad_cam(model, given[name])
    found[f"{name}_early"] = grad_cam(model, given[name], 0, layer=sys.argv[2] if name == "cnn" else sys.argv[3])
    found[f"{name}_added"] = integrated_gradients(model, given[name][:3], steps=1024)
np.savez(sys.argv[1] + "/jax.npz", **found)
"""


@pytest.mark.slow
def test_maps_are_the_same_on_both_engines(trained_cnn, trained_residual, test_images, tmp_path, loaded_python_on_jax):
    assert keras.backend.backend() == "tensorflow"
    models = {"cnn": (trained_cnn, "convolution_1"), "residual": (trained_residual, early(trained_residual))}
    for name, (model, _) in models.items():
        model.save(tmp_path / f"{name}.keras")
    np.savez(tmp_path / "images.npz", **dict.fromkeys(models, test_images[:20]))
    layers = [layer for _, layer in models.values()]
    command = [*loaded_python_on_jax, "-c", ON_JAX, str(tmp_path), *layers]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    on_jax = np.load(tmp_path / "jax.npz")
    for name, (model, layer) in models.items():
        images = test_images[:20]
        np.testing.assert_allclose(grad_cam(model, images), on_jax[f"{name}_cam"], atol=1e-4)
        np.testing.assert_allclose(grad_cam(model, images, 0, layer=layer), on_jax[f"{name}_early"], atol=1e-4)
        added = integrated_gradients(model, images[:3], steps=1024)
        assert np.abs(added).max() > 0.01
        np.testing.assert_allclose(added, on_jax[f"{name}_added"], atol=1e-4)


def early(model: keras.Model) -> str:
    """A convolution in the backbone that others follow."""
    backbone = model.get_layer("features").get_layer("backbone")
    return next(layer.name for layer in backbone.layers if isinstance(layer, keras.layers.Conv2D))
