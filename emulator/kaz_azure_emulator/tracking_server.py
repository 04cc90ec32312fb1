"""The real MLflow server in a process of its own: `python -m kaz_azure_emulator.tracking_server FOLDER`.

MLflow's own command starts several processes and takes three times as long; this is its same application, in one.
"""

import os
import sys
from pathlib import Path

from kaz_azure_emulator.processes import exit_with_parent


def main() -> None:
    exit_with_parent()
    folder = Path(sys.argv[1]).resolve()
    os.environ["_MLFLOW_SERVER_FILE_STORE"] = f"sqlite:///{folder / 'mlflow.db'}"
    # Artifacts go to Azure's own routes; what is given here is only ever seen by MLflow.
    os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = str(folder / "artifacts")
    os.environ["_MLFLOW_SERVER_SERVE_ARTIFACTS"] = "false"
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    from mlflow.server import app
    from werkzeug.serving import WSGIRequestHandler, make_server

    WSGIRequestHandler.protocol_version = "HTTP/1.1"  # one connection for many requests
    WSGIRequestHandler.disable_nagle_algorithm = True  # an answer's body does not wait for its head's arrival, 40 ms
    server = make_server("127.0.0.1", 0, app, threaded=True)
    with app.test_client() as client:
        client.get("/api/2.0/mlflow/experiments/get?experiment_id=0")  # makes the database's tables
    print(f"listens on http://127.0.0.1:{server.port}", flush=True)  # noqa: T201 (the parent reads it)
    server.serve_forever()


if __name__ == "__main__":
    main()
