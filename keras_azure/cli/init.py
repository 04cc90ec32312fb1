"""`kaz init`: writes the file that names the Azure ML workspace."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keras_azure.cli.output import ask, print_text
from keras_azure.errors import CloudError, NotSignedIn, OutputExists, UsageError
from keras_azure.files import json_text
from keras_azure.lazy import lazy

if TYPE_CHECKING:
    from keras_azure.backends.azure.service import Service
    from keras_azure.backends.azure.workspace import Workspace

_FILE = "config.json"  # which Azure ML's own tools read, too


def register(app: typer.Typer) -> None:
    app.command("init")(init)


def init(
    *,
    subscription: Annotated[
        str | None, typer.Option(metavar="ID", envvar="AZURE_SUBSCRIPTION_ID", help="The subscription's id.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="NAME", envvar="AZURE_DEFAULTS_GROUP", help="The resource group.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", envvar="AZURE_DEFAULTS_WORKSPACE", help="The workspace's name.")
    ] = None,
    output: Annotated[Path, typer.Option(help="The folder to write it into.", show_default="here")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    check: Annotated[bool, typer.Option(help="Ask Azure whether the workspace is there.")] = True,
) -> None:
    """Write config.json, which names the Azure ML workspace; asks for what is not given."""
    path = output / _FILE
    if path.exists() and not force:
        raise OutputExists(f"There is a {path} already, and it is not overwritten.", hint="kaz init --force")
    workspace = _workspace(
        {
            "subscription_id": ("--subscription", "The subscription's id", subscription),
            "resource_group": ("--group", "The resource group", group),
            "workspace_name": ("--name", "The workspace's name", name),
        }
    )
    print_text(f"{path}:\n{json_text(vars(workspace)).rstrip()}", err=True)
    if check:
        _check(workspace)
    try:
        workspace.save(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.", hint="another --output") from error
    print_text(str(path))
    print_text("Next: kaz doctor", err=True)


def _workspace(fields: dict[str, tuple[str, str, str | None]]) -> "Workspace":
    """The workspace; `fields` gives for each of its values the option, the question and what was given."""
    missing = [option for option, _, given in fields.values() if not given]
    if missing and not sys.stdin.isatty():
        raise UsageError(
            f"Nobody can be asked for {' and '.join(missing)}.",
            expected="the workspace's values, as its page in Azure's portal shows them",
            hint="kaz init --subscription ID --group NAME --name NAME",
        )
    values = {field: (given or ask(f"{question}:")).strip() for field, (_, question, given) in fields.items()}
    for field, (option, _, _) in fields.items():
        if not values[field] or "/" in values[field]:
            raise UsageError(f"{values[field]!r} cannot be a {field.replace('_', ' ')}.", hint=f"another {option}")
    kind: type[Workspace] = lazy("keras_azure.backends.azure.workspace:Workspace")
    return kind(**values)


def _check(workspace: "Workspace") -> None:
    """Says where the workspace is; without a login nobody can know.

    Raises:
        CloudError: there is no such workspace, or Azure does not answer.
    """
    try:
        service: Service = lazy("keras_azure.backends.azure.service:Service")(workspace)
        region = service.description.location
    except (NotSignedIn, UsageError) as error:
        print_text(f"Not checked: {error.problem}", err=True)
    except CloudError as error:
        raise CloudError(
            f"{error.problem} Nothing was written.", expected="a workspace that is there", hint="kaz init --no-check"
        ) from error
    else:
        print_text(f"The workspace is there, in {region}.", err=True)
