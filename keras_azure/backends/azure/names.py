"""The names of jobs. Those that go on with one run differ in a number at the end, and write to one folder."""

import re
import secrets
import time

_GOES_ON = re.compile(r"(.+-\d{8}-\d{6}-[0-9a-f]{6})-(\d+)")


def new_name(model: str) -> str:
    """A job's name, which no other has."""
    letters = "".join(character if character.isalnum() else "-" for character in model)
    return f"kaz-{letters}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"


def next_name(job: str) -> str:
    """The name of the job that goes on with the run of another: the same for whoever asks, so that there is one."""
    match = _GOES_ON.fullmatch(job)
    return f"{match[1]}-{int(match[2]) + 1}" if match else f"{job}-2"


def first_name(job: str) -> str:
    """The name of the job that began the run."""
    match = _GOES_ON.fullmatch(job)
    return match[1] if match else job
