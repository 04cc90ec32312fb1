"""Which augmentations run together."""

import json

import pytest

from keras_azure.augmentations import build_augment, describe, plan_stages
from keras_azure.errors import UnknownName

SHAPE = (8, 8, 3)


def kinds(*specs: str) -> list[tuple[str, int]]:
    """The kind of each stage, and how many augmentations it has."""
    return [(each["kind"], len(each["augmentations"])) for each in describe(plan_stages(specs, SHAPE, 2))]


@pytest.fixture
def foreign(install_plugin):
    install_plugin("some-layers", {"augmentations": "keras-brightness = keras.layers:RandomBrightness"})


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        (["rotate", "shift", "zoom", "shear", "flip", "crop"], [("geometric", 6)]),
        (["rotate(fill=reflect)", "shift(fill=reflect)"], [("geometric", 2)]),
        (["rotate(fill=reflect)", "shift"], [("geometric", 1), ("geometric", 1)]),
        (["flip", "rotate(fill=wrap)", "crop", "shift(fill=wrap)", "flip"], [("geometric", 5)]),
        (["flip", "rotate(fill=wrap)", "crop", "shift"], [("geometric", 3), ("geometric", 1)]),
        (["rotate(fill=constant, fill_value=3)", "shift(fill=constant, fill_value=3)"], [("geometric", 2)]),
        (["rotate(fill=constant)", "shift(fill=constant, fill_value=3)"], [("geometric", 1), ("geometric", 1)]),
        (["rotate(fill_value=1)", "shift(fill_value=2)"], [("geometric", 2)]),  # which nobody sees
        (["brightness", "hue", "equalize", "saturation", "contrast"], [("colour", 5)]),
        (["rotate", "brightness", "shift"], [("geometric", 1), ("colour", 1), ("geometric", 1)]),
        (["blur", "noise"], [("alone", 1), ("alone", 1)]),
        (["mixup", "cutmix"], [("mixing", 1), ("mixing", 1)]),
        (["flip", "mixup", "brightness"], [("geometric", 1), ("mixing", 1), ("colour", 1)]),
        (["chapter"], [("geometric", 3)]),
        (["chapter", "zoom"], [("geometric", 4)]),
        (["light"], [("geometric", 3), ("colour", 2)]),
        (["imagenet"], [("geometric", 2), ("colour", 3)]),
        (["none"], []),
        (["flip", "none", "rotate"], [("geometric", 2)]),
        ([], []),
    ],
)
def test_neighbours_of_one_kind_run_together(specs, expected):
    assert kinds(*specs) == expected


def test_foreign_layers_stay_in_place_and_part_the_others(foreign):
    for kind, ours in [("geometric", "rotate"), ("colour", "hue")]:
        assert kinds(ours, "keras-brightness(factor=0.1)", ours) == [(kind, 1), ("foreign", 1), (kind, 1)]


def test_only_what_is_behind_the_last_foreign_one_is_for_the_device(foreign):
    augment = build_augment(["mixup", "keras-brightness(factor=0.1)", "hue", "cutmix", "blur"], SHAPE, 2)
    assert [stage.kind for stage in augment.for_device] == ["colour", "mixing", "alone"]
    assert augment.device_shape[0] == 2
    assert build_augment(["hue", "keras-brightness(factor=0.1)"], SHAPE, 2).for_device == []


def test_a_stage_takes_the_fill_of_its_layers():
    (stage,) = plan_stages(["flip", "rotate(fill=constant, fill_value=9)", "crop"], SHAPE, 2)
    assert (stage.fill, stage.fill_value) == ("constant", 9)
    (stage,) = plan_stages(["flip", "crop"], SHAPE, 2)
    assert stage.fill == "nearest"


def test_each_augmentation_draws_from_a_stream_of_its_own():
    streams = [step.stream for stage in plan_stages(["chapter", "hue", "hue"], SHAPE, 2) for step in stage.steps]
    assert streams == [0, 1, 2, 3, 4]


def test_the_description_is_plain_data(foreign):
    specs = ["chapter", "hue(degrees=(3.0, 4.0))", "keras-brightness(factor=0.1)", "randaugment", "cutmix"]
    plan = describe(plan_stages(specs, SHAPE, 2))
    assert json.loads(json.dumps(plan)) == plan
    assert plan[0] == {
        "kind": "geometric",
        "how": "one map a picture, resampled once",
        "augmentations": ["rotate of chapter", "shift of chapter", "flip of chapter"],
    }
    assert plan[1]["augmentations"] == ["hue(degrees=(3.0, 4.0))"]
    assert (plan[2]["kind"], plan[2]["augmentations"]) == ("foreign", ["keras-brightness(factor=0.1)"])
    assert "rotate of randaugment" in plan[3]["augmentations"]
    assert plan[-1]["kind"] == "mixing"


def test_nothing_is_no_augmentation():
    assert build_augment((), SHAPE, 2) is None
    assert build_augment(("none",), SHAPE, 2) is None


def test_an_unknown_one_is_named():
    with pytest.raises(UnknownName, match="rotat"):
        plan_stages(["rotat"], SHAPE, 2)
