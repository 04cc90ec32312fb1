"""`kaz list`, `kaz show` and `kaz check`: what is installed, what it takes, and whether it keeps its contract."""

import contextlib
import dataclasses
import inspect
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from keras_azure.cli.output import print_json, print_text
from keras_azure.data import TASKS
from keras_azure.description.commands import command
from keras_azure.errors import KerasAzureError, UnknownName, UsageError
from keras_azure.keras_engine import native_messages_held_back, prepare_keras, silence_libraries
from keras_azure.lazy import lazy
from keras_azure.redaction import printable
from keras_azure.registry.options import missing_options
from keras_azure.registry.registry import (
    AUGMENTATIONS,
    BACKENDS,
    DATASETS,
    MODELS,
    REGISTRIES,
    Entry,
    Registry,
    as_spec,
    damaged_packages,
)
from keras_azure.registry.specs import Spec, is_name

if TYPE_CHECKING:
    from keras_azure.backends.machine import Machine

_Kind = Literal["models", "augmentations", "datasets", "backends", "callbacks", "losses", "metrics", "optimizers"]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    app.command("list")(list_plugins)
    app.command("show")(show)
    app.command("check")(check)


def list_plugins(
    kind: Annotated[_Kind | None, typer.Argument(help="Only this kind.", show_default=False)] = None,
    *,
    json: _Json = False,
) -> None:
    """List the installed plugins of each kind; what Keras has itself where one kind is asked for."""
    chosen = [registry for registry in REGISTRIES if kind in (None, registry.plural)]
    if json:
        listed = {each.plural: [dataclasses.asdict(entry) for entry in each.all_entries()] for each in chosen}
        print_json(listed[kind] if kind else listed)
        return
    for number, registry in enumerate(chosen):
        if number:
            print_text()
        found = registry.all_entries() if kind else registry.entries()
        remarks = _remarks(found)
        rows = [(e.name, e.package, e.target + remark) for e, remark in zip(found, remarks, strict=True)]
        _print_table((registry.plural, "package", "target"), rows)
        if kind is None and registry.of_keras:
            print_text(f"and {len(registry.of_keras)} of Keras: kaz list {registry.plural}")
    for package in damaged_packages():
        print_text(f"The package {package} is left out: its entry points cannot be read.", err=True)


def show(
    name: Annotated[
        str | None, typer.Argument(help="A plugin: cnn, or with options: 'cnn(dropout=0.2)'.", show_default=False)
    ] = None,
    *,
    augment: Annotated[
        list[str] | None, typer.Option(help="Show instead which of these augmentations run together.")
    ] = None,
    input_shape: Annotated[
        tuple[int, int, int], typer.Option(metavar="HEIGHT WIDTH CHANNELS", help="The pictures of a model.")
    ] = (28, 28, 1),
    classes: Annotated[int, typer.Option(min=1, help="The classes of a model.")] = 10,
    json: _Json = False,
) -> None:
    """Show what a plugin is, and a model's layers; or how augmentations are fused."""
    if min(input_shape) < 1:
        raise UsageError(f"No picture has the shape {input_shape}.", expected="height, width and channels of 1 or more")
    if (name is None) == (not augment):
        raise UsageError("kaz show takes a plugin's name, or --augment.", hint="kaz list")
    if name is None:
        _show_plan(augment or [], input_shape, classes, json)
        return
    spec = as_spec(name)
    with _plugins_prints_on_stderr():
        described = [_describe(registry, spec, input_shape, classes) for registry in _having(spec)]
    if json:
        print_json(described)
        return
    for number, description in enumerate(described):
        if number:
            print_text()
        _print_description(description)


def check(
    name: Annotated[str | None, typer.Argument(help="Only the plugins of this name.", show_default=False)] = None,
    *,
    json: _Json = False,
) -> None:
    """Load every plugin and check its contract."""
    if name is None:
        chosen = [(registry, Spec(each)) for registry in REGISTRIES for each in _names(registry)]
    else:
        spec = as_spec(name)
        chosen = [(registry, spec) for registry in _having(spec)]
    prepare_keras()
    with native_messages_held_back():
        check_plugin: Callable[[str, Spec], str | None] = lazy("keras_azure.testing.plugins:check_plugin")
    reports = []
    for registry, spec in chosen:
        reports.append(_checked(registry, spec, check_plugin))
        if not json:
            _print_report(reports[-1])
    outcomes = [report["outcome"] for report in reports]
    if json:
        print_json(reports)
    else:
        counts = ", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in ("ok", "loaded", "failed"))
        print_text(f"{len(reports)} checked: {counts}")
    if "failed" in outcomes:
        raise typer.Exit(1)


def _show_plan(augment: list[str], shape: tuple[int, int, int], num_classes: int, json: bool) -> None:
    """The stages in which augmentations run: a line for each, with the augmentations that are fused in it."""
    for spec in augment:
        AUGMENTATIONS.find(spec)
    prepare_keras()
    with native_messages_held_back():
        plan_stages, describe = (lazy(f"keras_azure.augmentations:{name}") for name in ("plan_stages", "describe"))
    with _plugins_prints_on_stderr():
        stages = describe(plan_stages(augment, shape, num_classes))
    if json:
        print_json(stages)
        return
    rows = [(stage["kind"], stage["how"], " + ".join(stage["augmentations"])) for stage in stages]
    _print_table(("stage", "how", "augmentations"), rows)


def _remarks(entries: list[Entry]) -> list[str]:
    """What a user has to know of each entry."""
    names = [entry.name for entry in entries]
    return [_remark(entry, names.count(entry.name)) for entry in entries]


