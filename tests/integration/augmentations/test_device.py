"""The device gives the pictures of the host, to the bit."""

import subprocess
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from keras_azure.augmentations import DeviceAugment, build_augment
from keras_azure.data.arrays import ArrayDataset
from keras_azure.data.source import open_source
from keras_azure.description.events import Observer
from keras_azure.pipeline import batches

SHAPE, CLASSES, COUNT = (9, 7, 3), 4, 11
RNG = np.random.default_rng(0)
PICTURES, NUMBERS = RNG.integers(0, 256, (COUNT, *SHAPE), np.uint8), np.arange(COUNT) % CLASSES

LISTS = {
    "chapter": ["chapter"],
    "imagenet": ["imagenet"],
    "colours": ["hue", "equalize", "solarize", "autocontrast", "posterize"],
    "blur": ["blur"],
    "noise": ["sharpness", "noise", "erase"],
    "mixup": ["mixup"],
    "cutmix": ["chapter", "cutmix", "brightness"],
    "both": ["flip", "cutmix", "hue", "mixup(alpha=1.0)", "rotate"],
    "policy": ["randaugment(num_ops=1)"],
    "foreign": ["rotate", "keras-brightness(factor=0.3)", "hue", "mixup"],
    "mixed before": ["cutmix", "keras-brightness(factor=0.3)", "invert", "mixup"],
}


@pytest.fixture(autouse=True)
def foreign(install_plugin):
    install_plugin("some-layers", {"augmentations": "keras-brightness = keras.layers:RandomBrightness"})


@pytest.fixture(scope="module")
def source():
    split = (PICTURES, NUMBERS)
    return open_source(ArrayDataset(tuple("abcd"), {"train": split, "test": split}, "random"), "train", Observer())


def stream(source, augment, place: str):
    return batches(source, np.arange(COUNT), batch_size=4, seed=3, steps=6, augment=augment, augment_on=place)


# To compile takes longer than all else: the lists in which there is something that others have not.
COMPILED = ["imagenet", "colours", "blur", "noise", "both"]
CASES = [*[(name, False) for name in LISTS], *[(name, True) for name in COMPILED]]


@pytest.mark.parametrize(("name", "compiled"), CASES)
def test_the_device_gives_the_pictures_of_the_host(source, name, compiled):
    augment = build_augment(LISTS[name], SHAPE, CLASSES)
    leaves, columns = augment.device_shape
    layer = DeviceAugment(augment.for_device)

    def run(inputs):
        return layer(inputs, training=True)

    run = tf.function(run, jit_compile=True) if compiled else run
    host, device = list(stream(source, augment, "host")), list(stream(source, augment, "device"))
    if compiled:  # for a batch of one size
        host, device = host[:2], device[:2]
    for (images, labels), (inputs, same_labels) in zip(host, device, strict=True):
        batch = len(labels)
        assert inputs["images"].shape == (batch, leaves, *SHAPE)
        assert inputs["images"].dtype == tf.uint8
        assert inputs["parameters"].shape == (batch, leaves, columns)
        assert inputs["parameters"].dtype == tf.int32
        out = run(inputs)
        assert out.dtype == tf.float32
        np.testing.assert_array_equal(out, images)
        np.testing.assert_array_equal(labels, same_labels)


def test_without_training_the_device_gives_the_pictures_as_they_are(source):
    augment = build_augment(LISTS["both"], SHAPE, CLASSES)
    labels = tf.one_hot(NUMBERS, CLASSES)
    inputs, same_labels = augment.unchanged(tf.constant(PICTURES), labels)
    leaves, columns = augment.device_shape
    assert inputs["images"].shape == (COUNT, leaves, *SHAPE)
    assert inputs["parameters"].shape == (COUNT, leaves, columns)
    np.testing.assert_array_equal(DeviceAugment(augment.for_device)(inputs, training=False), PICTURES)
    np.testing.assert_array_equal(labels, same_labels)


@pytest.mark.parametrize("specs", [["chapter"], ["cutmix", "mixup"]])
def test_the_shapes_are_known_beforehand(source, specs):
    """A model is built with them before there are pictures."""
    augment = build_augment(specs, SHAPE, CLASSES)
    leaves, columns = augment.device_shape
    shapes = {"images": (None, leaves, *SHAPE), "parameters": (None, leaves, columns)}
    assert DeviceAugment(augment.for_device).compute_output_shape(shapes) == (None, *SHAPE)
    inputs, labels = stream(source, augment, "device").element_spec
    assert inputs["images"].shape.as_list() == [None, leaves, *SHAPE]
    assert inputs["parameters"].shape.as_list() == [None, leaves, columns]
    assert labels.shape.as_list() == [None, CLASSES]


ON_JAX = """
    import jax, keras, numpy as np
    from keras_azure.augmentations import DeviceAugment, build_augment
    from keras_azure.data.arrays import ArrayDataset
    from keras_azure.description.events import Observer
    from keras_azure.data.source import open_source
    from keras_azure.pipeline import batches

    pictures = np.random.default_rng(0).integers(0, 256, (8, 9, 7, 3), np.uint8)
    split = (pictures, np.arange(8) % 4)
    source = open_source(ArrayDataset(tuple("abcd"), {"train": split, "test": split}, "x"), "train", Observer())
    failed = []
    for specs in LISTS:
        try:
            augment = build_augment(specs, (9, 7, 3), 4)
            layer = DeviceAugment(augment.for_device)
            layer.built = True  # it has no variables
            run = jax.jit(lambda inputs: layer.stateless_call([], [], inputs, training=True)[0])
            options = {"batch_size": 4, "seed": 3, "augment": augment}
            host = batches(source, np.arange(8), **options)
            device = batches(source, np.arange(8), augment_on="device", **options)
            for (images, labels), (inputs, same_labels) in zip(host, device, strict=True):
                out = run({name: value.numpy() for name, value in inputs.items()})
                np.testing.assert_array_equal(out, images.numpy())
                np.testing.assert_array_equal(labels, same_labels)
        except Exception as error:
            failed.append(f"{specs}: {type(error).__name__}: {error}"[:300])
    print(keras.backend.backend(), failed)
"""


@pytest.mark.slow
def test_jax_gives_the_pictures_of_the_host(loaded_python_on_jax):
    lists = [specs for specs in LISTS.values() if not any(spec.startswith("keras-") for spec in specs)]
    code = f"LISTS = {lists}\n{textwrap.dedent(ON_JAX)}"
    done = subprocess.run([*loaded_python_on_jax, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "jax []"
