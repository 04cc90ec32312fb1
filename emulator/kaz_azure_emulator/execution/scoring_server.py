"""Serves a scoring script over HTTP: `scoring_server.py <port file>`, with a deployment's own Python.

Behaves as azureml-inference-server-http does (microsoft/azureml-inference-server, server/routes.py and user_script.py):
one request at a time, `run()` gets the body as text, errors are told to the log and not to the caller. It needs the
standard library alone, and any Python from 3.8 on, since it runs in the environment that a user has chosen.

The script and its folder are in AZUREML_ENTRY_SCRIPT and AML_APP_ROOT. The port is written to the file when `init()` is
done, so that whoever waits for the file knows that the server is ready.
"""

import importlib.util
import inspect
import json
import logging
import os
import sys
import time
import traceback
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

_INIT_FAILED = 3  # the exit code of Azure's server
_CLIENT_SECONDS = 60.0  # for a client to say what it wants: no other is heard meanwhile

log = logging.getLogger("azmlinfsrv")


def main():
    port_file = Path(sys.argv[1])
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname).1s [%(process)d] %(name)s - %(message)s"
    )
    try:
        run = load(Path(os.environ["AML_APP_ROOT"]), os.environ["AZUREML_ENTRY_SCRIPT"])
    except BaseException:  # a script that calls exit() has failed, too
        log.error("User's init function failed")
        log.error("Encountered Exception %s", traceback.format_exc())
        sys.exit(_INIT_FAILED)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.run = run
    written = port_file.with_suffix(".new")
    written.write_text(str(server.server_port))
    written.replace(port_file)
    server.serve_forever()


def load(root, script):
    """Imports the script, calls its `init()`, and gives its `run()`: of the body and the headers."""
    sys.path[0] = str(root)  # in place of this file's folder, whose modules are none of the script's business
    specification = importlib.util.spec_from_file_location("entry_module", root / script)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    for name in ("init", "run"):
        if not hasattr(module, name):
            raise AttributeError(f"User script at {module.__file__} does not have a {name}() function defined.")
    log.info("Invoking user's init function")
    module.init()
    log.info("Users's init has completed successfully")
    wants_headers = "request_headers" in inspect.signature(module.run).parameters
    return lambda body, headers: module.run(body, **({"request_headers": headers} if wants_headers else {}))


class Handler(BaseHTTPRequestHandler):
    timeout = _CLIENT_SECONDS
    disable_nagle_algorithm = True  # an answer's body does not wait for its head's arrival, 40 ms

    def do_GET(self):
        if self.path == "/":
            self._answer(200, b"Healthy", "text/html; charset=utf-8")
        else:
            self._refuse(404, "The requested URL was not found on the server.")

    def do_POST(self):
        start = time.perf_counter()
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path.partition("?")[0] != "/score":
            self._refuse(404, "The requested URL was not found on the server.")
            return
        status = self._score(body, start)
        log.info("POST %s %d %.3fms", self.path, status, (time.perf_counter() - start) * 1e3)

    def _score(self, body, start):
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            return self._refuse(400, f"Input cannot be decoded as UTF-8: {error}")
        try:
            result = self.server.run(text, dict(self.headers))
        except Exception:
            log.error("Encountered Exception: %s", traceback.format_exc())
            message = "An unexpected error occurred in scoring script. Check the logs for more info."
            return self._refuse(500, message, failed=True)
        seconds = time.perf_counter() - start
        try:
            content = json.dumps({} if result is None else result).encode()
        except (TypeError, ValueError):
            log.error("Encountered Exception: %s", traceback.format_exc())
            return self._refuse(500, "An unexpected internal error occurred. Check the logs for more info.")
        return self._answer(200, content, "application/json", {"x-ms-run-fn-exec-ms": f"{seconds * 1e3:.3f}"})

    def _refuse(self, status, message, failed=False):
        headers = {"x-ms-run-function-failed": str(failed)}
        return self._answer(status, json.dumps({"message": message}).encode(), "application/json", headers)

    def _answer(self, status, content, kind, headers=None):
        self.send_response(status)
        for name, value in {"x-ms-run-function-failed": "False", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return status

    def log_message(self, *_):
        """Nothing: scores are logged above, in the words of Azure's server."""


if __name__ == "__main__":
    main()
