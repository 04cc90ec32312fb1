"""A workspace's service: the SDK's client, quiet and signed in, and what the SDK does not offer or does wrong.

Logs are followed and outputs are fetched without `MLClient.jobs.stream` and `.download`: releases 1.35 of azure-ai-ml
sign the addresses of logs with the wrong secret, and pass over named outputs.
"""

import contextlib
import datetime
import email.utils
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from keras_azure.backends.azure.workspace import Workspace
from keras_azure.errors import CloudError, KerasAzureError, NotSignedIn, UsageError

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.core import PipelineClient
    from azure.core.credentials import TokenCredential
    from azure.core.exceptions import HttpResponseError
    from azure.core.rest import HttpRequest, HttpResponse

Found = TypeVar("Found")

_RESOURCE_MANAGER = "https://management.azure.com"
SCOPE = f"{_RESOURCE_MANAGER}/.default"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_SETTINGS = {
    "AZURE_CORE_COLLECT_TELEMETRY": "0",
}


class Service:
    """The service of one workspace. Nothing is asked of it before it is used.

    Args:
        workspace: which.
        credential: an azure-identity credential; by default whoever is signed in here.
    """

    def __init__(self, workspace: Workspace, credential: "TokenCredential | None" = None):
        self.workspace = workspace
        self._credential = credential

    @cached_property
    def credential(self) -> "TokenCredential":
        _require_packages()
        if self._credential is not None:
            return self._credential
        from azure.identity import DefaultAzureCredential

        # A browser only opens for somebody who can see it.
        return DefaultAzureCredential(exclude_interactive_browser_credential=not sys.stderr.isatty())

    @cached_property
    def client(self) -> "MLClient":
        """The SDK's `MLClient`."""
        with quiet():
            from azure.ai.ml import MLClient

            silence_sdk()
            return MLClient(
                self.credential,
                self.workspace.subscription_id,
                self.workspace.resource_group,
                self.workspace.workspace_name,
                enable_telemetry=False,
                show_progress=False,
            )

    @cached_property
    def description(self) -> Any:
        """The SDK's `Workspace`: its region, tracking address and discovery address."""
        with quiet(), azure_errors(f"The workspace {self.workspace} cannot be reached"):
            return self.client.workspaces.get(self.workspace.workspace_name)

    @cached_property
    def history(self) -> str:
        """The address of run history, which knows of a run's logs."""
        with azure_errors("The workspace's services cannot be found"):
            return str(self.get(self.description.discovery_url)["history"])

    def run_details(self, run: str) -> dict[str, Any]:
        """What run history has of a run: `status`, `error`, and `logFiles` with addresses that can be read."""
        with azure_errors(f"Run history does not tell of {run}"):
            return self.get(f"{self.history}/history/v1.0{self.workspace.path}/runs/{run}/details")

    def clock(self) -> datetime.datetime:
        """The time that Azure has; nobody needs to be signed in to ask."""
        from azure.core import PipelineClient
        from azure.core.rest import HttpRequest, HttpResponse

        with azure_errors("Azure's clock cannot be asked"):
            client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(_RESOURCE_MANAGER, policies=[])
            # Whatever it answers to that, it says when.
            answer = client.send_request(HttpRequest("GET", f"{_RESOURCE_MANAGER}/metadata/endpoints"))
        try:
            return email.utils.parsedate_to_datetime(answer.headers["Date"])
        except (KeyError, ValueError, TypeError):
            raise CloudError("Azure does not say what time it is.") from None

    def get(self, address: str) -> dict[str, Any]:
        """A JSON answer, asked for as the user; the client tries again what is worth it."""
        from azure.core.rest import HttpRequest

        response = self._pipeline.send_request(HttpRequest("GET", address))
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    @cached_property
    def _pipeline(self) -> "PipelineClient[HttpRequest, HttpResponse]":
        from azure.core import PipelineClient
        from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy

        policies = [RetryPolicy(), BearerTokenCredentialPolicy(self.credential, SCOPE)]
        return PipelineClient(_RESOURCE_MANAGER, policies=policies)


@contextlib.contextmanager
def azure_errors(problem: str) -> Iterator[None]:
    """Turns what the SDK raises into one message that begins with `problem`.

    Raises:
        NotSignedIn: nobody is, or no longer.
        CloudError: Azure refused, or did not answer.
    """
    _require_packages()
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

    try:
        yield
    except KerasAzureError:
        raise
    except ClientAuthenticationError as error:
        raise NotSignedIn(
            f"{problem}: nobody is signed in to Azure who may do that ({_first_line(error)}).",
            hint="az login; or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
        ) from error
    except HttpResponseError as error:
        raise _refusal(problem, error) from error
    except AzureError as error:
        if type(error).__module__.startswith("azure.ai."):  # the SDK itself has refused what it was given
            raise CloudError(f"{problem}: {_first_line(error)}.") from error
        raise CloudError(
            f"{problem}: Azure does not answer ({_first_line(error)}).",
            hint="check the connection and proxy, then the same command again; kaz doctor",
        ) from error


