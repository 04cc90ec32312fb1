"""One number for squares, or two for height and width, on the command line, in descriptions and in Python."""

import pytest
import typer
from typer.core import TyperCommand
from typer.testing import CliRunner

from keras_azure.cli.flags import RunCommand
from keras_azure.cli.options import IMAGE_SIZE, sizes_as_one_word
from keras_azure.data import open_dataset
from keras_azure.description.events import Observer
from keras_azure.errors import KerasAzureError
from keras_azure.registry.options import coerce

KINDS = {"preview": TyperCommand, "run": RunCommand}


@pytest.fixture(params=KINDS)
def command(request):
    """What a command makes of a command line: the size, the model, the epochs; or the error that it prints."""
    app, heard = typer.Typer(rich_markup_mode=None), []

    @app.command(cls=KINDS[request.param])
    def run(model: str = typer.Argument("none"), *, image_size: IMAGE_SIZE = None, epochs: int = 0) -> None:
        heard.append((image_size, model, epochs))

    def give(*words):
        done = CliRunner().invoke(app, sizes_as_one_word(words))
        return heard.pop() if done.exit_code == 0 else done.output

    return give


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ("--image-size 64", (64, 64)),
        ("--image-size=64", (64, 64)),
        ("--image-size 64 48", (64, 48)),
        ("--image-size 64x48", (64, 48)),
        ("--image-size=64,48", (64, 48)),
        ("", None),
    ],
)
@pytest.mark.parametrize(("before", "after"), [("cnn", ""), ("", "cnn"), ("cnn", "--epochs 3"), ("--epochs 3 cnn", "")])
def test_a_size_is_read_wherever_it_stands(command, words, size, before, after):
    epochs = 3 if "--epochs" in before + after else 0
    assert command(*before.split(), *words.split(), *after.split()) == (size, "cnn", epochs)


def test_two_numbers_in_one_word_with_a_space(command):
    assert command("--image-size", "64, 48")[0] == (64, 48)


@pytest.mark.parametrize("word", ["large", "64x", "x48", "6.4", "-5", "64x48x3", "", "9" * 5000, "\u0663"])
def test_what_is_no_size_is_said_to_be_none(command, word):
    error = command("cnn", f"--image-size={word}")
    assert "--image-size" in error
    assert "is no size: one number for squares" in " ".join(error.split())


def test_it_needs_a_value(command):
    assert "requires an argument" in command("cnn", "--image-size")


def test_what_stands_behind_two_dashes_is_no_option(command):
    assert command("--", "--image-size")[1] == "--image-size"


@pytest.mark.parametrize(("text", "shape"), [("image_size=16", (16, 16, 1)), ("image_size=(16, 12)", (16, 12, 1))])
def test_the_description_of_data_has_it_alike(text, shape):
    assert open_dataset(f"digits({text})", Observer()).image_shape == shape


@pytest.mark.parametrize("text", ["image_size=0", "image_size=16.0", "image_size=True", "image_size=(16,)"])
def test_no_size_in_a_description(text):
    with pytest.raises(KerasAzureError, match="image_size"):
        open_dataset(f"digits({text})", Observer())


def test_a_number_is_both_for_any_plugin_with_two():
    assert coerce(64, tuple[int, int] | None) == (64, 64)
    assert coerce(64, int | tuple[int, int]) == 64
    for value, hint in ((64, tuple[int, int, int]), (64, tuple[str, int]), (6.4, tuple[int, int])):
        with pytest.raises(ValueError):
            coerce(value, hint)
