"""What Azure ML tells of a job, as facts that a person may want to read."""

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from keras_azure.backends import FINAL_STATES
from keras_azure.backends.azure.following import failure_of, get_job, word
from keras_azure.backends.azure.service import Service

if TYPE_CHECKING:
    from azure.ai.ml.entities import Job


def facts_of(job: "Job") -> dict[str, Any]:
    """What a list tells of a job; `job` is the SDK's."""
    created = getattr(job.creation_context, "created_at", None)
    resources = getattr(job, "resources", None)
    return {
        "name": job.name,
        "state": word(job.status),
        "size": (job.tags or {}).get("size"),
        "nodes": int(getattr(resources, "instance_count", None) or 1),
        "created": created.astimezone(datetime.UTC).isoformat(timespec="seconds") if created else None,
        "display_name": job.display_name,
        "experiment": job.experiment_name,
    }


def describe(service: Service, name: str, bill: Callable[[], list[str]]) -> dict[str, Any]:
    """All that Azure ML knows of a job, JSON-safe, with its bill when it has ended."""
    found, details = get_job(service, name), service.run_details(name)
    failure = None
    if found.status == "Failed":
        reason, log = failure_of(service, name)
        failure = {"reason": reason, "log": log}
    return facts_of(found) | {
        "begun": details.get("startTimeUtc"),
        "ended": details.get("endTimeUtc"),
        "bill": bill() if found.status in FINAL_STATES else [],
        "inputs": {name: _place(given) for name, given in (found.inputs or {}).items()},
        "outputs": {name: _place(given) for name, given in (found.outputs or {}).items()},
        "studio": found.studio_url,
        "tags": dict(found.tags or {}),
        "failure": failure,
    }


def _place(given: object) -> str:
    """Where an input or output is; an input may be a plain value, too."""
    return str(getattr(given, "path", given))
