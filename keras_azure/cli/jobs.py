"""`kaz jobs`: the jobs that kaz started, of all backends that keep some, from any machine."""

import contextlib
import datetime
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_azure.backends import COMPLETED, FINAL_STATES, KeepsJobs, RunningJob
from keras_azure.cli.flags import BACKEND, EPILOG, command_of_backends_that, with_flags
from keras_azure.cli.options import given
from keras_azure.cli.output import print_json, print_text
from keras_azure.description.events import Observer
from keras_azure.errors import UsageError
from keras_azure.lazy import lazy

_Name = Annotated[str, typer.Argument(help="The job's name, as kaz jobs list shows it.", show_default=False)]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Command = command_of_backends_that(KeepsJobs)


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Look at jobs elsewhere, follow, fetch and cancel them.", no_args_is_help=True, rich_markup_mode=None
    )
    commands: dict[str, Callable[..., None]] = {
        "list": list_jobs,
        "show": show,
        "logs": logs,
        "wait": wait,
        "cancel": cancel,
        "download": download,
        "open": open_page,
    }
    for name, command in commands.items():
        group.command(name, cls=_Command, epilog=EPILOG)(with_flags(command))
    app.add_typer(group, name="jobs")


def list_jobs(
    *,
    all_: Annotated[bool, typer.Option("--all", help="All there are, however old.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most how many.")] = 20,
    backend: BACKEND = None,
    json: _Json = False,
    **flags: object,
) -> None:
    """List the jobs that kaz started, the newest first."""
    # One more than is shown tells whether there are more.
    found = _api("list_jobs")(backend, limit=None if all_ else limit + 1, flags=given(flags), tell=_message)
    shown = found if all_ else found[:limit]
    if json:
        print_json(shown)
        return
    if not shown:
        print_text("No job was started by kaz.", err=True)
        return
    keys = [key for key in _COLUMNS if key not in _OPTIONAL or any(job.get(key) for job in shown)]
    if len({job["backend"] for job in shown}) > 1:
        keys.append("backend")
    widths = {key: max(len(key), *(len(job.get(key) or "") for job in shown)) for key in keys}
    print_text("  ".join(f"{key:<{widths[key]}}" for key in keys) + "  started", bold=True)
    for job in shown:
        cells = "  ".join(f"{job.get(key) or '':<{widths[key]}}" for key in keys)
        print_text(f"{cells}  {_when(job.get('created'))}".rstrip())
    if len(found) > len(shown):
        print_text("There are more: kaz jobs list --all", err=True)


def show(name: _Name, *, backend: BACKEND = None, json: _Json = False, **flags: object) -> None:
    """Show a job: its state, machines, times, inputs and outputs; of a failed one why it failed."""
    facts = _api("describe")(_find(name, backend, flags))
    if json:
        print_json(facts)
        return
    rows = [("Job", facts["name"]), ("State", facts["state"])]
    rows += [("Run", facts["display_name"])] if facts.get("display_name") else []
    if "nodes" in facts or facts.get("size"):
        rows += [("Machines", f"{facts.get('nodes', 1)} x {facts.get('size') or 'a size that is not known'}")]
    rows += [(title, _when(facts[key])) for title, key in _TIMES.items() if facts.get(key)]
    rows += [("Took", line) for line in facts.get("bill", ())]
    rows += [("Input", f"{given}: {place}") for given, place in facts.get("inputs", {}).items()]
    rows += [("Output", f"{given}: {place}") for given, place in facts.get("outputs", {}).items()]
    rows += [("Tags", ", ".join(f"{tag}={value}" for tag, value in facts["tags"].items()))] if "tags" in facts else []
    rows += [("Studio", facts["studio"])] if facts.get("studio") else []
    rows += [(key, str(value)) for key, value in facts.items() if key not in _KNOWN]
    failure = facts.get("failure") or {}
    rows += [("Reason", failure["reason"])] if failure else []
    for title, text in rows:
        print_text(f"{title:<9} {text}")
    if failure.get("log"):
        print_text("\nThe last lines of its log:")
        for line in failure["log"]:
            print_text(f"  {line}")


