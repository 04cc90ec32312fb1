"""Texts that people and files give: specs, options, stages, data sets, and the descriptions of runs."""

import dataclasses
import json

import pytest
from hypothesis import strategies as st

from keras_azure.data.locate import find_dataset
from keras_azure.description.config import RunConfig, lay_over, read_config_file
from keras_azure.description.stages import parse_stages
from keras_azure.errors import ConfigError
from keras_azure.registry import specs
from keras_azure.registry.registry import AUGMENTATIONS, MODELS

FIELDS = [setting.name for setting in dataclasses.fields(RunConfig)]


@pytest.fixture
def spec_like(texts):
    """Texts that are nearly specs: names with options that may hold anything."""
    values = st.recursive(
        st.one_of(texts, texts.map(repr), st.integers().map(str), st.floats().map(str), st.just("9" * 400)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda parts: f"({', '.join(parts)},)"),
            st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
            inner.map(lambda value: f"mlp(units={value})"),
        ),
        max_leaves=5,
    )
    option = st.tuples(st.one_of(st.sampled_from(["path", "units", "*", "**x", "class"]), texts), values).map("=".join)
    name = st.one_of(st.sampled_from(["cnn", "folder", "idx", "digits", "rotate"]), texts)
    call = st.builds(lambda name, options: f"{name}({', '.join(options)})", name, st.lists(option, max_size=3))
    return st.one_of(texts, call, option)


def test_specs(throw, spec_like):
    def parse(text):
        spec = specs.parse(text)
        assert specs.parse(str(spec)) == spec

    throw(spec_like, parse)


def test_options(throw, spec_like):
    throw(spec_like, specs.parse_option)


def test_names_of_plugins(throw, spec_like):
    def find(text):
        for registry in (MODELS, AUGMENTATIONS):
            registry.find(text)

    throw(spec_like, find)


def test_stages(throw, texts):
    part = st.builds(
        "blocks={},epochs={}{}".format,
        st.one_of(st.integers(-3, 9), st.integers(), texts),
        st.one_of(st.integers(-3, 9), st.integers(), texts),
        st.one_of(st.just(""), st.floats().map(",learning_rate={}".format), texts),
    )
    stages = st.lists(st.one_of(part, texts), max_size=4).map(";".join)

    def parse(text):
        assert all(stage.epochs >= 1 for stage in parse_stages(text, 1))

    throw(st.one_of(stages, texts), parse)


def test_data_sets(throw, spec_like):
    throw(st.one_of(spec_like, spec_like.map("tfds:".__add__)), find_dataset)


def test_layers_of_settings(throw, spec_like):
    changes = st.fixed_dictionaries(
        {}, optional={"set": st.lists(spec_like, max_size=2), "image_size": st.tuples(st.integers(), st.integers())}
    )
    values = st.fixed_dictionaries({}, optional={"model": spec_like, "data": spec_like})
    throw(st.tuples(values, changes), lambda both: lay_over(*both))


@pytest.fixture
def json_values(texts):
    numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([10**400, -(10**400), 2**63, 1e308]))
    return st.recursive(
        st.one_of(st.none(), st.booleans(), numbers, texts),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
        max_leaves=6,
    )


@pytest.fixture
def run_files(texts, json_values, spec_like, changed):
    """Texts that are nearly a run.json."""
    good = json.dumps(dataclasses.asdict(RunConfig("cnn")))
    field = st.one_of(st.sampled_from(FIELDS), texts)
    values = st.one_of(json_values, spec_like, st.lists(spec_like, max_size=3))
    described = st.dictionaries(field, values, max_size=4)
    likely = st.builds(lambda values: {"model": "cnn", **values}, described)
    nested = st.builds(lambda depth, ends: "[" * depth + ends, st.integers(1, 5000), st.sampled_from(["", "1]"]))
    deep = st.builds('{{"model": "cnn", "{}": {}}}'.format, st.sampled_from(FIELDS), nested)
    damaged = changed([good.encode()]).map(lambda content: content.decode("utf-8", "surrogateescape"))
    return st.one_of(
        likely.map(json.dumps), described.map(json.dumps), json_values.map(json.dumps), damaged, deep, texts
    )


def test_descriptions_of_runs(throw, run_files):
    def parse(text):
        config = RunConfig.from_json(text).resolved()
        assert RunConfig.from_json(config.to_json()) == config

    throw(run_files, parse)


def test_files_of_settings(throw, run_files, tmp_path):
    path = tmp_path / "run.json"

    def parse(text):
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        assert isinstance(read_config_file(path), dict)

    throw(run_files, parse)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"model":' * 100_000, "9" * 100_000, '{"epochs": ' + "9" * 5_000 + "}"]
)
def test_json_that_is_deep_or_long_is_refused(text, tmp_path):
    with pytest.raises(ConfigError):
        RunConfig.from_json(text)


def test_files_of_settings_in_strange_places(throw, texts, tmp_path):
    throw(texts, lambda name: read_config_file(tmp_path / name))
