"""What else goes wrong while a run is under way: what its user sees, and that nothing finished is lost."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

RUN = ("run", "cnn(filters=(4, 8), dense=(16,), dropout=0.3)", "--batch-size", "64", "--epochs", "3")
OFTEN = ("--checkpoint-every", "7steps")


@pytest.fixture(scope="module")
def whole(runs):
    """The outcome of the run that nothing goes wrong with."""
    folder = runs.folder / "whole"
    assert runs.run(*RUN, *OFTEN, "--output", str(folder), output=runs.folder / "whole.txt") == 0
    return runs.outcome(folder)


def own(tmp_path: Path) -> Path:
    """A run folder whose name no other test's run has, as it is also the run's name in MLflow."""
    return tmp_path / tmp_path.name


def killed(runs, tmp_path: Path, steps: int = 40) -> Path:
    """A run folder, of a run that was killed in a step."""
    folder = own(tmp_path)
    output = tmp_path / "killed.txt"
    code = runs.run(*RUN, *OFTEN, "--output", str(folder), output=output, place="in the step", time=steps)
    assert code == -signal.SIGKILL, output.read_text()
    return folder


def resume(runs, folder: Path, **options: object) -> str:
    """What `kaz resume` writes, which must come to the end."""
    output = folder.with_name("resumed.txt")
    output.unlink(missing_ok=True)
    assert runs.run("resume", str(folder), output=output, **options) == 0, output.read_text()
    return output.read_text()


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 3)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, empty])
def test_a_damaged_checkpoint_is_skipped_for_the_one_before(runs, whole, tmp_path, damage):
    folder = killed(runs, tmp_path)
    *_, before, newest = runs.checkpoints(folder)
    damaged = runs.checkpoints(folder)[newest]
    damage(damaged)
    told = resume(runs, folder)
    assert f"Skipping the checkpoint {damaged.name}: " in told
    assert runs.began_after(folder.with_name("resumed.txt")) == before
    assert runs.outcome(folder) == whole


def test_without_any_sound_checkpoint_a_run_begins_anew(runs, whole, tmp_path):
    folder = killed(runs, tmp_path)
    for checkpoint in runs.checkpoints(folder).values():
        empty(checkpoint)
    assert "Skipping the checkpoint" in resume(runs, folder)
    assert runs.began_after(folder.with_name("resumed.txt")) == (0, 0)
    assert runs.outcome(folder) == whole


def test_a_clock_that_is_set_back_changes_nothing(runs, whole, tmp_path):
    folder = killed(runs, tmp_path)
    for age, checkpoint in enumerate(runs.checkpoints(folder).values()):
        os.utime(checkpoint, (1_000_000_000 - age,) * 2)  # the newest is the oldest by its date
    newest = runs.reached(folder)
    resume(runs, folder, clock=-400 * 24 * 3600)
    assert runs.began_after(folder.with_name("resumed.txt")) == newest
    assert runs.outcome(folder) == whole


def wait_for(text: str, output: Path) -> None:
    deadline = time.monotonic() + 300
    while text not in (output.read_text() if output.exists() else ""):
        assert time.monotonic() < deadline, f"no {text!r} in {output.read_text()!r}"
        time.sleep(0.05)


def test_a_second_run_in_the_same_folder_is_refused(runs, whole, tmp_path):
    folder, output = own(tmp_path), tmp_path / "first.txt"
    first = runs.start(*RUN, *OFTEN, "--output", str(folder), output=output)
    wait_for("Training", output)
    for command in ((*RUN, *OFTEN, "--output", str(folder)), ("resume", str(folder))):
        refusal = tmp_path / f"{command[0]}.txt"
        assert runs.run(*command, output=refusal) == 2
        assert f"Another process is at work in {folder}" in refusal.read_text()
        assert "Traceback" not in refusal.read_text()
    first.join(60)
    assert first.exitcode == 0, output.read_text()
    assert runs.outcome(folder) == whole
    assert not (folder / ".lock").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_saves_and_says_that_the_run_can_go_on(runs, whole, tmp_path, number):
    folder, output = own(tmp_path), tmp_path / "stopped.txt"
    process = runs.start(*RUN, "--output", str(folder), output=output)
    wait_for("Epoch 1/3", output)
    os.kill(process.pid, number)
    if number == signal.SIGTERM:
        os.kill(process.pid, number)  # a node's processes may pass it on to each other
    process.join(60)
    told = output.read_text()
    assert process.exitcode == 130, told
    assert "Stopping after this step" in told
    assert "Traceback" not in told
    assert told.rstrip().endswith(f"Try: kaz resume {folder}")
    assert runs.reached(folder) >= (1, 0)
    resume(runs, folder)
    outcome = runs.outcome(folder)
    assert (outcome.model, outcome.recorded) == (whole.model, whole.recorded)


def test_a_tracking_server_that_is_killed_costs_nothing_but_the_record(runs, whole, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    store = (
        "--backend-store-uri",
        f"sqlite:///{tmp_path}/server.db",
        "--default-artifact-root",
        str(tmp_path / "kept"),
    )
    command = (sys.executable, "-m", "mlflow", "server", *store, "--port", str(port), "--workers", "1")
    server = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait_for_port(port)
        folder, output = tmp_path / "run", tmp_path / "output.txt"
        environment = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
        process = runs.start(*RUN, *OFTEN, "--output", str(folder), output=output, **environment)
        wait_for("Epoch 1/3", output)
        os.killpg(server.pid, signal.SIGKILL)
        process.join(90)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    told = output.read_text()
    assert process.exitcode == 0, told
    assert f"MLflow at {uri} has no complete record of this run" in told
    assert (folder / "model.keras").read_bytes() == whole.model
    assert json.loads((folder / "metrics.json").read_text())["test_metrics"] == whole.scores["test_metrics"]


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 300
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.2)


FULL_DISK = """
set -eu
mount -t tmpfs -o size=1300k none "$DISK"
export KAZ_RUNS="$OTHER"
set +e
"$PYTHON" -m keras_azure run "cnn(dense=(32,))" --epochs 2 --output "$DISK/run" > "$OTHER/full.txt" 2>&1
echo "exit $?" >> "$OTHER/full.txt"
ls -a "$DISK/run" "$DISK/run/checkpoints" > "$OTHER/files.txt"
mount -o remount,size=60m "$DISK"
"$PYTHON" -m keras_azure resume "$DISK/run" > "$OTHER/resumed.txt" 2>&1
echo "exit $?" >> "$OTHER/resumed.txt"
cp -r "$DISK/run" "$OTHER/run"
"""


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    trial = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs none /mnt"]
    return subprocess.run(trial, capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="a small disk of its own needs user namespaces, which are not allowed here")
def test_a_full_disk_stops_the_run_and_more_room_lets_it_go_on(runs, tmp_path):
    disk, other = tmp_path / "disk", tmp_path / "other"
    disk.mkdir()
    other.mkdir()
    environment = os.environ | {"DISK": str(disk), "OTHER": str(other), "PYTHON": sys.executable}
    shell = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", FULL_DISK]
    subprocess.run(shell, env=environment, check=True, timeout=600, capture_output=True)
    told, files = (other / "full.txt").read_text(), (other / "files.txt").read_text()
    assert told.endswith("exit 1\n"), told
    assert "cannot be written: No space left on device" in told
    assert "Try: free some disk space" in told
    assert f"1 of its 2 epochs are finished and kept; when this is mended: kaz resume {disk}/run" in told
    assert "Traceback" not in told
    assert "epoch-0001.npz" in files
    assert not [name for name in files.split() if name.startswith(".") and name.strip(".:")], "half a file was left"
    assert (other / "resumed.txt").read_text().endswith("exit 0\n"), (other / "resumed.txt").read_text()
    again = ("run", "--config", str(other / "run/run.json"), "--output", str(other / "again"))
    assert runs.run(*again, output=other / "again.txt") == 0
    assert (other / "again/model.keras").read_bytes() == (other / "run/model.keras").read_bytes()


def test_a_quota_on_files_stops_the_run_with_one_message(runs, tmp_path):
    folder, output = tmp_path / "run", tmp_path / "output.txt"
    code = runs.run(*RUN, "--no-tracking", "--output", str(folder), output=output, largest_file=20_000)
    told = output.read_text()
    assert code == 1, told
    assert "checkpoints/epoch-0001.npz cannot be written: File too large" in told
    assert "Traceback" not in told
    assert list((folder / "checkpoints").iterdir()) == []
    resume(runs, folder)
