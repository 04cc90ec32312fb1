"""The workspace's MLflow tracking: a real MLflow server, asked in Azure's terms.

Azure's id of a run is the job's name. MLflow chooses ids itself, so they are translated on the way in and out, in the
fields that hold ids and nowhere else. Artifacts are Azure's: a run's artifact_uri leads clients to its routes.
"""

import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kaz_azure_emulator.processes import Server
from kaz_azure_emulator.settings import Settings
from kaz_azure_emulator.state import State

_BOOT_TIMEOUT = 240.0
_ID_FIELDS = ("run_id", "run_uuid", "source_run_id")
_RUN_ID_IN_FILTER = re.compile(r"""(run_id\s*(?:!?=|(?:NOT\s+)?IN)\s*)(\([^)]*\)|'[^']*'|"[^"]*")""", re.IGNORECASE)
_DEFAULT_EXPERIMENT = "0"  # the one that MLflow makes itself and does not delete
_KIND = "runs"  # in the state, by Azure's id of the run: MLflow's id, and the experiment
_BACK = "runs by MLflow's id"


class Tracking:
    """MLflow's server, its port, and which run is which."""

    def __init__(self, settings: Settings, state: State, folder: Path, environment: dict[str, str]):
        self._settings = settings
        self._state = state
        self._folder = folder
        self._environment = environment
        self._server = Server("MLflow", folder / "mlflow.log")

    def start(self) -> None:
        """Starts the server. `wait` says when it answers."""
        command = [sys.executable, "-m", f"{__package__}.tracking_server", str(self._folder)]
        search = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), self._environment.get("PYTHONPATH")]))
        self._server.start(command, {**self._environment, "PYTHONPATH": search})

    def wait(self) -> None:
        """Returns when MLflow listens.

        Raises:
            RuntimeError: it ended, or does not listen in time.
        """
        self._server.wait(r"listens on http://127\.0\.0\.1:(\d+)", _BOOT_TIMEOUT)

    def stop(self) -> None:
        self._server.stop()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    # Runs that the service makes for jobs

    def create_run(self, name: str, experiment: str, tags: dict[str, str], start_time: float) -> str:
        """Makes MLflow's run of a job; gives the id of its experiment."""
        experiment_id = self._experiment(experiment)
        body = {
            "experiment_id": experiment_id,
            "run_name": tags.get("mlflow.runName", name),
            "start_time": int(start_time * 1000),
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        run = self._ask("runs/create", body)["run"]
        self.remember(name, run["info"]["run_id"], experiment)
        return experiment_id

    def end_run(self, name: str, status: str, end_time: float) -> None:
        """Tells MLflow how a job ended: FINISHED, FAILED or KILLED."""
        if run := self._state.get(_KIND, name):
            self._ask("runs/update", {"run_id": run["id"], "status": status, "end_time": int(end_time * 1000)})

    def set_tag(self, name: str, key: str, value: str) -> None:
        if run := self._state.get(_KIND, name):
            self._ask("runs/set-tag", {"run_id": run["id"], "key": key, "value": value})

    def last_metric(self, name: str, metric: str) -> float | None:
        """The newest value of a run's metric."""
        run = self._state.get(_KIND, name)
        data = self._ask(f"runs/get?run_id={run['id']}", None)["run"]["data"] if run else {}
        return next((entry["value"] for entry in data.get("metrics", []) if entry["key"] == metric), None)

    def remember(self, name: str, mlflow_id: str, experiment: str) -> None:
        """Notes that Azure calls MLflow's run so."""
        self._state.put(_KIND, name, {"id": mlflow_id, "experiment": experiment})
        self._state.put(_BACK, mlflow_id, {"name": name})

    def clear(self) -> None:
        """Deletes all experiments and runs. MLflow keeps deleted names taken, so they get others first."""
        body = {"max_results": 1000}
        for experiment in self._ask("experiments/search", body).get("experiments", []):
            number = experiment["experiment_id"]
            if number != _DEFAULT_EXPERIMENT:
                name = f"deleted {uuid.uuid4()}"
                self._ask("experiments/update", {"experiment_id": number, "new_name": name})
                self._ask("experiments/delete", {"experiment_id": number})
                continue
            for run in self._ask("runs/search", {"experiment_ids": [number], **body}).get("runs", []):
                self._ask("runs/delete", {"run_id": run["info"]["run_id"]})

    def is_known(self, name: str) -> bool:
        return self._state.get(_KIND, name) is not None

    def _experiment(self, name: str) -> str:
        try:
            found = self._ask(f"experiments/get-by-name?{urllib.parse.urlencode({'experiment_name': name})}", None)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return self._ask("experiments/create", {"name": name})["experiment_id"]
        return found["experiment"]["experiment_id"]

    def _ask(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.address}/api/2.0/mlflow/{path}", data, {"Content-Type": "application/json"}
        )
        with _direct.open(request, timeout=60) as answer:
            return json.loads(answer.read() or b"{}")

    # Ids on their way in and out

    def to_mlflow(self, name: str) -> str:
        run = self._state.get(_KIND, name)
        return run["id"] if run else name

    def to_azure(self, mlflow_id: str) -> str:
        run = self._state.get(_BACK, mlflow_id)
        return run["name"] if run else mlflow_id

    def request_for_mlflow(self, body: Any) -> Any:
        """A request's body, or its query, with MLflow's ids."""
        return _translated(body, self.to_mlflow, self._filter_for_mlflow)

    def answer_for_client(self, body: Any) -> Any:
        """An answer's body with Azure's ids, and with Azure's places for artifacts."""
        body = _translated(body, self.to_azure, None)
        for info in _run_infos(body):
            self._place_artifacts(info)
        return body

    def _filter_for_mlflow(self, text: str) -> str:
        quoted = re.compile(r"""(['"])([^'"]*)\1""")

        def values(found: re.Match) -> str:
            return found[1] + quoted.sub(lambda name: f"{name[1]}{self.to_mlflow(name[2])}{name[1]}", found[2])

        return _RUN_ID_IN_FILTER.sub(values, text)

    def _place_artifacts(self, info: dict[str, Any]) -> None:
        name = info.get("run_id") or info.get("run_uuid")
        if not name:
            return
        run = self._state.get(_KIND, name)
        experiment = run["experiment"] if run else self._experiment_name(info["experiment_id"])
        if not run:
            self.remember(name, name, experiment)  # a run that a client made: Azure calls it as MLflow does
        info["artifact_uri"] = (
            f"azureml://{self._settings.api_host}/mlflow/v2.0{self._settings.workspace_path}"
            f"/experiments/{urllib.parse.quote(experiment)}/runs/{name}/artifacts"
        )

    def _experiment_name(self, experiment_id: str) -> str:
        return self._ask(f"experiments/get?experiment_id={experiment_id}", None)["experiment"]["name"]


# MLflow is on the loopback address, which is never asked for through the proxy.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _translated(value: Any, ids: Callable[[str], str], filters: Callable[[str], str] | None) -> Any:
    if isinstance(value, list):
        return [_translated(entry, ids, filters) for entry in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, entry in value.items():
        if key in _ID_FIELDS and isinstance(entry, str):
            result[key] = ids(entry)
        elif key == "run_ids" and isinstance(entry, list):
            result[key] = [ids(name) for name in entry]
        elif key == "filter" and isinstance(entry, str) and filters:
            result[key] = filters(entry)
        else:
            result[key] = _translated(entry, ids, filters)
    return result


def _run_infos(value: Any):
    if isinstance(value, list):
        for entry in value:
            yield from _run_infos(entry)
    elif isinstance(value, dict):
        if "artifact_uri" in value and "experiment_id" in value:
            yield value
        for entry in value.values():
            yield from _run_infos(entry)
