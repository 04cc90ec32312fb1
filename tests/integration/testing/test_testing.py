import keras
import numpy as np
import pytest
import tensorflow as tf
from fixtures.names import name_of
from keras import layers
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.svm import LinearSVC

from keras_azure import FeatureClassifier
from keras_azure.data.arrays import ArrayDataset
from keras_azure.errors import BrokenPlugin, UnknownName, WrongOption
from keras_azure.registry.specs import Spec
from keras_azure.testing import ContractError, check_augmentation, check_dataset, check_model, check_plugin


def linear(input_shape, num_classes, *, head=(), scale=1 / 255, compiled=False):
    """The smallest good model, and the trunk of the bad ones: `head` replaces its last layer."""
    last = head or [layers.Dense(num_classes, activation="softmax")]
    model = keras.Sequential([layers.Input(input_shape), layers.Rescaling(scale), layers.Flatten(), *last])
    if compiled:
        model.compile("adam", "categorical_crossentropy")
    return model


def good(input_shape, num_classes, *, rate: float = 0.5):
    return linear(
        input_shape, num_classes, head=[layers.Dropout(rate), layers.Dense(num_classes, activation="softmax")]
    )


@keras.saving.register_keras_serializable("tests")
class Registered(layers.Dense):
    pass


class Unregistered(layers.Dense):
    pass


def with_registered_layer(input_shape, num_classes):
    return linear(input_shape, num_classes, head=[Registered(num_classes, activation="softmax")])


def three_positional(input_shape, num_classes, rate=0.5):
    return good(input_shape, num_classes)


def one_positional(input_shape, *, num_classes=10):
    return good(input_shape, num_classes)


def no_default(input_shape, num_classes, *, rate):
    return good(input_shape, num_classes)


def double_stars(input_shape, num_classes, **options):
    return good(input_shape, num_classes)


def raises(input_shape, num_classes):
    raise RuntimeError("no luck")


def no_model(input_shape, num_classes):
    return layers.Dense(num_classes)


def compiled(input_shape, num_classes):
    return linear(input_shape, num_classes, compiled=True)


def fixed_classes(input_shape, num_classes):
    return linear(input_shape, 7)


def fixed_size(input_shape, num_classes):
    return linear((28, 28, 1), num_classes)


