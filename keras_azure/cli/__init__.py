"""The `kaz` command. Each file here is one group of commands; none of them loads TensorFlow to be listed."""

import sys
import traceback
from typing import Annotated

import typer

from keras_azure.cli import cache, new, plugins, predict, preview, run
from keras_azure.cli.output import complain
from keras_azure.errors import KerasAzureError

app = typer.Typer(
    help="Train an image classifier with Keras, on this machine or on an Azure ML GPU cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich takes as long to load as all the rest of `kaz --help`
)
run.register(app)
plugins.register(app)
new.register(app)
preview.register(app)
predict.register(app)
cache.register(app)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")] = False,
) -> None:
    # Read by main(), which takes --debug out of the arguments: it is understood behind the command's name too.
    pass


def main() -> None:
    """Runs the command and turns every error into one message and an exit code: 0 done, 1 failed, 2 wrong usage."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments, prog_name="kaz")
    except KerasAzureError as error:
        if debug:
            traceback.print_exc()
        complain(str(error))
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            traceback.print_exc()
        complain(
            f"Unexpected {type(error).__name__}: {error}\nTry: the same command with --debug, and report what it shows"
        )
        sys.exit(1)