def _remark(entry: Entry, packages: int) -> str:
    if packages > 1:
        return "  (ambiguous)"
    if not is_name(entry.name):
        return "  (cannot be used: no name)"
    return f"  (and all {entry.name}-NAME: {entry.members_command})" if entry.is_family else ""


def _having(spec: Spec) -> list[Registry[object]]:
    """The registries that have a plugin of this name.

    Raises:
        UnknownName: there is none.
    """
    found = [registry for registry in REGISTRIES if registry.has(spec.name)]
    if not found:
        names = (entry.name for registry in REGISTRIES for entry in registry.all_entries())
        raise UnknownName.among("plugin", spec.name, names, hint="kaz list")
    return found


def _names(registry: Registry[object]) -> list[str]:
    return sorted({entry.name for entry in registry.entries()})


def _describe(
    registry: Registry[object], spec: Spec, input_shape: tuple[int, int, int], num_classes: int
) -> dict[str, Any]:
    """All that is known of a plugin, JSON-safe; of a model that can be built its layers too."""
    if registry in (BACKENDS, DATASETS):  # which are told of without Keras
        silence_libraries()
    else:
        prepare_keras()
    with native_messages_held_back():
        entry, plugin = registry.find(spec), registry.load(spec)
    described: dict[str, Any] = {
        "kind": registry.kind,
        "name": entry.name,
        "package": entry.package,
        "version": _version(entry.package),
        "target": entry.target,
        "signature": f"{entry.name}{inspect.signature(plugin).replace(return_annotation=inspect.Signature.empty)}",
        "documentation": inspect.getdoc(plugin) or "",
    }
    if registry is BACKENDS and not missing_options(registry.as_called(spec), plugin, 0):
        described |= _machine(spec)
    if registry is MODELS:
        tasks = TASKS if registry.takes(spec, "task") else TASKS[:1]
        described["tasks"] = list(tasks) if entry.needs_labels else []
    if registry is MODELS and not missing_options(spec, plugin, 2):
        described |= lazy("keras_azure.models.inspection:describe_model")(spec, input_shape, num_classes)
    return described


def _machine(spec: Spec) -> dict[str, Any]:
    """What a backend says of its machine; nothing where it cannot be asked.

    Raises:
        UsageError: there is no such backend: none of that name in its family, or not with these options.
    """
    try:
        machine: Machine = lazy("keras_azure.backends.asked:machine_of")(spec)
    except UsageError:
        raise
    except KerasAzureError:  # it may need what is not here, and is described nevertheless
        return {}
    return {"machine": {name: getattr(machine, name) for name in ("name", "gpu", "note") if getattr(machine, name)}}


def _checked(registry: Registry[object], spec: Spec, check_plugin: Callable[[str, Spec], str | None]) -> dict[str, str]:
    """One plugin's report; its `outcome` is "ok", "loaded" (more cannot be checked here) or "failed"."""
    entries = registry.matches(spec.name)
    report = {
        "kind": registry.kind,
        "name": spec.name,
        "package": " and ".join(entry.package for entry in entries),
        "target": " and ".join(entry.target for entry in entries),
    }
    try:
        with _plugins_prints_on_stderr():
            remark = check_plugin(registry.kind, spec)
    except KeyboardInterrupt:
        raise
    except KerasAzureError as error:
        return {**report, "outcome": "failed", "reason": str(error)}
    except BaseException as error:  # such as a plugin that calls sys.exit()
        return {**report, "outcome": "failed", "reason": f"{type(error).__name__}: {error}"}
    return {**report, "outcome": "loaded" if remark else "ok", "reason": remark or ""}


def _plugins_prints_on_stderr() -> contextlib.AbstractContextManager[object]:
    return contextlib.redirect_stdout(sys.stderr)  # stdout is for what was asked


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except Exception:  # not there, or its metadata are damaged
        return "unknown"


def _print_description(described: dict[str, Any]) -> None:
    print_text(f"{described['kind']} {described['signature']}")
    print_text(f"{described['target']} in the package {described['package']} {described['version']}")
    if described["documentation"]:
        print_text(f"\n{described['documentation']}")
    if "tasks" in described:
        print_text(f"\nTasks: {', '.join(described['tasks']) or 'none, as it learns without labels'}")
    if machine := described.get("machine"):
        print_text(f"\nMachine: {', '.join(machine.values())}")
    if described["kind"] != MODELS.kind:
        return
    if "layers" not in described:
        example = command("kaz", "show", f"{described['name']}(option=...)")
        print_text(f"\nIts layers can be shown when its options are given: {example}")
        return
    shape = "x".join(map(str, described["input_shape"]))
    print_text(f"\nBuilt for {shape} pictures of {described['num_classes']} classes:\n")
    rows = [(e["name"], e["type"], _shape(e["output_shape"]), f"{e['parameters']:,}") for e in described["layers"]]
    _print_table(("layer", "type", "output", "parameters"), rows)
    print_text(f"\n{described['parameters']:,} parameters, {described['trainable_parameters']:,} of them trainable")


def _shape(shape: Sequence[int | None] | None) -> str:
    return "" if shape is None else "x".join("?" if size is None else str(size) for size in shape[1:])


def _print_report(report: dict[str, str]) -> None:
    line = f"{report['outcome']:<7} {report['kind']} {report['name']}"
    if report["outcome"] != "failed":
        print_text(f"{line}: {report['reason']}" if report["reason"] else line)
        return
    print_text(f"{line} ({report['target']} in the package {report['package']})")
    for reason in report["reason"].splitlines():
        print_text(f"        {reason}")


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    # Not by Rich, which takes longer to load than all the rest and cuts a line to fit, also in a pipe.
    # Printable here already, for it changes how wide a cell is, and a cell has no line ends.
    table = [[printable(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for number, row in enumerate(table):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        print_text(line, bold=number == 0)
