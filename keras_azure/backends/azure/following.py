"""A job as it goes on: its states, and the new lines of its logs, from all nodes."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from keras_azure.backends import COMPLETED, FINAL_STATES
from keras_azure.backends.azure.service import Service, azure_errors, quiet, status_of
from keras_azure.errors import CloudError, NotSignedIn

UNSUCCESSFUL = tuple(state for state in FINAL_STATES if state != COMPLETED)
_SECONDS = (2.0, 10.0)  # between two looks: at first, and when nothing changes
_PATIENCE_SECONDS = 15 * 60  # without an answer; a closed laptop's network may take a while
_LOGS = "user_logs/"
_PREPARATION_LOGS = "azureml-logs/"  # where Azure says how the environment was built
_LAST_LINES = 20
_TAIL_BYTES = 256


@dataclass
class Log:
    """One node's log, as far as it was read."""

    name: str
    read: int = 0
    rest: bytes = b""
    tail: bytes = b""  # the last bytes that were read, by which it is known again

    def new_lines(self, address: str) -> list[str]:
        """The whole lines that it has more than before. A job that has lost its node writes it anew."""
        content = read_from(address, self.read - len(self.tail))
        if content.startswith(self.tail):
            return self.lines(content[len(self.tail) :])
        lines = self.last_line()
        self.read, self.tail = 0, b""
        return lines + self.lines(read_from(address, 0))

    def lines(self, content: bytes) -> list[str]:
        """The whole lines among new bytes; what begins a line is kept for the next."""
        self.read += len(content)
        self.tail = (self.tail + content)[-_TAIL_BYTES:]
        *whole, self.rest = (self.rest + content).split(b"\n")
        return [line.decode(errors="replace").rstrip("\r") for line in whole]

    def last_line(self) -> list[str]:
        rest, self.rest = self.rest, b""
        return [rest.decode(errors="replace")] if rest else []


@dataclass
class Follower:
    """Follows one job.

    Args:
        tell: called with each line of the logs that is new.
        tell_state: called with a sentence for each state; by default as `tell`.
    """

    service: Service
    name: str
    tell: Callable[[str], None]
    tell_state: Callable[[str], None] | None = None
    logs: dict[str, Log] = field(default_factory=dict)
    _state: str = ""
    _silent_since: float | None = None

    def follow(self, seconds: tuple[float, float] = _SECONDS) -> str:
        """Until the job is over; gives its final state.

        Raises:
            NotSignedIn: the login has run out.
            CloudError: Azure has not answered for a quarter of an hour, or there is no such job.
        """
        pause = seconds[0]
        while True:
            try:
                state = state_of(self.service, self.name)
                changed = self._enter(state)
                # Once more after the end: the last lines come late.
                changed |= self.read_logs(final=state in FINAL_STATES)
                self._silent_since = None
                if state in FINAL_STATES:
                    return state
                pause = seconds[0] if changed else min(pause * 1.2, seconds[1])
            except NotSignedIn:
                raise
            except CloudError as error:
                self._bear(error)
            time.sleep(pause)

    def read_logs(self, *, final: bool = False, preparation: bool = False) -> bool:
        """Tells what is new in them; whether anything was.

        Args:
            final: there will be no more; a line that is not whole is told as well.
            preparation: where no node has written anything yet, take the log of their preparation.
        """
        details = self.service.run_details(self.name)
        files = _logs_of(details, _LOGS) or (_logs_of(details, _PREPARATION_LOGS) if preparation else {})
        names = sorted(files)
        is_new = False
        for name in names:
            log = self.logs.setdefault(name, Log(name))
            lines = log.new_lines(files[name])
            lines += log.last_line() if final else []
            prefix = f"[{_node(name)}] " if len(names) > 1 else ""
            for line in lines:
                self.tell(prefix + line)
            is_new |= bool(lines)
        return is_new

    def _enter(self, state: str) -> bool:
        if state == self._state:
            return False
        self._state = state
        self._say(f"{self.name}: {_SENTENCES.get(state, state)}")
        return True

    def _say(self, text: str) -> None:
        (self.tell_state or self.tell)(text)

    def _bear(self, error: CloudError) -> None:
        """A missing answer is no reason to leave a job; a refusal is."""
        status = status_of(error)
        if status is not None and 400 <= status < 500 and status not in (408, 429):
            raise error
        if self._silent_since is None:
            self._silent_since = time.monotonic()
            self._say(f"{error.problem} The job goes on; trying again.")
        elif time.monotonic() - self._silent_since > _PATIENCE_SECONDS:
            raise error


_SENTENCES = {
    "NotStarted": "waiting to begin",
    "Starting": "starting",
    "Provisioning": "waiting for nodes",
    "Queued": "queued, until nodes are there",
    "Preparing": "preparing: the environment is built, which takes minutes the first time, and the data is mounted",
    "Running": "running",
    "Finalizing": "finishing: outputs are saved",
    "CancelRequested": "being cancelled",
    "Completed": "completed",
    "Failed": "failed",
    "Canceled": "cancelled",
}


def state_of(service: Service, name: str) -> str:
    """
    Raises:
        CloudError: there is no such job, or no answer.
    """
    return word(get_job(service, name).status)


def word(state: object) -> str:
    """Azure's word for a state, of which the SDK gives a text or an enumeration's member."""
    return str(getattr(state, "value", state))


def get_job(service: Service, name: str) -> Any:
    with quiet(), azure_errors(f"The job {name} cannot be looked up"):
        return service.client.jobs.get(name)


def read_from(address: str, start: int) -> bytes:
    """The bytes of a log from `start` on; none where it has no more."""
    from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
    from azure.storage.blob import BlobClient

    with azure_errors("A log cannot be read"):
        try:
            return BlobClient.from_blob_url(address).download_blob(offset=start).readall()
        except ResourceNotFoundError:
            return b""  # it is announced before it is written
        except HttpResponseError as error:
            if error.status_code == 416:  # there is nothing behind
                return b""
            raise


def failure_of(service: Service, name: str) -> tuple[str, list[str]]:
    """Why a job failed, in one sentence, and the last lines of the log of the node that failed."""
    details = service.run_details(name)
    error = (details.get("error") or {}).get("error") or {}
    message = str(error.get("message") or "Azure ML gives no reason").strip()
    reason, *more = message.splitlines()
    for tail in (" Error: ", " For more details"):
        reason = reason.partition(tail)[0]
    files = _logs_of(details, _LOGS) or _logs_of(details, _PREPARATION_LOGS)
    # Azure names the log of the process that failed.
    named = [log for log in files if log in message]
    logs = named or sorted(files)[:1]
    lines = read_from(files[logs[0]], 0).decode(errors="replace").splitlines() if logs else more
    return reason.rstrip("."), [line for line in lines if line.strip()][-_LAST_LINES:]


def log_lines(service: Service, name: str) -> Iterator[str]:
    """All that its logs have by now."""
    found: list[str] = []
    Follower(service, name, found.append).read_logs(final=True, preparation=True)
    return iter(found)


def _logs_of(details: dict[str, Any], folder: str) -> dict[str, str]:
    """The names of logs in a folder of a job, and their addresses."""
    return {name: address for name, address in (details.get("logFiles") or {}).items() if name.startswith(folder)}


def _node(log: str) -> str:
    """ "0" of "user_logs/std_log_process_00.txt"."""
    digits = "".join(character for character in log.rpartition("_")[2] if character.isdigit())
    return str(int(digits)) if digits else "0"
