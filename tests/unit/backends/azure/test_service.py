"""What the SDK prints is kept back, whoever calls it at the same time, and no stream is lost over it."""

import sys
import threading

from keras_azure.backends.azure.service import mute


def test_streams_are_given_back_when_threads_leave_in_another_order(capsys):
    before = sys.stdout, sys.stderr
    entered, leave = threading.Event(), threading.Event()

    def first():
        with mute():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait(10)
    with mute():
        sys.stdout.write("out")
        sys.stderr.write("err")
        leave.set()
        thread.join()
        sys.stderr.write("still nothing")
    assert (sys.stdout, sys.stderr) == before
    sys.stdout.write("said")
    assert capsys.readouterr() == ("said", "")
