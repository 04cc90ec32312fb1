"""The command `kaz-azure-emulator`: start, stop, status, env, reset, and whatever is to go wrong."""

import json
import os
import re
import shlex
import shutil
import signal
import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

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
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 24 * 3600}


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
    _ask(state_folder, "POST", "reset")


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
    wanted = {"operation": operation, "status": status, "code": code, "retry_after": retry_after}
    _ask(state_folder, "POST", "faults", {**wanted, "delay": delay, "cut": cut, "times": times or None})


def _seconds(text: str) -> float:
    if not (found := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)):
        raise typer.BadParameter(f"{text!r} is no time such as 90, 15m or 2h")
    return float(found[1]) * _UNITS[found[2]]


@app.command()
def advance(
    seconds: Annotated[
        float, typer.Argument(parser=_seconds, metavar="TIME", help="In seconds, or as `15m`, `2h`, `1d`.")
    ],
    state_folder: StateFolder = None,
) -> None:
    """Have time pass: tokens expire, idle nodes go."""
    _ask(state_folder, "POST", "clock", {"seconds": seconds})


@app.command()
def quota(
    family: Annotated[str, typer.Argument(help="As `standardNCADSA100v4Family`, or `lowPriorityCores`.")],
    cores: Annotated[int, typer.Argument(min=0)],
    state_folder: StateFolder = None,
) -> None:
    """Set how many cores there may be of a family of sizes."""
    _ask(state_folder, "PUT", f"quotas/{quote(family, safe='')}", {"cores": cores})


@app.command()
def size(
    name: Annotated[str, typer.Argument(help="As `Standard_NC24ads_A100_v4`.")],
    state_folder: StateFolder = None,
    offered: Annotated[bool, typer.Option("--offered/--retired", help="Whether new clusters can have it.")] = True,
    capacity: Annotated[bool, typer.Option(help="Without, jobs for it wait.")] = True,
) -> None:
    """Say whether a size of machine can be had. Without options, it can."""
    _ask(state_folder, "PUT", f"sizes/{quote(name, safe='')}", {"offered": offered, "capacity": capacity})


@app.command()
def evict(
    job: Annotated[str, typer.Argument(help="The name of a running job on Spot nodes.")],
    state_folder: StateFolder = None,
) -> None:
    """Take a job its Spot nodes. It is queued again."""
    _ask(state_folder, "POST", f"evictions/{quote(job, safe='')}")


@app.command()
def storage(
    away: Annotated[bool, typer.Option("--away/--back", help="Whether connections to it are refused.")] = False,
    upload_speed: Annotated[
        float | None, typer.Option(min=1, help="How many bytes a second a connection takes; without, all that come.")
    ] = None,
    state_folder: StateFolder = None,
) -> None:
    """Take blob storage away, or make uploads slow. Without options, all is well again."""
    _ask(state_folder, "PUT", "storage", {"reachable": not away, "upload_speed": upload_speed})


def _ask(state_folder: Path | None, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Asks the emulator that is running for something; the command fails where there is none, or it refuses."""
    folder = _folder(state_folder)
    running = _require_running(folder)
    try:
        return control(folder, running, method, path, body)
    except RuntimeError as error:
        raise _failure(str(error)) from error


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