def look_up(problem: str, ask: Callable[[], Found]) -> Found | None:
    """What the SDK has of something; None where Azure has no such thing.

    Raises:
        NotSignedIn, CloudError: as `azure_errors`.
    """
    try:
        with quiet(), azure_errors(problem):
            return ask()
    except CloudError as error:
        if status_of(error) == 404:
            return None
        raise


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error of the SDK stands for, however deep it is."""
    at: BaseException | None = error
    while at is not None:
        status = getattr(at, "status_code", None)
        if isinstance(status, int):
            return status
        at = at.__cause__ or at.__context__
    return None


def silence_sdk() -> None:
    """Its import sets up a log of its own, with notes about experimental classes."""
    for name in ("azure", "azure.ai.ml", "azure.identity", "msrest"):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps the SDK's warnings."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    with _no_warnings:
        yield


@contextlib.contextmanager
def mute() -> Iterator[None]:
    """Keeps what the SDK writes to the terminal whatever it is told: the escape codes of its uploads.

    Not for where it may import MLflow: that sets up logging anew, whereupon absl, which TensorFlow logs with, closes
    the stream that it knows as stderr, unless that is still the one.
    """
    with _no_output:
        yield


@contextlib.contextmanager
def unobserved() -> Iterator[None]:
    """Keeps the SDK from looking around: with a job it sends what git says of the current folder, such as the
    address of the repository, which may be a path of this machine or hold a password."""
    with _no_repository:
        yield


class _ProcessWide:
    """A change to what is the whole process's: the first of several threads makes it, the last one takes it back.

    Each by itself would give back what another had put there.
    """

    def __init__(self, change: Callable[[], contextlib.AbstractContextManager[object]]):
        self._change = change
        self._lock = threading.Lock()
        self._inside = 0
        self._made = contextlib.ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._made.enter_context(self._change())
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._made.close()


@contextlib.contextmanager
def _nowhere() -> Iterator[None]:
    with (
        open(os.devnull, "w") as nowhere,  # noqa: PTH123
        contextlib.redirect_stderr(nowhere),
        contextlib.redirect_stdout(nowhere),
    ):
        yield


@contextlib.contextmanager
def _outside_of_git() -> Iterator[None]:
    before = os.environ.get("GIT_DIR")
    os.environ["GIT_DIR"] = os.devnull
    try:
        yield
    finally:
        if before is None:
            del os.environ["GIT_DIR"]
        else:
            os.environ["GIT_DIR"] = before


_no_warnings = _ProcessWide(lambda: warnings.catch_warnings(action="ignore"))
_no_output = _ProcessWide(_nowhere)
_no_repository = _ProcessWide(_outside_of_git)


def _refusal(problem: str, error: "HttpResponseError") -> CloudError:
    status = error.status_code
    reason = _first_line(error)
    if status in (401, 403):
        return NotSignedIn(
            f"{problem}: who is signed in may not ({status}: {reason}).",
            hint="az login with an account that has the role AzureML Data Scientist or Contributor there; kaz doctor",
        )
    hint = "wait a minute, then the same command again" if status == 429 else "kaz doctor"
    if status is not None and status >= 500:
        hint = "the same command again; https://azure.status.microsoft says whether Azure has a problem"
    return CloudError(f"{problem} ({status}: {reason}).", hint=hint)


def _first_line(error: BaseException) -> str:
    code = getattr(getattr(error, "error", None), "code", None)
    message = getattr(getattr(error, "error", None), "message", None) or getattr(error, "message", None) or str(error)
    plain = _COLOURS.sub("", str(message))
    lines = [line.strip() for line in plain.splitlines() if any(map(str.isalnum, line))]
    text = lines[0].rstrip(".") if lines else type(error).__name__
    return text if not code or code in text else f"{code}: {text}"


def _require_packages() -> None:
    from importlib.util import find_spec

    try:
        if find_spec("azure.ai.ml") and find_spec("azure.identity"):
            return
    except ModuleNotFoundError:
        pass
    raise UsageError("Azure's packages are not installed.", hint="pip install 'keras-azure[azure]'")
