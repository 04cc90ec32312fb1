"""Writes `request_schemas.json`, the table of what requests must look like, from the SDK's own models:

    python -m kaz_azure_emulator.schemas_from_sdk

It needs azure-ai-ml; whoever reads the table (`service/schemas.py`, which says what is in it) does not.

azure-ai-ml 1.35.2 sends its requests under a dozen API versions, and describes all of them with one set of models:
`azure.ai.ml._restclient.arm_ml_service.models`, generated from the TypeSpec of version 2025-12-01.
"""

import datetime
import importlib.metadata
import json
import typing
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("request_schemas.json")

# The bodies of requests, as the SDK's operations name them
ROOTS = (
    "ComputeResource",
    "ClusterUpdateParameters",
    "Datastore",
    "SecretExpiry",
    "DataContainer",
    "DataVersionBase",
    "CodeContainer",
    "CodeVersion",
    "EnvironmentContainer",
    "EnvironmentVersion",
    "ModelContainer",
    "ModelVersion",
    "ComponentContainer",
    "ComponentVersion",
    "PendingUploadRequestDto",
    "JobBase",
    "OnlineEndpoint",
    "OnlineDeployment",
)
# Kinds of resources that are not emulated: their names are known, what is in them is not looked at.
LEFT_OUT = {
    "Compute": {
        "AKS",
        "ComputeInstance",
        "Databricks",
        "DataFactory",
        "DataLakeAnalytics",
        "HDInsight",
        "Kubernetes",
        "SynapseSpark",
        "VirtualMachine",
    },
    "JobBaseProperties": {"AutoML", "FineTuning", "Spark"},
}
# The SDK takes every enum for open: Azure may know more values than it. In these no other value would mean anything;
# in all others any text is let through.
CLOSED_ENUMS = {
    "DataCollectionMode",
    "DataType",
    "EgressPublicNetworkAccessType",
    "EndpointAuthMode",
    "Goal",
    "InputDeliveryMode",
    "OperatingSystemType",
    "OsType",
    "OutputDeliveryMode",
    "PendingUploadType",
    "PublicNetworkAccessType",
    "RandomSamplingAlgorithmRule",
    "RemoteLoginPortPublicAccess",
    "RollingRateType",
    "ServiceDataAccessAuthIdentity",
    "VmPriority",
}
# Patterns are in the models of azure-ai-ml up to 1.34.1 (`_validation`) and have been left out of them since.
PATTERNS = {("JobResourceConfiguration", "shmSize"): r"\d+[bBkKmMgG]"}

_SIMPLE = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    datetime.datetime: "string",
    datetime.timedelta: "duration",
    Any: "any",
}


def request_schemas() -> dict[str, Any]:
    """The table, of the SDK that is installed."""
    from azure.ai.ml._restclient.arm_ml_service import models

    table = _Table(models)
    for root in ROOTS:
        table.add(getattr(models, root))
    return {
        "sdk": f"azure-ai-ml {importlib.metadata.version('azure-ai-ml')}",
        "enums": dict(sorted(table.enums.items())),
        "kinds": dict(sorted(table.kinds.items())),
        "models": dict(sorted(table.models.items())),
    }


class _Table:
    """What has been read of the models so far."""

    def __init__(self, models: Any):
        self._models = models
        self._names = {**vars(models), "_models": models}
        self.enums: dict[str, list[str]] = {}
        self.kinds: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, str]] = {}

    def add(self, model: type) -> None:
        """Adds a model, and all that it refers to."""
        name = model.__name__
        if name in self.models:
            return
        fields = self.models[name] = {}
        hints = typing.get_type_hints(model, self._names, self._names)
        for attribute, field in _rest_fields(model).items():
            if field._is_discriminator:
                if "__mapping__" in vars(model):
                    self._add_kinds(model, field)
            elif field._visibility != ["read"]:
                rest_name = field._rest_name_input or attribute
                spec = self._spec(hints[attribute])
                if pattern := PATTERNS.get((name, rest_name)):
                    spec += f"/{pattern}/"
                if not _is_optional(hints[attribute]):
                    fields[rest_name] = f"{spec}!"
                elif spec != "any":
                    fields[rest_name] = spec

    def _add_kinds(self, model: type, field: Any) -> None:
        name = model.__name__
        left_out = LEFT_OUT.get(name, set())
        kinds = {key: None if key in left_out else kind for key, kind in sorted(model.__mapping__.items())}
        self.kinds[name] = {
            "by": field._rest_name_input,
            "of": {key: kind and kind.__name__ for key, kind in kinds.items()},
        }
        for kind in filter(None, kinds.values()):
            self.add(kind)

    def _spec(self, hint: Any) -> str:
        """A type, as the table writes it."""
        arguments = [each for each in typing.get_args(hint) if each is not type(None)]
        origin = typing.get_origin(hint)
        if origin is typing.Union:
            # `Optional[X]`, or `Union[str, SomeEnum]`, whose last part says more
            return self._spec(arguments[-1])
        if origin is list:
            return f"[]{self._spec(arguments[0])}"
        if origin is dict:
            return f"{{}}{self._spec(arguments[1])}"
        if hint in _SIMPLE:
            return _SIMPLE[hint]
        if issubclass(hint, str):  # an enum
            if hint.__name__ not in CLOSED_ENUMS:
                return "string"
            self.enums[hint.__name__] = [each.value for each in hint]
        else:
            self.add(hint)
        return hint.__name__


def _rest_fields(model: type) -> dict[str, Any]:
    """The fields of a model and of those that it builds on."""
    return {
        name: value
        for base in reversed(model.__mro__)
        for name, value in vars(base).items()
        if type(value).__name__ == "_RestField"
    }


def _is_optional(hint: Any) -> bool:
    return hint is not Any and type(None) in typing.get_args(hint)


def text_of(table: dict[str, Any]) -> str:
    """The table with one model a line, so that changes can be read."""
    blocks = []
    for key, value in table.items():
        if isinstance(value, dict):
            lines = [f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in value.items()]
            blocks.append(f" {json.dumps(key)}: {{\n" + ",\n".join(lines) + "\n }")
        else:
            blocks.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


if __name__ == "__main__":
    TABLE.write_text(text_of(request_schemas()), encoding="utf-8")