def two_outputs(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    flat = layers.Flatten()(inputs)
    return keras.Model(inputs, [layers.Dense(num_classes)(flat), layers.Dense(num_classes)(flat)])


def logits(input_shape, num_classes):
    return linear(input_shape, num_classes, head=[layers.Dense(num_classes)])


def sigmoid(input_shape, num_classes):
    return linear(input_shape, num_classes, head=[layers.Dense(num_classes, activation="sigmoid")])


def half_precision(input_shape, num_classes):
    return linear(input_shape, num_classes, head=[layers.Dense(num_classes, activation="softmax", dtype="float16")])


def unscaled(input_shape, num_classes):
    return linear(
        *(input_shape, num_classes),
        head=[layers.Dense(num_classes, "exponential", kernel_initializer="ones"), layers.Softmax()],
        scale=100.0,
    )


@keras.saving.register_keras_serializable("tests")
class Noise(layers.Layer):
    def call(self, inputs):
        return inputs + keras.random.normal(keras.ops.shape(inputs))


def always_random(input_shape, num_classes):
    return linear(input_shape, num_classes, head=[layers.Dense(num_classes), Noise(), layers.Softmax()])


def frozen(input_shape, num_classes):
    model = good(input_shape, num_classes)
    model.trainable = False
    return model


def unlearnable(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    hidden = layers.Dense(num_classes)(layers.Flatten()(inputs))
    return keras.Model(inputs, layers.Softmax()(keras.ops.sign(hidden) * 1e30))


def unregistered(input_shape, num_classes):
    return linear(input_shape, num_classes, head=[Unregistered(num_classes, activation="softmax")])


def with_lambda(input_shape, num_classes):
    return linear(
        input_shape, num_classes, head=[layers.Lambda(lambda x: x / 2), layers.Dense(num_classes, activation="softmax")]
    )


@keras.saving.register_keras_serializable("tests")
class Forgetful(layers.Layer):
    """Keeps a number that it does not save."""

    made = 0

    def __init__(self, **options):
        super().__init__(**options)
        Forgetful.made += 1
        self.number = Forgetful.made

    def call(self, inputs):
        return inputs + keras.ops.arange(inputs.shape[-1], dtype="float32") * self.number


def forgetful(input_shape, num_classes):
    return linear(input_shape, num_classes, head=[layers.Dense(num_classes), Forgetful(), layers.Softmax()])


def changes_policy(input_shape, num_classes):
    keras.config.set_dtype_policy("mixed_bfloat16")
    return linear(input_shape, num_classes, head=[layers.Dense(num_classes, activation="softmax", dtype="float32")])


def changes_epsilon(input_shape, num_classes):
    keras.config.set_epsilon(0.5)
    raise RuntimeError("and fails then")


@pytest.mark.parametrize("plugin", [linear, good, with_registered_layer, "cnn(filters=(2,), dense=())"])
def test_good_models_pass(plugin):
    check_model(plugin)


def test_a_model_is_checked_for_the_shape_and_options_that_are_given():
    asked = []

    def curious(input_shape, num_classes, *, rate: float = 0.0):
        asked.append((input_shape, num_classes, rate))
        return good(input_shape, num_classes)

    check_model(curious, input_shape=(5, 7, 3), num_classes=2, rate=1)
    assert asked == [((5, 7, 3), 2, 1.0), ((32, 32, 3), 5, 1.0)]


@pytest.mark.parametrize(
    ("plugin", "problem", "expected"),
    [
        (three_positional, "takes 3 positional arguments", "f(input_shape, num_classes, *,"),
        (one_positional, "takes 1 positional arguments", "f(input_shape, num_classes, *,"),
        (no_default, "option 'rate' has no default", "option=default"),
        (double_stars, "signature has **options", "option=default"),
        (raises, "built for 28x28x1 and 10 classes, it raises RuntimeError: no luck", "no error"),
        (no_model, "it is a Dense", "a keras.Model"),
        (compiled, "it is compiled", "a model that is not"),
        (fixed_classes, "it gives (4, 7) for 4 pictures", "(4, 10)"),
        (fixed_size, "built for 32x32x3 and 5 classes, it raises ValueError", "no error"),
        (two_outputs, "it gives a list", "one array"),
        (logits, "a black picture gives [0, 0, 0, 0, ...]", "a softmax at the end"),
        (sigmoid, "a black picture gives [0.5, 0.5,", "a softmax at the end"),
        (half_precision, "probabilities are float16", 'dtype="float32"'),
        (unscaled, "a white picture gives [nan", "finite numbers"),
        (always_random, "predicts differently each time", "random in training only"),
        (frozen, "it has no trainable weight", "a weight that learns"),
        (unlearnable, "no weight has changed", "a weight that learns"),
        (unregistered, "it raises TypeError: Could not locate class 'Unregistered'", "register_keras_serializable"),
        (with_lambda, "saved and loaded again in safe mode, it raises ValueError", "and no Lambda"),
        (forgetful, "its predictions differ by", "the same predictions"),
        (changes_policy, "changes Keras's dtype policy", "leaves Keras as it is"),
        (changes_epsilon, "changes Keras's epsilon", "leaves Keras as it is"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_model_is_told_what_is_wrong(plugin, problem, expected):
    before = (keras.config.dtype_policy(), keras.config.epsilon())
    with pytest.raises(ContractError) as caught:
        check_model(plugin)
    text = str(caught.value)
    assert text.startswith(f"The model '{plugin.__name__}' breaks its contract:\n- ")
    assert problem in text
    assert expected in text
    assert len(text) < 2000
    assert (keras.config.dtype_policy(), keras.config.epsilon()) == before


def test_one_error_tells_all_and_keeps_the_cause():
    def bad(input_shape, num_classes):
        keras.config.set_epsilon(0.5)
        if num_classes == 5:
            raise KeyError("five")
        return compiled(input_shape, num_classes)

    with pytest.raises(ContractError) as caught:
        check_model(bad)
    assert str(caught.value).count("\n- ") == 2  # compiled and epsilon: without them there is no sense in going on
    with pytest.raises(ContractError) as caught:
        check_model(raises)
    assert isinstance(caught.value.__cause__, RuntimeError)


def autoencoder(input_shape, num_classes, *, activation="sigmoid", dtype="float32"):
    last = layers.Conv2D(input_shape[-1], 3, padding="same", activation=activation, dtype=dtype)
    return keras.Sequential([layers.Input(input_shape), layers.Rescaling(1 / 255), last])


def levels_above_1(input_shape, num_classes):
    return autoencoder(input_shape, num_classes, activation="exponential")


def half_levels(input_shape, num_classes):
    return autoencoder(input_shape, num_classes, dtype="float16")


def other_size(input_shape, num_classes):
    return keras.Sequential([autoencoder(input_shape, num_classes), layers.ZeroPadding2D(1)])


def test_an_autoencoder_passes():
    check_model(autoencoder)


@pytest.mark.parametrize(
    ("plugin", "problem", "expected"),
    [
        (levels_above_1, "its pictures have levels 0", "levels 0..1"),
        (half_levels, "its pictures are float16", 'dtype="float32"'),
        (other_size, "it gives (4, 30, 30, 1) for 4 pictures", "(4, 10)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_autoencoder_is_told_what_is_wrong(plugin, problem, expected):
    with pytest.raises(ContractError) as caught:
        check_model(plugin)
    assert problem in str(caught.value)
    assert expected in str(caught.value)


def on_features(input_shape, num_classes, *, estimator=None, head=(), choices=()):
    """The smallest good classifier on features, and the trunk of the bad ones."""
    network = keras.Sequential([layers.Input(input_shape), layers.AveragePooling2D(4), *(head or [layers.Flatten()])])
    return FeatureClassifier(network, estimator or LinearSVC(), num_classes, choices)


def on_features_chosen(input_shape, num_classes):
    return on_features(input_shape, num_classes, choices=(LogisticRegression(max_iter=1000), KNeighborsClassifier()))


def on_features_without_probabilities(input_shape, num_classes):
    return on_features(input_shape, num_classes, estimator=RidgeClassifier())


def unpooled(input_shape, num_classes):
    return on_features(input_shape, num_classes, head=[layers.Activation("relu")])


def infinite_features(input_shape, num_classes):
    return on_features(input_shape, num_classes, head=[layers.Flatten(), layers.Rescaling(float("inf"))])


def random_features(input_shape, num_classes):
    return on_features(input_shape, num_classes, head=[layers.Flatten(), Noise()])


def forgetful_features(input_shape, num_classes):
    return on_features(input_shape, num_classes, head=[layers.Flatten(), Forgetful()])


def other_classes(input_shape, num_classes):
    return on_features(input_shape, 7)


def no_estimator(input_shape, num_classes):
    return on_features(input_shape, num_classes, estimator=abs)


def no_network(input_shape, num_classes):
    return FeatureClassifier(layers.Flatten(), LinearSVC(), num_classes)


def no_classifier(input_shape, num_classes):
    return on_features(input_shape, num_classes, estimator=LinearRegression())


def no_predictions(input_shape, num_classes):
    return on_features(input_shape, num_classes, choices=(KMeans(), LocalOutlierFactor()))


def fails_for_three_channels(input_shape, num_classes):
    if input_shape[-1] == 3:
        raise RuntimeError("gray only")
    return on_features(input_shape, num_classes)


@pytest.mark.parametrize("plugin", [on_features, on_features_chosen, on_features_without_probabilities])
def test_good_classifiers_on_features_pass(plugin):
    check_model(plugin)


@pytest.mark.parametrize(
    ("plugin", "problem", "expected"),
    [
        (unpooled, "its features are (4, 7, 7, 1) for 4 pictures", "a vector for each"),
        (infinite_features, "its features are not all finite", "finite numbers"),
        (random_features, "its features differ each time", "random in training only"),
        (forgetful_features, "saved and loaded again, its predictions differ by", "the same predictions"),
        (other_classes, "its num_classes is 7", "expected 10"),
        (no_estimator, "its estimator is a builtin_function_or_method", "a classifier of scikit-learn"),
        (no_network, "its features are a Flatten", "a keras.Model"),
        (no_classifier, "fitted to a few pictures, it raises AttributeError", "no error"),
        (no_predictions, "its estimator is a LocalOutlierFactor", "a classifier of scikit-learn"),
        (fails_for_three_channels, "built for 32x32x3 and 5 classes, it raises RuntimeError: gray only", "no error"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_classifier_on_features_is_told_what_is_wrong(plugin, problem, expected):
    with pytest.raises(ContractError) as caught:
        check_model(plugin)
    text = str(caught.value)
    assert text.startswith(f"The model '{plugin.__name__}' breaks its contract:\n- ")
    assert problem in text
    assert expected in text
    assert len(text) < 2000


def test_a_contract_error_suits_pytest_and_the_command():
    assert issubclass(ContractError, AssertionError)
    assert issubclass(ContractError, BrokenPlugin)


def test_what_is_not_the_plugins_fault_is_an_error_of_its_own():
    with pytest.raises(UnknownName, match="Did you mean 'cnn'"):
        check_model("cnnn")
    with pytest.raises(WrongOption, match="no option 'units'"):
        check_model("cnn", units=3)


@keras.saving.register_keras_serializable("tests")
class Halve(layers.Layer):
    def call(self, images):
        return images / 2


def noisy(images):
    return tf.cast(images, tf.float32) + tf.random.normal(tf.shape(images))


def swap_labels(data):
    return {"images": data["images"][::-1], "labels": data["labels"][::-1]}


@pytest.mark.parametrize(
    "augmentation",
    [
        lambda images: images,
        noisy,
        swap_labels,
        Halve(),
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(0.1),
        layers.RandomBrightness(0.2),
        layers.MixUp(),
        layers.CutMix(),
        layers.Pipeline([layers.RandomFlip(), layers.RandomContrast(0.2)]),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_good_augmentations_pass(augmentation):
    check_augmentation(augmentation)


def crop(images):
    return images[:, 2:, 2:]


def looks_at_values(images):
    return images if images.numpy().max() > 0 else images * 2


def float_only(images):
    return images * tf.constant(0.5)


def not_finite(images):
    return tf.math.log(tf.cast(images, tf.float32) - 1.0)


def drops_labels(data):
    return {"images": data["images"]}


def loses_share(data):
    return {"images": data["images"], "labels": data["labels"] * 0.5}


def flattens_labels(data):
    return {"images": data["images"], "labels": tf.argmax(data["labels"], axis=1)}


def gives_a_pair(data):
    return data["images"], data["labels"]


def factory():
    return noisy


@pytest.mark.parametrize(
    ("augmentation", "problem", "expected"),
    [
        (crop, "pictures (6, 32, 40, 3) become (6, 30, 38, 3)", "the same shape"),
        (looks_at_values, "it raises AttributeError: 'SymbolicTensor'", "no error"),
        (float_only, "given pictures alone of uint8, it raises", "no error"),
        (not_finite, "some pixels are no finite numbers", "finite pixels"),
        (drops_labels, "it gives a dict", '"images" and "labels"'),
        (loses_share, "a label becomes [0.5, 0, 0]", "shares that add up to 1"),
        (flattens_labels, "labels (6, 3) become (6,)", "the same shape"),
        (gives_a_pair, "it gives a tuple", '"images" and "labels"'),
        (factory, "takes 0 positional arguments but 1", "no error"),
        (3, "must be a callable", "no error"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_augmentation_is_told_what_is_wrong(augmentation, problem, expected):
    with pytest.raises(ContractError) as caught:
        check_augmentation(augmentation)
    text = str(caught.value)
    assert problem in text
    assert expected in text
    assert len(text) < 2000


def test_a_registered_augmentation_is_checked_by_its_spec(install_plugin):
    install_plugin(
        "kaz-aug",
        {"augmentations": "darken = kaz_aug:darken"},
        """
        def darken(*, share: float = 0.5):
            return lambda images: images[:, 1:] if share == 0 else images
        """,
    )
    check_augmentation("darken(share=0.2)")
    with pytest.raises(ContractError, match="The augmentation 'darken' breaks"):
        check_augmentation(Spec("darken", {"share": 0}))


class Data:
    """A good data set, which each bad one spoils."""

    class_names = ("cat", "dog")
    image_shape = (4, 5, 1)
    split_sizes = {"train": 6, "test": 2}  # noqa: RUF012
    description = "six and two pictures"

    def read(self, split, index):
        if not 0 <= index < self.split_sizes[split]:
            raise IndexError(index)
        return np.full(self.image_shape, index, np.uint8), index % 2


class InMemory(Data):
    def arrays(self, split):
        samples = [Data().read(split, index) for index in range(self.split_sizes[split])]
        return np.stack([image for image, _ in samples]), np.array([label for _, label in samples])


class WithValidation(Data):
    split_sizes = {"train": 6, "validation": 1, "test": 2}  # noqa: RUF012


class WithLabels(Data):
    def known_labels(self, split):
        return np.arange(self.split_sizes[split]) % 2


@pytest.mark.parametrize(
    "dataset", [Data(), InMemory(), WithValidation(), WithLabels(), "digits", Spec("digits")], ids=name_of
)
def test_good_data_sets_pass(dataset):
    check_dataset(dataset)


def test_an_array_dataset_passes():
    images = np.zeros((4, 3, 3, 3), np.uint8)
    labels = np.array([0, 1, 0, 1])
    check_dataset(
        ArrayDataset(("a", "b"), {"train": (images, labels), "test": (images, labels)}, "four black pictures")
    )


class OneClass(Data):
    class_names = ("cat",)


class SameClasses(Data):
    class_names = ("cat", "cat")


class NumberedClasses(Data):
    class_names = (0, 1)


class NoTest(Data):
    split_sizes = {"train": 6}  # noqa: RUF012


class EmptyTrain(Data):
    split_sizes = {"train": 0, "test": 2}  # noqa: RUF012


class FlatImages(Data):
    image_shape = (4, 5)


class TwoChannels(Data):
    image_shape = (4, 5, 2)


class NoRead:
    class_names, image_shape, split_sizes = Data.class_names, Data.image_shape, Data.split_sizes


class FloatImages(Data):
    def read(self, split, index):
        return super().read(split, index)[0] / 255, 0


class OtherShape(Data):
    def read(self, split, index):
        return super().read(split, index)[0][:-1], 0


class NoArray(Data):
    def read(self, split, index):
        return super().read(split, index)[0].tolist(), 0


class LabelOutOfRange(Data):
    def read(self, split, index):
        return super().read(split, index)[0], 2


class LabelIsText(Data):
    def read(self, split, index):
        return super().read(split, index)[0], "cat"


class Random(Data):
    def read(self, split, index):
        image, label = super().read(split, index)
        return image + np.random.default_rng().integers(0, 250, image.shape, np.uint8), label


class Endless(Data):
    def read(self, split, index):
        return super().read(split, index % self.split_sizes[split])


class OtherArrays(InMemory):
    def arrays(self, split):
        images, labels = super().arrays(split)
        return images[::-1], labels


class ShortArrays(InMemory):
    def arrays(self, split):
        images, labels = super().arrays(split)
        return images[1:], labels[1:]


class OtherLabels(WithLabels):
    def known_labels(self, split):
        return 1 - super().known_labels(split)


class FewLabels(WithLabels):
    def known_labels(self, split):
        return super().known_labels(split)[1:]


class Unreadable(Data):
    def read(self, split, index):
        raise OSError("disk on fire")


@pytest.mark.parametrize(
    ("dataset", "problem", "expected"),
    [
        (OneClass, "its class_names are ['cat']", "two or more different strings"),
        (SameClasses, "its class_names are ['cat', 'cat']", "two or more different strings"),
        (NumberedClasses, "its class_names are [0, 1]", "two or more different strings"),
        (NoTest, "its split_sizes are {'train': 6}", "samples in 'test'"),
        (EmptyTrain, "its split_sizes are {'train': 0, 'test': 2}", "samples in 'train'"),
        (FlatImages, "its image_shape is (4, 5)", "1 or 3 channels"),
        (TwoChannels, "its image_shape is (4, 5, 2)", "1 or 3 channels"),
        (NoRead, "it has no read", "keras_azure.data.Dataset"),
        (FloatImages, "read('train', 0) gives a picture of (4, 5, 1) float64", "(4, 5, 1) uint8"),
        (OtherShape, "gives a picture of (3, 5, 1) uint8", "(4, 5, 1) uint8"),
        (NoArray, "gives a picture of a list", "(4, 5, 1) uint8"),
        (LabelOutOfRange, "gives the label 2", "an integer from 0 to 1"),
        (LabelIsText, "gives the label 'cat'", "an integer from 0 to 1"),
        (Random, "gives something else each time", "the same sample"),
        (Endless, "read('train', 6) gives a sample", "an IndexError"),
        (OtherArrays, "is not the sample that arrays('train') has there", "the same sample"),
        (ShortArrays, "arrays('train') has [5, 5] samples", "6 pictures and 6 labels"),
        (OtherLabels, "read('train', 0) gives the label 0, and known_labels('train') has 1 there", "the same"),
        (FewLabels, "known_labels('train') has the shape (5,)", "6 labels, one for each picture"),
        (Unreadable, "read in the split 'test', it raises OSError: disk on fire", "no error"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_data_set_is_told_what_is_wrong(dataset, problem, expected):
    with pytest.raises(ContractError) as caught:
        check_dataset(dataset())
    text = str(caught.value)
    assert text.startswith(f"The data set '{dataset.__name__}' breaks its contract:")
    assert problem in text
    assert expected in text


def test_a_data_set_whose_files_nobody_could_take_elsewhere_is_told_so(install_plugin, tmp_path):
    code = """
        class Astray:
            def __init__(self, *, path): pass
            def files(self, observer): return ["/etc/hostname"]
    """
    install_plugin("their-astray", {"datasets": "astray = their_astray:Astray"}, code)
    with pytest.raises(BrokenPlugin, match="is made of /etc/hostname, to which none of its options leads"):
        check_dataset(Spec("astray", {"path": str(tmp_path)}))


def test_a_data_set_that_asks_for_what_is_no_package_is_told_so(install_plugin, tmp_path):
    code = """
        class Slides:
            def __init__(self, *, path): self.path = path
            def files(self, observer): return [self.path]
            def requirements(self): return ["openslide-python>=1.3", "open slide"]
    """
    install_plugin("their-slides", {"datasets": "slides = their_slides:Slides"}, code)
    (tmp_path / "a").touch()
    with pytest.raises(ContractError, match=r"requirements\(\) gives 'open slide'"):
        check_dataset(Spec("slides", {"path": str(tmp_path / "a")}))


PLUGINS = """
    from keras_azure.errors import DataUnavailable, DeviceError

    class Absent:
        def prepare(self, observer):
            raise DataUnavailable("not here")

    def far(*, download: bool = True):
        assert not download
        return Absent()

    def needy(*, path: str):
        return Absent()

    class Runs:
        def run(self, config, run_dir, observer, *, resume=False): ...

    def good():
        return Runs()

    def idle():
        return Absent()

    def gpu():
        raise DeviceError("no GPU")

    def pretrained(input_shape, num_classes):
        raise DataUnavailable("no weights")
"""


def test_installed_plugins_are_checked_as_far_as_it_goes(install_plugin):
    install_plugin(
        "kaz-many",
        {
            "models": "pretrained = kaz_many:pretrained",
            "datasets": "far = kaz_many:far\nneedy = kaz_many:needy",
            "backends": "good = kaz_many:good\nidle = kaz_many:idle\ngpu = kaz_many:gpu",
        },
        PLUGINS,
    )
    assert check_plugin("model", Spec("pretrained")) == "its data is not on this machine"
    assert check_plugin("data set", Spec("far")) == "its data is not on this machine"
    assert check_plugin("data set", Spec("needy")) == "it needs the option 'path'"
    assert check_plugin("data set", Spec("needy", {"path": "x"})) == "its data is not on this machine"
    assert check_plugin("backend", Spec("good")) is None
    assert check_plugin("backend", Spec("gpu")) == "its device is not on this machine"
    with pytest.raises(ContractError, match="builds an Absent without a method run"):
        check_plugin("backend", Spec("idle"))


WITH_WEIGHTS = """
    import keras
    from keras import layers

    def network(input_shape, num_classes):
        last = layers.Dense(num_classes, activation="softmax")
        return keras.Sequential([layers.Input(input_shape), layers.Rescaling(1 / 255), layers.Flatten(), last])

    def pretrained(input_shape, num_classes, *, weights: str = "imagenet"):
        if weights != "none":
            raise RuntimeError(f"weights are {weights}")
        return network(input_shape, num_classes)

    def weighted(input_shape, num_classes, *, weights: float = 1.0):
        assert weights == 1.0
        return network(input_shape, num_classes)

    def unpack(*, weights: str = "all"):
        assert weights == "all"
        return lambda images: images
"""


def test_models_are_checked_without_weights_and_nothing_else_is(install_plugin):
    models = "pretrained = kaz_weights:pretrained\nweighted = kaz_weights:weighted"
    install_plugin("kaz-weights", {"models": models, "augmentations": "unpack = kaz_weights:unpack"}, WITH_WEIGHTS)
    assert check_plugin("model", Spec("pretrained")) is None
    assert check_plugin("model", Spec("weighted")) is None
    assert check_plugin("augmentation", Spec("unpack")) is None
    with pytest.raises(ContractError, match="weights are mine"):
        check_plugin("model", Spec("pretrained", {"weights": "mine"}))
    with pytest.raises(ContractError, match="weights are imagenet"):
        check_model("pretrained")