def logs(
    name: _Name,
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the job has ended.")] = False,
    backend: BACKEND = None,
    **flags: object,
) -> None:
    """Print what a job has written so far, of all its nodes."""
    job = _find(name, backend, flags)
    if follow:
        _api("follow")(job, print_text, _message)
        return
    lines = list(job.logs())
    for line in lines:
        print_text(line)
    if not lines:
        _message(f"The job {name} has written nothing yet; it is {job.status()}.")


def wait(
    name: _Name,
    *,
    output: Annotated[Path | None, typer.Option(help="Fetch its run folder to here when it is done.")] = None,
    backend: BACKEND = None,
    json: _Json = False,
    **flags: object,
) -> None:
    """Follow a job to its end: exit code 0 when it has completed, else 1, with the reason."""
    job = _find(name, backend, flags)
    with _display() as display:
        state = _api("follow")(job, display.message, display.message)
        fetched = {}
        if state == COMPLETED and output is not None:
            fetched = _api("download")(job, output, [], display)
    if json:
        print_json(_api("describe")(job) | {key: fetched[key] for key in ("folder", "files") if fetched})
    if state != COMPLETED:
        raise _api("failure_of")(job, state)
    if fetched and not json:
        print_text(fetched["folder"])


def cancel(name: _Name, *, backend: BACKEND = None, json: _Json = False, **flags: object) -> None:
    """End a job, and wait until it has ended."""
    job = _find(name, backend, flags)
    before = state = job.status()
    if before not in FINAL_STATES:
        job.cancel()
        state = _api("follow")(job, _ignore, _ignore)
    if json:
        print_json({"name": name, "state": state})
    elif before in FINAL_STATES:
        print_text(f"The job {name} had ended already: {before}")
    else:
        print_text(f"The job {name} has ended: {state}")


def download(
    name: _Name,
    patterns: Annotated[
        list[str] | None,
        typer.Argument(metavar="[GLOB]...", help="Which files, such as 'plots/*'; by default all but checkpoints."),
    ] = None,
    *,
    output: Annotated[Path | None, typer.Option(help="The folder. By default runs/NAME.")] = None,
    backend: BACKEND = None,
    json: _Json = False,
    **flags: object,
) -> None:
    """Fetch what a job has written into its run folder; what is there already is not fetched again."""
    job = _find(name, backend, flags)
    with _display() as display:
        fetched = _api("download")(job, output, patterns or [], display)
    if json:
        print_json(fetched)
        return
    for file in fetched["files"]:
        print_text(str(Path(fetched["folder"], file)))


def open_page(name: _Name, *, backend: BACKEND = None, **flags: object) -> None:
    """Print the address of a job's page, such as in Azure ML studio; in a terminal, open it in the browser, too."""
    address = _api("describe")(_find(name, backend, flags)).get("studio")
    if not address:
        raise UsageError(f"The job {name} has no page.", hint=f"kaz jobs show {name}")
    print_text(address)
    if sys.stdout.isatty():
        typer.launch(address)


_COLUMNS = ("name", "state", "size")
_OPTIONAL = ("size",)  # which not every backend has
_TIMES = {"Submitted": "created", "Begun": "begun", "Ended": "ended"}
_KNOWN = (
    *("name", "state", "display_name", "nodes", "size", "created", "begun", "ended", "bill", "inputs", "outputs"),
    *("tags", "studio", "failure", "experiment"),
)


def _api(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = lazy(f"keras_azure.api.jobs:{name}")
    return function


def _find(name: str, backend: str | None, flags: dict[str, object]) -> RunningJob:
    if not name.strip() or "/" in name:
        raise UsageError(f"{name!r} is no name of a job.", hint="kaz jobs list")
    found: RunningJob = _api("find_job")(name, backend, flags=given(flags))
    return found


def _ignore(text: str) -> None:
    pass


def _display() -> contextlib.AbstractContextManager[Observer]:
    # With rich, which other commands need not wait for.
    made: contextlib.AbstractContextManager[Observer] = lazy("keras_azure.listeners.display:display_for_here")()
    return made


def _message(text: str) -> None:
    print_text(text, err=True)


def _when(text: str | None) -> str:
    """A time of Azure's as the local one."""
    if not text:
        return ""
    return f"{datetime.datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"
