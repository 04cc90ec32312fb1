"""Starting and stopping: what is kept, and that nothing is left."""

import socket
import subprocess
import sys

import psutil

from kaz_azure_emulator import AzureEmulator

CODE = "import sys, time; from kaz_azure_emulator import AzureEmulator\n"
CODE += "azure = AzureEmulator(sys.argv[1]); azure.start(); print('up', flush=True); time.sleep(1000)"


def test_nothing_is_left(processes_of):
    with AzureEmulator() as azure:
        folder = azure.state_folder
        assert len(processes_of(folder)) >= 3
        ports = [
            connection.laddr
            for process in set(processes_of(folder))
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert {address.ip for address in ports} == {"127.0.0.1"}
    assert not folder.exists()
    assert processes_of(folder) == []
    for address in ports:
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", address.port))


def test_it_ends_with_the_process_that_started_it(tmp_path, processes_of, wait_until):
    folder = tmp_path / "state"
    parent = subprocess.Popen([sys.executable, "-c", CODE, str(folder)], stdout=subprocess.PIPE)
    assert parent.stdout.readline() == b"up\n"
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: processes_of(folder) == [])


def test_the_command(tmp_path, processes_of, wait_until):
    folder = tmp_path / "state"

    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "kaz_azure_emulator", *arguments, "--state-folder", str(folder)]
        return subprocess.run(command, capture_output=True, text=True)

    assert run("status").returncode == 1
    started = run("start")
    assert started.returncode == 0, started.stderr
    variables = dict(line.removeprefix("export ").split("=", 1) for line in started.stdout.splitlines())
    assert variables["HTTPS_PROXY"].startswith("http://127.0.0.1:")
    assert run("env").stdout == started.stdout
    assert "already running" in run("start").stderr
    assert '"refused_hosts": []' in run("status").stdout
    assert run("fault", "jobs.get", "--status", "429", "--retry-after", "1").returncode == 0
    assert '"operation": "jobs.get"' in run("status").stdout
    assert run("reset").returncode == 0
    assert '"faults": []' in run("status").stdout
    assert run("stop").returncode == 0
    wait_until(lambda: processes_of(folder) == [])
    assert (folder / "state.db").exists()
    assert run("stop", "--delete").returncode == 0
    assert not folder.exists()


def test_others_on_this_machine_cannot_read_its_secrets(azure_emulator):
    assert azure_emulator.state_folder.stat().st_mode & 0o077 == 0


def test_importing_it_is_light():
    code = "import sys, kaz_azure_emulator; print(sorted({'azure', 'starlette', 'mlflow', 'typer'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
