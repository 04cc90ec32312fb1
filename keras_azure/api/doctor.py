"""What `kaz doctor` does, as a function: what any run needs, and what each backend needs besides."""

import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

from keras_azure.backends import Check, Examined
from keras_azure.backends.asked import backends_that
from keras_azure.errors import UsageError
from keras_azure.keras_engine import asked_engine, check_engine
from keras_azure.registry.registry import BACKENDS, REGISTRIES, as_spec, damaged_packages

HERE = "this machine"


def examine(backend: str | None = None, *, flags: Mapping[str, Any] | None = None) -> Iterator[tuple[str, Check]]:
    """All checks, each as it is done, with what it is of: this machine, or a backend by its name.

    Args:
        backend: only this one; by default all that look whether a run would go through.
        flags: options of the backend; without its name, of those backends that have these options.

    Raises:
        UsageError: the backend looks for nothing, or there is none of that name.
    """
    if backend is None:
        broken: list[str] = []
        chosen = list(backends_that(Examined, broken.append, flags=flags))
    else:
        broken, built = [], BACKENDS.build(as_spec(backend).with_options(**(flags or {})))
        if not isinstance(built, Examined):
            raise UsageError(f"The backend {backend} has nothing to look for.", hint="kaz doctor; kaz list backends")
        chosen = [(as_spec(backend).name, built)]
    yield from ((HERE, check) for check in (_engine(), _plugins(broken)))
    for name, each in chosen:
        yield from ((name, check) for check in each.doctor())


def _engine() -> Check:
    """That what Keras computes with is installed; it is not loaded."""
    engine, python = asked_engine("auto"), f"Python {sys.version_info.major}.{sys.version_info.minor}"
    try:
        check_engine("auto", to_train=True)
    except UsageError as error:
        return Check("engine", "failed", error.problem, error.hint)
    return Check("engine", "ok", f"Keras {metadata.version('keras')} with {engine} on {python}")


def _plugins(broken: list[str]) -> Check:
    """That all that is installed can be read, and backends be built."""
    damaged = [f"the entry points of the package {package} cannot be read" for package in damaged_packages()]
    if problems := [*damaged, *broken]:
        return Check("plugins", "failed", "; ".join(problems), "kaz check")
    counts = {registry.plural: len(registry.entries()) for registry in REGISTRIES}
    return Check("plugins", "ok", ", ".join(f"{count} {plural}" for plural, count in counts.items() if count))
