"""What the tests of all data sets share."""

import threading

import pytest

from keras_azure.description.events import Observer


class Listener(Observer):
    """Keeps what it is told, which must come from the main thread alone: displays are not made for more."""

    def __init__(self):
        self.messages: list[str] = []
        self.progress: list[tuple[str, int, int]] = []

    def message(self, text):
        assert threading.current_thread() is threading.main_thread()
        self.messages.append(text)

    def advance(self, activity, done, total):
        assert threading.current_thread() is threading.main_thread()
        self.progress.append((activity, done, total))


@pytest.fixture
def listener() -> Listener:
    return Listener()
