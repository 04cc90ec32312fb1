"""The command `kaz-azure-emulator`: start, stop, status, env, reset, and the faults."""

import json
import os
import shlex
import shutil
import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from kaz_azure_emulator.connection import Connection, is_running
from kaz_azure_emulator.emulator import control, start_server, wait_until_ready

app = typer.Typer(
    help="An Azure ML service on this machine, for the real SDK.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_STOP_SECONDS = 20.0


def _default_folder() -> Path:
    import platformdirs

    return platformdirs.user_state_path("kaz-azure-emulator", appauthor=False)


StateFolder = Annotated[
    Path | None,
    typer.Option("--state-folder", metavar="FOLDER", help="Where everything is kept; one for this user by default."),
]


@app.command()
def start(
    state_folder: StateFolder = None,
    location: Annotated[str, typer.Option(help="The workspace's region, at a first start.")] = "westus2",
) -> None:
    """Start it in the background, and print the variables that clients need: eval "$(kaz-azure-emulator start)"."""
    folder = _folder(state_folder)
    if running := _running(folder):
        typer.echo(f"already running, as process {running.process_id}", err=True)
        _print_environment(running)
        return
    try:
        process = start_server(folder, location, with_parent=False)
        connection = wait_until_ready(folder, process)
    except RuntimeError as error:
        raise _failure(str(error)) from error
    _print_environment(connection)
    typer.echo(f"config.json for MLClient.from_config: {folder / 'config.json'}", err=True)


@app.command()
def stop(
    state_folder: StateFolder = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the state folder, too.")] = False,
) -> None:
    """Stop it. What it holds is kept for the next start."""
    folder = _folder(state_folder)
    if running := _running(folder):
        os.kill(running.process_id, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while is_running(folder):
            if time.monotonic() > deadline:
                raise _failure(f"process {running.process_id} does not end")
            time.sleep(0.05)
    else:
        typer.echo("not running", err=True)
    if delete and (folder / "settings.json").exists():  # nothing but a state folder is ever deleted
        shutil.rmtree(folder)


@app.command()
def status(state_folder: StateFolder = None) -> None:
    """Say whether it runs, which hosts it refused, and which requests it did not know."""
    folder = _folder(state_folder)
    running = _require_running(folder)
    answer = control(folder, running, "GET", "status")
    typer.echo(json.dumps({"process_id": running.process_id, "state_folder": str(folder), **answer}, indent=2))


@app.command()
def env(state_folder: StateFolder = None) -> None:
    """Print the variables that clients need, as lines for a shell."""
    _print_environment(_require_running(_folder(state_folder)))


@app.command()
def reset(state_folder: StateFolder = None) -> None:
    """Forget all jobs, computes, assets and blobs. Clients stay signed in."""
    folder = _folder(state_folder)
    running = _require_running(folder)
    control(folder, running, "POST", "reset")


@app.command()
def fault(
    operation: Annotated[str, typer.Argument(help="As `jobs.get`, or a pattern, as `jobs.*`.")],
    state_folder: StateFolder = None,
    status: Annotated[int | None, typer.Option(help="The answer's status.")] = None,
    code: Annotated[str | None, typer.Option(help="Azure's name of the error.")] = None,
    retry_after: Annotated[int | None, typer.Option(help="Seconds, for the header Retry-After.")] = None,
    delay: Annotated[float, typer.Option(help="Seconds for which nothing happens first.")] = 0.0,
    cut: Annotated[bool, typer.Option("--cut", help="End the connection without an answer.")] = False,
    times: Annotated[int, typer.Option(help="How often; 0 for always.")] = 1,
) -> None:
    """Have an operation go wrong."""
    folder = _folder(state_folder)
    running = _require_running(folder)
    wanted = {"operation": operation, "status": status, "code": code, "retry_after": retry_after}
    control(folder, running, "POST", "faults", {**wanted, "delay": delay, "cut": cut, "times": times or None})


def _folder(chosen: Path | None) -> Path:
    return (chosen or _default_folder()).expanduser().resolve()


def _running(folder: Path) -> Connection | None:
    return Connection.read(folder) if is_running(folder) else None


def _require_running(folder: Path) -> Connection:
    if not (running := _running(folder)):
        raise _failure("not running")
    return running


def _print_environment(connection: Connection) -> None:
    for name, value in connection.environment.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _failure(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(1)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
