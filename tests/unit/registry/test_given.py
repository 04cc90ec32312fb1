"""Functions, classes and objects in place of names: what is written of them, and what is refused."""

import copy
import dataclasses
import functools
import json
import pickle
import sys

import pytest

from keras_azure.description.config import RunConfig, describe_run
from keras_azure.errors import BrokenPlugin, ConfigError, SpecError, UnknownName, WrongOption
from keras_azure.registry.given import as_text, typed_by_user
from keras_azure.registry.registry import AUGMENTATIONS, CALLBACKS, MODELS, as_spec
from keras_azure.registry.specs import Given, Spec


def small(input_shape, num_classes, *, units: int = 8):
    return units


class Listener:
    """As a callback: it tells nothing of itself."""


class Step:
    def __init__(self, size: float = 0.5, *, name: str = "step", rates=None):
        self.size = size

    def get_config(self):
        return {"size": self.size, "name": "step", "rates": {"a": 1}, "other": 3}


def test_a_text_says_what_is_given():
    assert as_text(small) == f"{__name__}:small"
    assert as_text(json.dumps) == "json:dumps"
    assert as_text(lambda images: images) == f"<{__name__}:test_a_text_says_what_is_given.<locals>.<lambda>>"
    assert as_text(Listener()) == f"<{__name__}:Listener>"
    assert as_text(Step()) == f"<{__name__}:Step>"
    assert as_text(Step(0.1)) == f"<{__name__}:Step(size=0.1)>"
    assert as_text(functools.partial(small, units=3)) == f"<{__name__}:small(units=3)>"


def test_what_is_of_a_notebook_cannot_be_imported(monkeypatch):
    monkeypatch.setattr(small, "__module__", "__main__")
    assert as_text(small) == "<__main__:small>"
    assert as_spec(as_text(small)).name == "small"


@pytest.mark.parametrize("value", [None, "cnn", "cnn(a=1)", 3, 0.5, True, {"a": 1}, b"cnn"])
def test_what_is_no_object_stays_as_it_is(value):
    assert as_text(value) is value


def test_a_spec_and_several():
    assert as_text(Spec("cnn", {"a": 1})) == "cnn(a=1)"
    assert as_text(("flip", json.dumps)) == ("flip", "json:dumps")
    assert as_text(["flip", 3]) == ["flip", 3]


def test_the_object_goes_where_its_text_goes():
    text = as_text(small)
    assert isinstance(text, Given)
    spec = as_spec(text)
    assert MODELS.load(spec) is small
    assert (spec.name, dict(spec.options)) == ("small", {})
    more = spec.with_options(units=3)
    assert str(more) == f"{__name__}:small(units=3)"
    assert MODELS.build(str(more), (8, 8, 1), 2) == 3
    assert MODELS.find(text).package == "(no package)"


def test_beyond_this_process_it_is_text():
    text = as_text(small)
    for plain in (copy.deepcopy(text), pickle.loads(pickle.dumps(text)), json.loads(json.dumps(text))):
        assert type(plain) is str
        assert plain == text
    with pytest.raises(SpecError, match="is Python code, which is not imported because a file names it"):
        as_spec(copy.deepcopy(text))


def test_a_function_of_images_is_an_augmentation_and_one_of_nothing_makes_one():
    def darker(images):
        return images

    assert AUGMENTATIONS.build(as_text(darker)) is darker
    assert AUGMENTATIONS.build(as_text(lambda: darker)) is darker
    listener = Listener()
    assert CALLBACKS.build(as_text(listener)) is listener
    assert isinstance(CALLBACKS.build(as_text(Listener)), Listener)


def test_a_config_takes_objects():
    config = RunConfig(small, augment=json.dumps, metrics=[json.dumps, "auc"])
    assert config.model == f"{__name__}:small"
    assert config.augment == ("json:dumps",)
    assert MODELS.load(config.resolved().model_spec) is small
    assert MODELS.load(dataclasses.replace(config.resolved(), epochs=3).model_spec) is small
    assert config.python_texts() == [f"{__name__}:small", "json:dumps", "json:dumps"]
    assert json.loads(config.to_json())["model"] == config.model
    again = RunConfig.from_json(config.to_json())
    assert again == config
    with pytest.raises(SpecError):
        again.resolved()
    with pytest.raises(ConfigError, match="'loss' cannot be 3"):
        RunConfig(small, loss=3)


def test_options_lie_over_what_is_given():
    config = describe_run(small, None, {"set": ["units=3"]})
    assert config.model == f"{__name__}:small(units=3)"
    assert MODELS.build(config.model_spec, (8, 8, 1), 2) == 3


def test_a_user_may_name_an_import_and_a_file_may_not(tmp_path):
    config = describe_run("nets:small(units=3)", None, {"loss": "losses:soft", "metrics": ["auc", "a.b:c"]})
    assert config.python_texts() == ["nets:small(units=3)", "losses:soft", "a.b:c"]
    assert config.model_spec.options == {"units": 3}
    with pytest.raises(BrokenPlugin, match="nets:small cannot be imported: ModuleNotFoundError"):
        MODELS.load(config.model)
    file = tmp_path / "run.json"
    file.write_text(config.to_json())
    with pytest.raises(SpecError, match="which is not imported because a file names it") as caught:
        describe_run(None, file, {})
    assert "kaz run module:name --config run.json" in caught.value.hint
    named = {"loss": "losses:soft", "metrics": ["auc", "a.b:c"]}
    assert describe_run("nets:small(units=3)", file, named) == config
    assert "nets" not in sys.modules
    assert describe_run("cnn", None, {"data": "digits"}).data == "digits"
    assert typed_by_user(["cnn", "a.b:c(d=1)"]) == ["cnn", "a.b:c(d=1)"]


def test_what_was_an_object_is_refused_in_a_sentence(tmp_path):
    file = tmp_path / "run.json"
    file.write_text(RunConfig("cnn", optimizer=Step(0.1)).to_json())
    with pytest.raises(SpecError) as caught:
        describe_run(None, file, {})
    assert caught.value.problem == (
        f"'<{__name__}:Step(size=0.1)>' was an object of a Python program, which no text can make again."
    )
    assert "keras_azure.run(..., config='run.json')" in caught.value.hint


def test_a_model_is_no_object():
    with pytest.raises(WrongOption, match="is an object"):
        MODELS.load(as_text(Step()))


def test_nothing_is_registered():
    before = {registry: registry.all_entries() for registry in (MODELS, AUGMENTATIONS)}
    describe_run(small, None, {"augment": [json.dumps]})
    assert {registry: registry.all_entries() for registry in before} == before
    with pytest.raises(UnknownName, match="There is no model called 'small'"):
        MODELS.find("small")
