"""From a job or a deployment as clients submit it to what runs it: assets become addresses in storage, Azure's
variables are added.
"""

from typing import Any

from kaz_azure_emulator.clock import Clock
from kaz_azure_emulator.durations import seconds_of
from kaz_azure_emulator.locations import Location, asset_key, location_of, named_output, run_folder
from kaz_azure_emulator.settings import Settings
from kaz_azure_emulator.state import State
from kaz_azure_emulator.storage import ARTIFACT_STORE, Storage, containers
from kaz_azure_emulator.tokens import Tokens

TOKEN_SECONDS = 30 * 24 * 3600  # the longest that a job can run
TOKEN_AUDIENCE = "https://ml.azure.com"


class Unresolved(Exception):
    """A job names something that is not there."""


class Descriptions:
    """Makes the descriptions of jobs and deployments that `kaz_azure_emulator.execution` takes."""

    def __init__(
        self,
        settings: Settings,
        state: State,
        clock: Clock,
        storage: Storage,
        tokens: Tokens,
        environment: dict[str, str],
    ):
        self._settings = settings
        self._state = state
        self._clock = clock
        self._storage = storage
        self._tokens = tokens
        self._environment = environment

    def of(self, name: str, document: dict[str, Any]) -> dict[str, Any]:
        """The fields of a job's description.

        Raises:
            Unresolved: code, environment or data is not there.
        """
        job = document["properties"]
        resources, limits = job.get("resources") or {}, job.get("limits") or {}
        run_place = Location(containers(self._settings)[ARTIFACT_STORE], run_folder(name))
        return {
            "name": name,
            "command": job["command"],
            "code_url": self._code(job.get("codeId")),
            "environment": self._environment_of(job),
            "inputs": {key: self._input(key, value) for key, value in (job.get("inputs") or {}).items()},
            "outputs": {
                key: {
                    "type": value["jobOutputType"],
                    "mode": value.get("mode") or "ReadWriteMount",
                    "url": self._url(_output_uri(name, key, value), f"output {key}"),
                }
                for key, value in (job.get("outputs") or {}).items()
                if key != "default"
            },
            "default_output_url": self._storage.folder_url(run_place.container, f"{run_place.path}/outputs"),
            "logs_url": self._storage.folder_url(run_place.container, run_place.path),
            "distribution": job.get("distribution"),
            "node_count": resources.get("instanceCount") or 1,
            "timeout_seconds": seconds_of(limits["timeout"]) if limits.get("timeout") else None,
            "variables": self._variables(name, document),
        }

    def of_deployment(self, given: dict[str, Any]) -> dict[str, Any]:
        """The fields of a deployment's description, from its properties.

        Raises:
            Unresolved: code, environment or model is not there.
        """
        model, probe = given.get("model"), given["livenessProbe"]
        key = asset_key(model) if model else None
        return {
            "code_url": self._url(given["codeConfiguration"]["codeId"], "code"),
            "scoring_script": given["codeConfiguration"]["scoringScript"],
            "environment": self._environment_of(given),
            "model_url": self._url(model, "model") if model else None,
            "model_name": key[1] if key else "",
            # Azure looks at a container so often before it gives it up.
            "seconds_to_start": seconds_of(probe["initialDelay"])
            + probe["failureThreshold"] * seconds_of(probe["period"]),
        }

    def _code(self, code_id: str | None) -> str | None:
        return self._url(code_id, "code") if code_id else None

    def _environment_of(self, job: dict[str, Any]) -> dict[str, Any]:
        own = {key: str(value) for key, value in (job.get("environmentVariables") or {}).items()}
        environment_id = job["environmentId"]
        if "://registries/" in environment_id:
            return {"image": environment_id, "conda_file": None, "environment_variables": own}
        key = asset_key(environment_id)
        asset = self._state.get("environments", key[1]) if key else None
        if not asset:
            raise Unresolved(f"The environment {environment_id} was not found.")
        found = asset["properties"]
        return {
            "image": found.get("image"),
            "conda_file": found.get("condaFile"),
            "environment_variables": {**(found.get("environmentVariables") or {}), **own},
        }

    def _input(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        if given["jobInputType"] == "literal":
            return {"type": "literal", "mode": None, "value": given["value"]}
        return {
            "type": given["jobInputType"],
            "mode": given.get("mode") or "ReadOnlyMount",
            "url": self._url(given["uri"], f"input {name}"),
        }

    def _url(self, uri: str, what: str) -> str:
        place = location_of(self._settings, self._state, uri)
        if place is None:
            raise Unresolved(f"The {what} at {uri} was not found.")
        return self._storage.folder_url(place.container, place.path)

    def _variables(self, name: str, document: dict[str, Any]) -> dict[str, str]:
        """What a job finds in its environment; names from Microsoft's documentation and the SDK's sources."""
        settings, experiment = self._settings, document["properties"]["experimentName"]
        token = self._tokens.make(TOKEN_AUDIENCE, TOKEN_SECONDS)
        api = f"https://{settings.api_host}"
        return {
            # The way to the service, as every client of it needs it
            **{key: value for key, value in self._environment.items() if not key.startswith("AZURE_")},
            "AZUREML_RUN_ID": name,
            "AZUREML_ROOT_RUN_ID": document.get("parent") or name,
            "AZUREML_EXPERIMENT_ID": document["experiment_id"],
            "AZUREML_EXPERIMENT_SCOPE": f"{settings.workspace_path}/experiments/{experiment}",
            "AZUREML_ARM_SUBSCRIPTION": settings.subscription_id,
            "AZUREML_ARM_RESOURCEGROUP": settings.resource_group,
            "AZUREML_ARM_WORKSPACE_NAME": settings.workspace_name,
            "AZUREML_ARM_PROJECT_NAME": experiment,
            "AZUREML_WORKSPACE_ID": settings.workspace_id,
            "AZUREML_WORKSPACE_SCOPE": settings.workspace_path,
            "AZUREML_SERVICE_ENDPOINT": api,
            "AZUREML_DISCOVERY_SERVICE_ENDPOINT": f"{api}/discovery",
            "AZUREML_CURRENT_CLOUD": "AzureCloud",
            "AZUREML_RUN_TOKEN": token,
            "AZUREML_RUN_TOKEN_EXPIRY": str(int(self._clock.now()) + TOKEN_SECONDS),
            "MLFLOW_TRACKING_URI": f"{settings.tracking_uri}?",
            "MLFLOW_TRACKING_TOKEN": token,
            "MLFLOW_RUN_ID": name,
            "MLFLOW_EXPERIMENT_ID": document["experiment_id"],
            "MLFLOW_EXPERIMENT_NAME": experiment,
        }


def _output_uri(name: str, output: str, given: dict[str, Any]) -> str:
    return (given.get("uri") or named_output(name, output)).replace("${{name}}", name)
