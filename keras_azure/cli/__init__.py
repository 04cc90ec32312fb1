"""The `kaz` command. Each file here is one group of commands; none of them loads TensorFlow to be listed."""

import sys
import traceback
from typing import Annotated

import typer

from keras_azure.cli import (
    bench,
    cache,
    compare,
    data,
    doctor,
    evaluate,
    explain,
    init,
    jobs,
    new,
    plan,
    plugins,
    predict,
    preview,
    report,
    run,
    runs,
    sizes,
)
from keras_azure.cli.options import sizes_as_one_word
from keras_azure.cli.output import complain, print_text, secrets_hidden
from keras_azure.errors import KerasAzureError
from keras_azure.redaction import escape_what_cannot_be_encoded

app = typer.Typer(
    help="Train an image classifier with Keras, on this machine or on an Azure ML GPU cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich takes as long to load as all the rest of `kaz --help`
)
run.register(app)
runs.register(app)
compare.register(app)
bench.register(app)
plugins.register(app)
new.register(app)
preview.register(app)
predict.register(app)
evaluate.register(app)
report.register(app)
explain.register(app)
cache.register(app)
data.register(app)
sizes.register(app)
plan.register(app)
jobs.register(app)
doctor.register(app)
init.register(app)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")] = False,
) -> None:
    # Read by main(), which takes --debug out of the arguments: it is understood behind the command's name too.
    pass


def main() -> None:
    """Runs the command and turns every error into one message and an exit code: 0 done, 1 failed, 2 wrong usage."""
    debug = "--debug" in sys.argv
    escape_what_cannot_be_encoded()
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    with secrets_hidden():
        try:
            app(sizes_as_one_word(arguments), prog_name="kaz")
        except Exception as error:
            if debug:
                # At once, so that a secret of several lines is hidden as one.
                print_text(traceback.format_exc().rstrip(), err=True)
            complain(_message(error))
            sys.exit(error.exit_code if isinstance(error, KerasAzureError) else 1)


def _message(error: Exception) -> str:
    if isinstance(error, KerasAzureError):
        return str(error)
    return f"Unexpected {type(error).__name__}: {error}\nTry: the same command with --debug, and report what it shows"
