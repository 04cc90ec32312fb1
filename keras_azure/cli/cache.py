"""`kaz cache`: the store of decoded pictures, what is in it and how to empty it."""

import dataclasses
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from keras_azure.cli.output import confirm, print_json, print_text
from keras_azure.errors import UsageError
from keras_azure.lazy import lazy


def register(app: typer.Typer) -> None:
    group = typer.Typer(rich_markup_mode=None)
    group.callback(invoke_without_command=True)(cache)
    group.command("list")(list_entries)
    group.command("clear")(clear)
    app.add_typer(group, name="cache")


def cache(context: typer.Context) -> None:
    """Show and clear the stored decoded pictures."""
    if context.invoked_subcommand is None:
        list_entries()


def list_entries(*, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the stored pictures."""
    folder, entries, limit = _store("cache_folder")(), _store("entries")(), _store("limit")()
    size = sum(entry.size for entry in entries)
    if json:
        rows = [
            {**dataclasses.asdict(entry), "last_used": entry.last_used.isoformat(timespec="seconds")}
            for entry in entries
        ]
        print_json({"folder": str(folder), "size": size, "limit": limit, "entries": rows})
        return
    print_text(f"{folder}: {_amount(len(entries))}, {_in_words(size)} of at most {_in_words(limit)}")
    if entries:
        heading = f"\n{'size':>9}  {'last used':<16}  pictures"
        print_text(heading, bold=True)
    for entry in entries:
        print_text(f"{_in_words(entry.size):>9}  {entry.last_used:%Y-%m-%d %H:%M}  {entry.description}")


def clear(*, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove all stored pictures; runs that use them go on."""
    entries, folder = _store("entries")(), _store("cache_folder")()
    if entries and not yes:
        question = f"Remove {_amount(len(entries))}, {_in_words(sum(entry.size for entry in entries))}, from {folder}?"
        if not sys.stdin.isatty():
            raise UsageError(f"Nobody can be asked: {question}", hint="kaz cache clear --yes")
        if not confirm(question):
            raise typer.Abort
    count, size = _store("clear")()
    print_text(f"Removed {_amount(count)}, {_in_words(size)}, from {folder}")


def _store(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = lazy(f"keras_azure.data.store:{name}")
    return function


def _amount(count: int) -> str:
    return f"{count} {'entry' if count == 1 else 'entries'}"


def _in_words(size: int) -> str:
    words: str = _store("size_in_words")(size)
    return words
