"""`kaz` in a process of its own that kills itself, as `kill -9` would, at the n-th time that it comes to a place.

Run by `conftest.py`, with JSON as its only argument: the command's "arguments", the "place" (one of PLACES, or "" for
none) and "time" of the kill, the seconds by which its "clock" is wrong, and the bytes of the "largest_file" that it may
write.
"""

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

given = json.loads(sys.argv[1])
times_there = 0


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arrive() -> None:
    global times_there
    times_there += 1
    if times_there == given["time"]:
        die()


def die_in(owner: object, name: str, only: Callable[..., bool] = lambda *arguments: True) -> None:
    """Counts a call of `owner.name` as coming to the place, just before what it does."""
    original = getattr(owner, name)

    def counted(*arguments: object, **options: object) -> object:
        if only(*arguments):
            arrive()
        return original(*arguments, **options)

    setattr(owner, name, counted)


def in_the_step() -> None:
    from keras_azure.description.events import Listeners
    from keras_azure.training import loop

    loop.CALL_SECONDS = 0.0  # one step a call, so that each is a time of its own
    die_in(Listeners, "steps_done")


def in_evaluation() -> None:
    from keras_azure.description.events import Listeners
    from keras_azure.training import loop

    loop.CALL_SECONDS = 0.0
    die_in(Listeners, "validation_steps_done")


def in_the_test() -> None:
    from keras_azure.listeners.display import Display

    die_in(Display, "advance", lambda self, activity, *rest: activity == "Testing")


def in_the_middle_of_a_write() -> None:
    """Half of the file's bytes are there, under the name beside the final one."""
    from keras_azure import files

    def write_half(path: Path, write: Callable[[Path], None], *spare: Path | None) -> None:
        def write_and_die(beside: Path) -> None:
            write(beside)
            if "checkpoints" in beside.parts:
                with beside.open("rb+") as file:
                    file.truncate(beside.stat().st_size // 2)
                arrive()
                write(beside)

        original(path, write_and_die, *spare)

    original = files.write_atomically
    for module in list(sys.modules.values()):
        if getattr(module, "write_atomically", None) is original:
            module.write_atomically = write_half


def before_a_rename() -> None:
    die_in(Path, "replace")


def after_a_rename() -> None:
    from keras_azure import files

    die_in(files, "_flush_folder")


def while_old_checkpoints_go() -> None:
    die_in(Path, "replace", lambda self, *rest: self.name.startswith("epoch-"))  # put aside, to be written over


def in_tracking() -> None:
    import mlflow

    for name in ("create_run", "log_batch", "set_tag", "log_artifact", "log_text", "set_terminated"):
        die_in(mlflow.MlflowClient, name)


def after_tracking() -> None:
    """What MLflow was told is there, and the run does not know it."""
    import mlflow

    client = mlflow.MlflowClient
    for name in ("create_run", "log_batch", "set_terminated"):
        original = getattr(client, name)

        def told(*arguments: object, original: Callable = original, **options: object) -> object:
            answer = original(*arguments, **options)
            arrive()
            return answer

        setattr(client, name, told)


def while_the_model_is_saved() -> None:
    import keras

    die_in(keras.Model, "save")


PLACES = {
    function.__name__.replace("_", " "): function
    for function in (
        *(in_the_step, in_evaluation, in_the_test, in_the_middle_of_a_write, before_a_rename, after_a_rename),
        *(while_old_checkpoints_go, in_tracking, after_tracking, while_the_model_is_saved),
    )
}

if __name__ == "__main__":
    sys.argv = ["kaz", *given["arguments"]]
    if given["largest_file"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (given["largest_file"],) * 2)
    if given["clock"]:
        right_time = time.time
        time.time = lambda: right_time() + given["clock"]
    if given["place"]:
        PLACES[given["place"]]()
    from keras_azure.cli import main

    main()
