import itertools
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

HERE = ("--pictures", "1000", "--image-size", "28", "28", "--grayscale")


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def planned(kaz, *arguments: str) -> dict:
    code, out, err = kaz("plan", *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_one_machine(kaz, monkeypatch):
    clock = SimpleNamespace(process_time=itertools.count(step=0.001).__next__)  # each look at it is 1 ms later
    monkeypatch.setattr("keras_azure.planning.input.time", clock)  # so the input bounds nothing
    code, out, _ = kaz("plan", "cnn", "--backend", "azure-nc6", "--batch-size", "64", *HERE)
    assert code == 0
    assert out.startswith("cnn: 409,034 parameters\n")
    assert "10 epochs of 900 pictures of 28x28x1 in 10 classes, batches of 64, float32" in " ".join(out.split())
    assert "Memory     15.1 MB in a training step: weights 1.64 MB, optimizer 3.27 MB," in out
    assert "209 MB by the chapter's rule" in out
    assert "Computing  2.84 MFLOP forward, 5.45 MFLOP backward" in out
    assert "azure-nc6: Azure retired Standard_NC6 on 2023-08-31; the run goes to" in out
    assert "NC4as_T4_v3 1 T4" in out
    assert "Try a larger --batch-size" in out
    assert "No price is known here: --prices reads today's." in out


def test_all_current_sizes_fit_into_eighty_columns(kaz):
    code, out, err = kaz("plan", "cnn", *HERE)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "…" not in out
    machines = planned(kaz, "cnn", *HERE)["machines"]
    assert len(machines) > 25
    for machine in machines:
        assert machine["size"].removeprefix("Standard_")[:19] in out
    assert err.splitlines() == [
        "Loading Keras",
        "Tracing the training step",
        "Trying what the input pipeline costs here",
    ]


def test_several_machines_side_by_side(kaz):
    found = planned(kaz, "cnn", "--backend", "azure-nc4as-t4-v3", "--backend", "azure-nc24ads-a100-v4", *HERE)
    slow, fast = found["machines"]
    assert [slow["gpu"], fast["gpu"]] == ["T4", "A100"]
    assert fast["largest_batch"] > 4 * slow["largest_batch"]
    assert found["pictures"]["train"] == 900


def test_data_that_is_here(kaz):
    found = planned(kaz, "cnn", "--backend", "azure-nc6", "--epochs", "3")
    assert found["data"] == "digits"
    assert found["epochs"] == 3
    assert found["pictures"]["train"] + found["pictures"]["validation"] == 1437


def test_what_does_not_fit_says_what_would(kaz):
    code, out, _ = kaz("plan", "cnn", "--backend", "azure-nc6", "--batch-size", "10000000", *HERE)
    assert code == 0
    assert "does not fit" in " ".join(out.split())
    assert "--batch-size" in out.split("Try", 1)[1]


def test_prices_of_today(kaz, price_list):
    spot = price_list.item("Standard_NC4as_T4_v3", 0.1, meterName="NC4as T4 v3 Spot")
    price_list.answers[0]["Items"].append(spot)
    machines = ("--backend", "azure-nc6", "--backend", "azure-nc6(spot=True)")
    found = planned(kaz, "cnn", *machines, "--prices", "--region", "westeurope", *HERE)["machines"]
    assert [machine["price"]["usd_per_hour"] for machine in found] == [0.526, 0.1]
    assert {machine["price"]["region"] for machine in found} == {"westeurope"}
    assert found[0]["usd"][0] > found[1]["usd"][0] > 0
    out = kaz("plan", "cnn", *machines, "--prices", *HERE)[1]
    assert "prices of" in out
    assert ", eastus" in out


def test_prices_that_cannot_be_read_stop_nothing(kaz, price_list):
    price_list.answers[:] = [503]
    code, out, err = kaz("plan", "cnn", "--backend", "azure-nc6", "--prices", *HERE)
    assert code == 0
    assert "Azure's prices cannot be read" in err
    assert "No price is known here" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cnn", "--pictures", "100"], "can only be planned for with their size"),
        (["cnn", "--backend", "azure-nc5", *HERE], "There is no Azure size called 'nc5'"),
        (["cnn", "--region", "eastus", *HERE], "--region is the region of --prices"),
        (["cnm", *HERE], "cnn"),
        (["cnn(layers=3)", *HERE], "layers"),
        ([*HERE], "No model is named"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(kaz, arguments, message):
    code, out, err = kaz("plan", *arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.slow
def test_it_needs_no_network_and_loads_nothing_of_azure():
    code = (
        "import sys; from keras_azure.cli import main; sys.argv = ['kaz', *sys.argv[1:]]\n"
        "try: main()\nexcept SystemExit as stopped: assert not stopped.code\n"
        "print(sorted({'azure', 'azureml', 'mlflow'} & set(sys.modules)), file=sys.stderr)"
    )
    nobody = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), "http://127.0.0.1:9")
    command = [sys.executable, "-c", code, "plan", "cnn", "--backend", "azure-nc6", *HERE]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | nobody, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"
    assert len(done.stderr.splitlines()) == 4  # our own three lines, and that one


def test_another_engine_has_no_plan(kaz):
    code, out, err = kaz("plan", "cnn", "--engine", "jax", *HERE)
    assert (code, out) == (2, "")
    assert "A plan is of the training step on TensorFlow" in err
