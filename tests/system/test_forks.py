"""The processes of the other tests, which are forks (`fixtures/fork_server.py`), are as real ones where it counts."""

import os
import signal
import subprocess
import sys
import time

import pytest


@pytest.fixture(params=["a real one", "a fork"])
def python(request, loaded_python):
    return [sys.executable] if request.param == "a real one" else loaded_python


def done(python, code, *arguments, **options):
    return subprocess.run([*python, "-c", code, *arguments], capture_output=True, text=True, **options)


def test_arguments_streams_variables_and_folder(python, tmp_path):
    code = (
        "import os, sys\n"
        "print(sys.argv[1:], os.environ['COLOUR'], 'HOME' in os.environ, os.getcwd(), sys.stdin.read(), __name__)\n"
        "print('beside', file=sys.stderr)"
    )
    found = done(python, code, "a", "b c", input="given", cwd=tmp_path, env={"COLOUR": "röt"})
    assert (found.returncode, found.stderr) == (0, "beside\n")
    assert found.stdout == f"['a', 'b c'] röt False {tmp_path} given __main__\n"


@pytest.mark.parametrize(
    ("code", "returncode", "told"),
    [
        ("", 0, ""),
        ("raise SystemExit(7)", 7, ""),
        ("raise SystemExit('no')", 1, "no\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, ""),
    ],
)
def test_ends(python, code, returncode, told):
    found = done(python, code)
    assert found.returncode == returncode
    assert found.stderr.endswith(told)


def test_what_is_registered_for_the_exit_is_done_and_threads_are_waited_for(python):
    code = (
        "import atexit, threading, time\n"
        "atexit.register(print, 'at the exit')\n"
        "threading.Thread(target=lambda: time.sleep(0.1) or print('in a thread')).start()"
    )
    assert done(python, code).stdout == "in a thread\nat the exit\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_heard(python, number):
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "try:\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt: sys.exit('stopped')"
    )
    command = [*python, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.send_signal(number)
        assert process.communicate() == ("", "stopped\n")
    assert process.returncode == 1


def test_one_that_is_killed_is_gone(python):
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with subprocess.Popen([*python, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        number = int(process.stdout.readline())
        process.kill()
        assert process.stdout.read() == ""  # nobody can write any more
    with pytest.raises(ProcessLookupError):
        for _ in range(600):
            os.kill(number, 0)
            time.sleep(0.1)


def test_modules_of_the_caller_are_found(python, tmp_path):
    (tmp_path / "theirs.py").write_text("print('theirs')")
    for options in ({"cwd": tmp_path}, {"env": os.environ | {"PYTHONPATH": str(tmp_path)}}):
        for arguments in (["-c", "import theirs"], ["-m", "theirs"]):
            found = subprocess.run([*python, *arguments], capture_output=True, text=True, **options)
            assert found.stdout == "theirs\n", found.stderr
    found = subprocess.run([*python, str(tmp_path / "theirs.py")], capture_output=True, text=True)
    assert found.stdout == "theirs\n"


def test_libraries_are_loaded_and_none_has_begun_to_work(loaded_python, loaded_python_on_jax):
    code = (
        "import sys\n"
        "print('tensorflow' in sys.modules, 'mlflow' in sys.modules)\n"
        "import keras, tensorflow, numpy\n"
        "from tensorflow.python.eager import context\n"
        "print(keras.backend.backend(), context.context()._context_handle, numpy.random.rand())\n"
    )
    found = [done(python, code).stdout.split() for python in (loaded_python, loaded_python, loaded_python_on_jax)]
    assert [words[:-1] for words in found] == [
        ["True", "True", "tensorflow", "None"],
        ["True", "True", "tensorflow", "None"],
        ["True", "True", "jax", "None"],
    ]
    assert len({words[-1] for words in found}) == 3  # no two forks have the same random numbers
