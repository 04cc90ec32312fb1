"""Of each policy's augmentations a picture gets one in each round, or none."""

import numpy as np
import pytest

from keras_azure.augmentations.arrays import NUMPY
from keras_azure.augmentations.colours import AutoContrast, Equalize
from keras_azure.augmentations.plan import KernelStage, plan_stages
from keras_azure.augmentations.policies import Policy, RandAugment, TrivialAugment

SHAPE = (20, 24, 3)
POLICIES = [RandAugment(), RandAugment(num_ops=3, magnitude=20.0), TrivialAugment()]


def numbers(policy: Policy, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 1 + policy.num_draws))


def drawn(policy: Policy, uniform: np.ndarray) -> np.ndarray:
    """Which layers each picture gets: bool (batch, rounds, layers)."""
    chosen = [part.uniform(uniform, NUMPY)[:, 0] < part.layer.probability for part in policy.parts()]
    return np.stack(chosen, axis=1).reshape(len(uniform), policy.rounds, len(policy.layers))


@pytest.mark.parametrize("policy", POLICIES, ids=["randaugment", "three rounds", "trivialaugment"])
def test_each_round_applies_one_or_none_and_all_get_drawn(policy):
    chosen = drawn(policy, numbers(policy, 6000))
    a_round = chosen.sum(axis=2)
    assert set(np.unique(a_round)) == {0, 1}
    alike = 1 / (len(policy.layers) + 1)
    np.testing.assert_allclose(chosen.mean(axis=0), alike, atol=0.02)
    np.testing.assert_allclose((a_round == 0).mean(axis=0), alike, atol=0.02)


def test_rounds_are_drawn_independently():
    chosen = drawn(RandAugment(), numbers(RandAugment(), 6000)).argmax(axis=2)
    both = np.histogram2d(*chosen.T, bins=13)[0] / 6000
    np.testing.assert_allclose(both[1:, 1:], 1 / 14**2, atol=0.005)


def test_the_augmentations_are_those_of_the_papers():
    names = [type(layer).__name__ for layer in RandAugment().layers]
    moving = ["Rotate", "Shear", "Shear", "Shift", "Shift"]
    colours = ["Brightness", "Contrast", "Posterize", "Solarize", "AutoContrast", "Equalize", "Saturation"]
    assert names == [*moving, *colours, "Sharpness"]


@pytest.mark.parametrize("policy", [RandAugment(num_ops=1), TrivialAugment()], ids=["randaugment", "trivialaugment"])
def test_a_picture_is_what_its_augmentation_alone_makes_of_it(policy):
    uniform = numbers(policy, 80)
    levels = np.random.default_rng(1).integers(20, 200, (80, *SHAPE), np.int32)
    out = policy.transform(levels, policy.sample(uniform, SHAPE, NUMPY), NUMPY)
    for number, row in enumerate(drawn(policy, uniform)[:, 0]):
        expected = levels[number : number + 1]
        for part in np.array(policy.parts(), object)[row]:
            parameters = part.layer.sample(part.uniform(uniform[number : number + 1], NUMPY), SHAPE, NUMPY)
            expected = part.layer.transform(expected, parameters, NUMPY)
        np.testing.assert_array_equal(out[number], expected[0])


@pytest.mark.parametrize("magnitude", [0.0, 3.0])
def test_a_weak_randaugment_changes_little(magnitude):
    """At magnitude 0 nothing, but for what has no strength: autocontrast and equalize."""
    policy = RandAugment(magnitude=magnitude)
    uniform = numbers(policy, 300)
    without_strength = [isinstance(layer, AutoContrast | Equalize) for layer in policy.layers]
    uniform = uniform[~drawn(policy, uniform)[..., without_strength].any(axis=(1, 2))]
    levels = np.broadcast_to(np.random.default_rng(1).integers(0, 256, SHAPE, np.int32), (len(uniform), *SHAPE))
    out = policy.transform(levels, policy.sample(uniform, SHAPE, NUMPY), NUMPY)
    if magnitude == 0:
        np.testing.assert_array_equal(out, levels)
    else:  # no picture loses more than a tenth of its brightness twice, or more than it moves out of sight
        assert (out.mean(axis=(1, 2, 3)) > 0.7 * levels.mean(axis=(1, 2, 3))).all()


@pytest.mark.parametrize("magnitude", [0.0, 9.0, 18.0, 30.0])
def test_posterize_keeps_as_many_bits_as_the_magnitude_says(magnitude):
    policy = RandAugment(num_ops=1, magnitude=magnitude)
    number = [type(layer).__name__ for layer in policy.layers].index("Posterize")
    part = policy.parts()[number]
    strengths = np.array([0.0, 0.3, 0.7, 1 - 2**-24])
    place = np.full(4, (number + 0.5) / (len(policy.layers) + 1))
    parameters = part.layer.sample(part.uniform(np.stack([0 * place, place, strengths], axis=1), NUMPY), SHAPE, NUMPY)
    dropped = round(4 * magnitude / 30)
    assert parameters.tolist() == [[1, dropped]] * 4


def test_the_sign_is_drawn_and_the_strength_is_given():
    policy = RandAugment(num_ops=1, magnitude=15.0)
    rotation = policy.parts()[0]
    uniform = numbers(policy, 200)
    uniform[:, 1] = 0.5 / 14  # the first layer
    a, b, *_ = rotation.layer.maps(rotation.uniform(uniform, NUMPY), SHAPE, NUMPY)
    degrees = np.degrees(np.arctan2(-b, a))
    np.testing.assert_allclose(np.abs(degrees), 15.0)
    assert 60 < (degrees > 0).sum() < 140


def test_the_strength_of_trivialaugment_is_drawn():
    policy = TrivialAugment()
    uniform = numbers(policy, 500)
    uniform[:, 1] = 0.5 / 14
    a, b, *_ = policy.parts()[0].layer.maps(policy.parts()[0].uniform(uniform, NUMPY), SHAPE, NUMPY)
    degrees = np.degrees(np.arctan2(-b, a))
    counts = np.histogram(degrees, bins=9, range=(-135, 135))[0]
    assert counts.sum() == 500
    assert counts.min() > 30


@pytest.mark.parametrize("policy", POLICIES[1:], ids=["randaugment", "trivialaugment"])
def test_a_probability_of_zero_changes_nothing(policy):
    still = type(policy)(probability=0.0)
    assert not drawn(still, numbers(still, 100)).any()


@pytest.mark.parametrize("spec", ["randaugment(magnitude=20.0, fill=reflect)", "trivialaugment"])
def test_in_the_pipeline_its_parts_are_fused_and_give_the_same(spec):
    stages = plan_stages([spec], SHAPE, 2)
    rounds = 2 if spec.startswith("rand") else 1
    assert [stage.kind for stage in stages] == ["geometric", "colour", "alone"] * rounds
    policy = RandAugment(magnitude=20.0, fill="reflect") if rounds == 2 else TrivialAugment()
    uniform = numbers(policy, 60)
    images = np.random.default_rng(1).integers(0, 256, (60, *SHAPE), np.uint8)
    levels = images.astype(np.int32)
    for stage in stages:
        parameters = stage.sample(lambda stream, count: uniform[:, :count])
        if isinstance(stage, KernelStage):
            levels = stage.on_host(levels.astype(np.uint8), np.arange(60), parameters).astype(np.int32)
        else:
            levels = stage.transform(levels, parameters, NUMPY)
    expected = policy.transform(images.astype(np.int32), policy.sample(uniform, SHAPE, NUMPY), NUMPY)
    np.testing.assert_array_equal(levels, expected)
