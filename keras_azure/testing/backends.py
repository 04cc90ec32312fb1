"""The contract of backends."""

from typing import Any

from keras_azure.registry.registry import BACKENDS
from keras_azure.registry.specs import Spec
from keras_azure.testing.findings import Findings, name_of, with_article


def check_backend(backend: Any) -> None:
    """Checks a backend: it has `run`.

    Args:
        backend: the backend, or the spec of a registered one.

    Raises:
        ContractError: the backend breaks its contract.
        KerasAzureError: there is no such plugin, it cannot be loaded, or does not take the options.
    """
    findings = Findings(f"The backend {name_of(backend)!r}")
    if isinstance(backend, str | Spec):
        backend = BACKENDS.build(backend)
    if not callable(getattr(backend, "run", None)):
        findings.add(f"it builds {with_article(backend)} without a method run", "a keras_azure.backends.Backend")
    findings.settle()
