"""What is looked at before a run is submitted: whether it fits, and what it costs. No login is needed to be refused."""

import os
import pty
import subprocess

import pytest

import keras_azure
from keras_azure.api.plans import look_ahead
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.errors import DoesNotFit, TooExpensive, UsageError


class Listener(Observer):
    def __init__(self):
        self.messages = []

    def message(self, text):
        self.messages.append(text)


def looked(*, force=False, max_cost=None, confirm=None, **settings):
    listener = Listener()
    config = RunConfig(**{"model": "cnn", "backend": "azure-nc6", **settings})
    look_ahead(config, listener, force=force, max_cost=max_cost, confirm=confirm)
    return listener.messages


def test_time_is_estimated():
    assert looked()[-1].startswith("Estimated: ")
    assert looked()[-1].endswith(" of training")


def test_what_does_not_fit_is_refused_with_a_batch_that_would():
    with pytest.raises(DoesNotFit, match=r"Training needs .* GB of GPU memory, and of Standard_NC4as_T4_v3"):
        looked(batch_size=10_000_000)
    with pytest.raises(DoesNotFit) as refused:
        keras_azure.submit("cnn", backend="azure-nc6", batch_size=10_000_000)
    assert "--batch-size 1" in str(refused.value)
    assert "--force" in str(refused.value)


def test_force_does_not_look():
    assert looked(batch_size=10_000_000, force=True) == []


def test_a_price_gives_a_cost(price_list):
    assert " USD with the node's start and end (price of " in looked(max_cost=100.0)[-1]


def test_what_may_cost_more_is_asked_for(price_list):
    asked = []

    def answer(yes):
        return lambda question: asked.append(question) or yes

    looked(max_cost=0.01, confirm=answer(True))
    with pytest.raises(TooExpensive, match="Nothing was submitted"):
        looked(max_cost=0.01, confirm=answer(False))
    with pytest.raises(TooExpensive):
        looked(max_cost=0.01)  # nobody can be asked
    assert len(asked) == 2
    assert asked[0].startswith("The run may cost up to 0.1")
    assert asked[0].endswith("USD, and --max-cost is 0.01. Submit it?")
    looked(max_cost=1.0, confirm=answer(False))
    assert len(asked) == 2


def test_without_a_price_it_may_cost_anything(price_list):
    price_list.answers[:] = [503]
    with pytest.raises(TooExpensive, match="may cost anything: no price is known"):
        looked(max_cost=1.0)


def test_data_that_is_elsewhere_is_not_fetched_to_look():
    assert looked(data="azureml(asset='azureml:digits:1')") == []
    assert looked(data="mnist") == []
    with pytest.raises(UsageError, match="the data is not here"):
        looked(data="mnist", max_cost=1.0)


def test_on_another_engine_nothing_is_known_before():
    assert looked(engine="jax") == []
    with pytest.raises(UsageError, match="on TensorFlow alone"):
        looked(engine="jax", max_cost=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["n\n", "y\n"])
def test_the_question_in_a_terminal(kaz_process, price_list, answer, tmp_path):
    """After yes it goes on, to find that no workspace is named."""
    terminal, theirs = pty.openpty()
    command = [*kaz_process, "run", "cnn", "--backend", "azure-nc6", "--max-cost", "0.01"]
    os.write(terminal, answer.encode())
    done = subprocess.run(
        command, stdin=theirs, capture_output=True, text=True, cwd=tmp_path, timeout=300, env=_nobody(tmp_path)
    )
    os.close(terminal)
    os.close(theirs)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "and --max-cost is 0.01. Submit it? [y/N]" in done.stderr
    assert ("Nothing was submitted" if answer == "n\n" else "No Azure ML workspace is named") in done.stderr


def _nobody(home):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AZURE_")}
    return environment | {"HOME": str(home), "XDG_CACHE_HOME": str(home)}
