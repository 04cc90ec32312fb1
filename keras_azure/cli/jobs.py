"""`kaz jobs`: the jobs of an Azure ML workspace that kaz started, from any machine."""

import datetime
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_azure.cli.options import WORKSPACE
from keras_azure.cli.output import print_json, print_text
from keras_azure.errors import UsageError
from keras_azure.lazy import lazy

_Name = Annotated[str, typer.Argument(help="The job's name, as kaz jobs list shows it.", show_default=False)]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_FINAL = ("Completed", "Failed", "Canceled", "NotResponding")


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Look at jobs on Azure, follow, fetch and cancel them.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("list")(list_jobs)
    group.command("show")(show)
    group.command("logs")(logs)
    group.command("wait")(wait)
    group.command("cancel")(cancel)
    group.command("download")(download)
    group.command("open")(open_page)
    app.add_typer(group, name="jobs")


def list_jobs(
    *,
    all_: Annotated[bool, typer.Option("--all", help="All there are, however old.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most how many.")] = 20,
    workspace: WORKSPACE = None,
    json: _Json = False,
) -> None:
    """List the jobs that kaz started, the newest first."""
    # One more than is shown tells whether there are more.
    found = _azure("list_jobs")(workspace, None if all_ else limit + 1)
    shown = found if all_ else found[:limit]
    if json:
        print_json(shown)
        return
    if not shown:
        print_text("No job was started by kaz in this workspace.", err=True)
        return
    widths = {key: max(len(heading), *(len(job[key] or "") for job in shown)) for key, heading in _COLUMNS.items()}
    print_text("  ".join(f"{heading:<{widths[key]}}" for key, heading in _COLUMNS.items()) + "  started", bold=True)
    for job in shown:
        cells = "  ".join(f"{job[key] or '':<{widths[key]}}" for key in _COLUMNS)
        print_text(f"{cells}  {_when(job['created'])}")
    if len(found) > len(shown):
        print_text("There are more: kaz jobs list --all", err=True)


def show(name: _Name, *, workspace: WORKSPACE = None, json: _Json = False) -> None:
    """Show a job: its state, machines, times, inputs and outputs; of a failed one why it failed."""
    facts = _azure("describe_job")(_find(workspace, name))
    if json:
        print_json(facts)
        return
    rows = [("Job", facts["name"]), ("State", facts["state"]), ("Run", facts["display_name"])]
    rows += [("Machines", f"{facts['nodes']} x {facts['size'] or 'a size that is not known'}")]
    rows += [(title, _when(facts[key])) for title, key in _TIMES.items() if facts[key]]
    rows += [("Took", line) for line in facts["bill"]]
    rows += [("Input", f"{given}: {place}") for given, place in facts["inputs"].items()]
    rows += [("Output", f"{given}: {place}") for given, place in facts["outputs"].items()]
    rows += [("Tags", ", ".join(f"{tag}={value}" for tag, value in facts["tags"].items()))]
    rows += [("Studio", facts["studio"])]
    if facts["failure"]:
        rows += [("Reason", facts["failure"]["reason"])]
    for title, text in rows:
        print_text(f"{title:<9} {text}")
    if facts["failure"] and facts["failure"]["log"]:
        print_text("\nThe last lines of its log:")
        for line in facts["failure"]["log"]:
            print_text(f"  {line}")


def logs(
    name: _Name,
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the job has ended.")] = False,
    workspace: WORKSPACE = None,
) -> None:
    """Print what a job has written so far, of all its nodes."""
    job = _find(workspace, name)
    if follow:
        job.follow(print_text, _message)
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
    workspace: WORKSPACE = None,
    json: _Json = False,
) -> None:
    """Follow a job to its end: exit code 0 when it has completed, else 1, with the reason."""
    job = _find(workspace, name)
    with _display() as display:
        state = job.wait(display)
        fetched = {}
        if state == "Completed" and output is not None:
            fetched = _azure("download_job")(job, output, [], display)
    if json:
        print_json(_azure("describe_job")(job) | {key: fetched[key] for key in ("folder", "files") if fetched})
    if state != "Completed":
        raise job.failure(state)
    if fetched and not json:
        print_text(fetched["folder"])


def cancel(name: _Name, *, workspace: WORKSPACE = None, json: _Json = False) -> None:
    """End a job, and wait until it has ended."""
    job = _find(workspace, name)
    before = state = job.status()
    if before not in _FINAL:
        job.cancel()
        state = job.wait()
    if json:
        print_json({"name": name, "state": state})
    elif before in _FINAL:
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
    workspace: WORKSPACE = None,
    json: _Json = False,
) -> None:
    """Fetch what a job has written into its run folder; what is there already is not fetched again."""
    job = _find(workspace, name)
    with _display() as display:
        fetched = _azure("download_job")(job, output, patterns or [], display)
    if json:
        print_json(fetched)
        return
    for file in fetched["files"]:
        print_text(str(Path(fetched["folder"], file)))


def open_page(name: _Name, *, workspace: WORKSPACE = None) -> None:
    """Print the address of a job's page in Azure ML studio; in a terminal, open it in the browser, too."""
    address = _azure("describe_job")(_find(workspace, name))["studio"]
    print_text(address)
    if sys.stdout.isatty():
        typer.launch(address)


_COLUMNS = {"name": "name", "state": "state", "size": "size"}
_TIMES = {"Submitted": "created", "Begun": "begun", "Ended": "ended"}


def _azure(name: str) -> Any:
    return lazy(f"keras_azure.backends.azure.jobs:{name}")


def _find(workspace: str | None, name: str) -> Any:
    if not name.strip() or "/" in name:
        raise UsageError(f"{name!r} is no name of a job.", hint="kaz jobs list")
    return _azure("find_job")(workspace, name)


def _display() -> Any:
    return lazy("keras_azure.listeners.display:display_for_here")()  # with rich, which other commands need not wait for


def _message(text: str) -> None:
    print_text(text, err=True)


def _when(text: str | None) -> str:
    """A time of Azure's as the local one."""
    if not text:
        return ""
    return f"{datetime.datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"
