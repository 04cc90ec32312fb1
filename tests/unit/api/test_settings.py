"""What editors and type checkers are told of `keras_azure.run` is what it takes."""

import dataclasses
import re
import typing
from pathlib import Path

import pytest
from fixtures.settings import FILE, SUGAR, settings_source

import keras_azure
from keras_azure.api import plans, runs, settings
from keras_azure.description.config import RunConfig
from keras_azure.registry.registry import BACKENDS

STUB = Path(__file__).parents[3] / "keras_azure" / "__init__.pyi"


def test_the_settings_are_those_of_a_run():
    assert FILE.read_text(encoding="utf-8") == settings_source(), "python tests/fixtures/settings.py writes it anew"


def test_each_field_and_each_option_of_our_backends_is_there():
    named = {*typing.get_type_hints(settings.Settings)}
    fields = {setting.name for setting in dataclasses.fields(RunConfig)} - {"model"}
    options = {option for entry in ("local", "azure") for option in BACKENDS.options(entry)}
    assert named == fields | {*SUGAR} | options
    assert {*typing.get_type_hints(settings.SettingsElsewhere)} == named - {"backend"}


@pytest.mark.parametrize("function", [runs.run, runs.submit, runs.dry_run, runs.bench, plans.plan])
def test_the_functions_take_them(function):
    elsewhere = function is plans.plan
    wanted = settings.SettingsElsewhere if elsewhere else settings.Settings
    assert typing.get_type_hints(function)["settings"] == typing.Unpack[wanted]


def test_the_names_for_type_checkers_are_those_that_are_imported():
    stub = re.findall(r"^from (\S+) import (\w+) as \2$", STUB.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: module for module, name in stub} == keras_azure._HOME
    assert "__version__: str" in STUB.read_text(encoding="utf-8")
