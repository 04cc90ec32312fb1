"""Secrets are hidden by their form and by their value, and none that was planted comes out of a run anywhere."""

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.console import Console

from keras_azure.cli.output import print_json, secrets_hidden
from keras_azure.description.config import RunConfig
from keras_azure.errors import ConfigError, KerasAzureError, SpecError
from keras_azure.listeners.display import NotebookDisplay, PlainDisplay, TerminalDisplay
from keras_azure.redaction import find_secret, redacted
from keras_azure.registry.specs import parse

SIGNATURE = "q3Zx%2BPlanted9%2Fw0aLk7TmVb5YcEoRsUh1NdGfIjKpXz%3D"
PASSWORD = "Planted-Passw0rd"
STORAGE_KEY = base64.b64encode(hashlib.sha512(b"planted").digest()).decode()
WEB_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJlLXBsYW50ZWQ"
PEM_LINES = "MIIEplantedPLANTEDplanted\nMIIEplantedPLANTEDplanted2"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{PEM_LINES}\n-----END RSA PRIVATE KEY-----"

# The text, what is secret in it, and what it is called.
BY_FORM = [
    (f"https://a.blob.core.windows.net/c?sv=2024&sig={SIGNATURE}&se=2030", SIGNATURE, "a shared access signature"),
    ("https://a.net/c?sig=abc", "abc", "a shared access signature"),
    (quote(f"https://a.net/c?sv=2024&sig={SIGNATURE}&se=2030"), quote(SIGNATURE), "a shared access signature"),
    (f"sig={SIGNATURE}", SIGNATURE, "a shared access signature"),
    (f"BlobEndpoint=https://a.net;SharedAccessSignature=sv=1&sig={SIGNATURE}", SIGNATURE, "a shared access signature"),
    ("https://a.net/?x=1&api_key=plantedplanted", "plantedplanted", "a password or a token in an address"),
    ("https://a.net/?code=planted", "planted", "a password or a token in an address"),
    ("https://a.net/?token=planted", "planted", "a password or a token in an address"),
    ("https://a.net/#access_token=planted", "planted", "a password or a token in an address"),
    ("https://b.s3/?X-Amz-Signature=planted&x=1", "planted", "a password or a token in an address"),
    (f"postgresql://me:{PASSWORD}@host/db", PASSWORD, "a password or a token in an address"),
    ("mysql+pymysql://me:p@nted/planted@host/db", "p@nted/planted", "a password or a token in an address"),
    (f"/here/https:/me:{PASSWORD}@host/db", PASSWORD, "a password or a token in an address"),
    ("https://planted@github.com/me/mine", "planted", "a password or a token in an address"),
    (f"AccountName=me;AccountKey={STORAGE_KEY};EndpointSuffix=x", STORAGE_KEY, "a storage account's key"),
    ("AccountName=me;AccountKey=planted==;EndpointSuffix=x", "planted==", "the key of a connection string"),
    ("Endpoint=sb://x/;SharedAccessKey=planted=", "planted=", "the key of a connection string"),
    ("InstrumentationKey=planted;IngestionEndpoint=x", "planted", "the key of a connection string"),
    (f"Server=x;Pwd={PASSWORD};", PASSWORD, "a password, a key or a token"),
    (f"password={PASSWORD}", PASSWORD, "a password, a key or a token"),
    (f'{{"password": "{PASSWORD} and more"}}', f"{PASSWORD} and more", "a password, a key or a token"),
    (f"{{'clientSecret': '{PASSWORD}'}}", PASSWORD, "a password, a key or a token"),
    (f"client_secret={PASSWORD}&grant_type=x", PASSWORD, "a password, a key or a token"),
    (f"API-Key: {PASSWORD}", PASSWORD, "a password, a key or a token"),
    ("token=planted-token-1", "planted-token-1", "a token"),
    ("Authorization: Basic cGxhbnRlZDpwbGFudGVk", "cGxhbnRlZDpwbGFudGVk", "a header that authorizes"),
    ("{'Authorization': 'Bearer planted'}", "planted", "a header that authorizes"),
    ("sent with Bearer planted-token-1", "planted-token-1", "a bearer token"),
    (WEB_TOKEN, WEB_TOKEN, "a JSON Web Token"),
    ("ghp_plantedplantedplanted12", "plantedplantedplanted12", "a GitHub token"),
    ("github_pat_planted_planted_planted", "planted_planted_planted", "a GitHub token"),
    ("hf_plantedplantedplanted12", "plantedplantedplanted12", "a Hugging Face token"),
    ("AKIAPLANTEDPLANTED12", "AKIAPLANTEDPLANTED12", "an AWS key"),
    ("sk-proj-Planted_planted-planted12", "Planted_planted-planted12", "an API key"),
    ("abc8Q~plantedplantedplantedplanted12345", "plantedplantedplantedplanted12345", "an Azure client secret"),
    (PEM, PEM_LINES, "a private key"),
    (PEM.partition("-----END")[0], PEM_LINES, "a private key"),
]

ORDINARY = [
    "Epoch 1/10  loss 0.0712  accuracy 0.9781  3,421 images/s  1:02 left",
    "mlflow ui --backend-store-uri sqlite:////home/me/runs/mlflow.db",
    r"C:\Users\me\pictures\cats and dogs",
    "/mnt/data/mask-rcnn-resnet50-fpn-coco-2017/task-learning-with-imagenet-2012",
    "the data folder /a/b@c/d:e does not exist",
    "https://host:8080/a/b@c?name=x&epochs=3",
    "abfss://container@account.dfs.core.windows.net/pictures",
    "ssh://git@github.com/me/mine",
    "vit(class_token=True, tokens=16, pool=token, code=3, key=1)",
    "There is no token: log in with az login. A password: what is that? The secret of good data.",
    "Bearer certificates and basic understanding",
    "if password == other:",
    "sha256:" + hashlib.sha256(b"x").hexdigest(),
    "2b5a9f6e-6f0e-4b3e-9b5a-3f1c2d4e5f60",
    "password=***",
]


@pytest.fixture(autouse=True)
def no_secrets_of_the_machine(monkeypatch):
    """The variable of pytest's own names the case, and with it the secret."""
    for name in os.environ:
        if find_secret(f"{name}=planted-value-1") or name == "PYTEST_CURRENT_TEST":
            monkeypatch.delenv(name)


def environment(**variables: str) -> mock._patch_dict:
    return mock.patch.dict(os.environ, variables)


@pytest.mark.parametrize(("text", "secret", "kind"), BY_FORM)
def test_a_secret_is_known_by_its_form(text, secret, kind):
    assert secret in text
    assert secret not in redacted(text)
    assert find_secret(text) == kind
    assert find_secret(redacted(text)) is None


def test_only_the_secret_is_hidden():
    assert redacted(f"https://a.net/c?sv=1&sig={SIGNATURE}&se=2") == "https://a.net/c?sv=1&sig=***&se=2"
    assert redacted("postgresql://me:hunter2@host/db") == "postgresql://***@host/db"
    assert redacted('{"password": "hunter2", "x": 1}') == '{"password": "***", "x": 1}'
    assert redacted("AccountName=me;AccountKey=abc==;x=1") == "AccountName=me;AccountKey=***;x=1"
    assert redacted(f"before\n{PEM}\nbehind") == "before\n***\nbehind"


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays(text):
    assert redacted(text) == text
    assert find_secret(text) is None


harmless = st.text(st.sampled_from("abcxyzABC0189 .,;-_/\\()[]{}'\"+%\n"))
ordinary_pieces = st.sampled_from(ORDINARY) | st.uuids().map(str) | st.floats().map(str) | harmless
ordinary_pieces |= st.binary().map(lambda content: hashlib.sha256(content).hexdigest())


@given(st.lists(ordinary_pieces, max_size=5))
def test_text_without_secrets_is_unchanged(pieces):
    text = "\n".join(pieces)
    assert redacted(text) == text


secret_pieces = st.sampled_from([text for text, _, _ in BY_FORM]) | st.text(st.sampled_from("*=:@/&?;\"'%sigpassword"))


@given(st.lists(secret_pieces | st.text(max_size=5), max_size=6))
def test_what_is_redacted_stays_as_it_is_and_holds_no_secret(pieces):
    text = redacted("".join(pieces))
    assert redacted(text) == text
    assert find_secret(text) is None


@pytest.mark.parametrize(("text", "secret"), [(text, secret) for text, secret, _ in BY_FORM])
@given(before=st.text(), behind=st.text())
def test_no_surroundings_save_a_secret(text, secret, before, behind):
    assume(secret not in before + behind)
    separated = " " if text.startswith(("sk-", "sig=", "token=")) else ""  # other words end so: "mask-", "class_token="
    assert secret not in redacted(before + separated + text + behind)


values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=8).filter(
    lambda value: value == value.strip() and set(value) != {"*"}
)


@given(values, st.text(), st.text())
def test_the_value_of_a_secret_variable_never_survives(value, before, behind):
    with environment(MY_SERVICE_TOKEN=value):
        assert value not in redacted(before + value + behind)
        assert find_secret(value)
        for text in (repr(value), json.dumps(value), quote(value), quote(value, safe="")):
            assert text.strip("'\"") not in redacted(f"<{text}>")


@pytest.mark.parametrize("before", ["", "m", "me", "me:"])
def test_a_value_in_base64_is_hidden(before):
    written = base64.b64encode(f"{before}{PASSWORD} and more".encode()).decode()
    with environment(MLFLOW_TRACKING_PASSWORD=PASSWORD):
        hidden = redacted(f"<{written}>")
    first, last = hidden.strip("<>").split("***")
    assert len(first) * 6 // 8 <= len(before)  # no whole byte more
    assert len(last.rstrip("=")) * 6 // 8 <= len(" and more")


@pytest.mark.parametrize(
    "name",
    [
        *("AZURE_CLIENT_SECRET", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AZUREML_RUN_TOKEN"),
        *("MSI_SECRET", "IDENTITY_HEADER", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_SAS_TOKEN", "STORAGE_SAS"),
        *("AZURE_STORAGE_KEY", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "PGPASSWORD", "HF_TOKEN", "my_token_2"),
        *("SSH_PRIVATE_KEY", "AZURE_CREDENTIALS", "APPINSIGHTS_INSTRUMENTATIONKEY", "CUSTOMCONNSTR_DB", "MYSQL_PWD"),
    ],
)
def test_names_tell_what_is_secret(name):
    with environment(**{name: PASSWORD}):
        assert redacted(f"a {PASSWORD} b") == "a *** b"
        assert find_secret(PASSWORD) == f"what the environment variable {name} holds"


@pytest.mark.parametrize("name", ["HOME", "KAZ_RUNS", "TOKENIZERS_PARALLELISM", "KEYBOARD", "SASH", "MLFLOW_RUN_NAME"])
def test_other_variables_are_no_secrets(name):
    with environment(**{name: PASSWORD}):
        assert redacted(PASSWORD) == PASSWORD


def test_short_values_and_paths_that_exist_are_no_secrets(tmp_path):
    with environment(USE_TOKEN="true", MY_TOKEN="seven77", AZURE_FEDERATED_TOKEN_FILE=str(tmp_path), OLD_TOKEN="*" * 9):
        text = f"true seven77 {tmp_path} {'*' * 20}"
        assert redacted(text) == text


def test_a_part_of_a_variable_is_a_secret_too():
    """The key of a connection string alone, the password of an address alone, a line of a private key alone."""
    with environment(
        AZURE_STORAGE_CONNECTION_STRING="AccountName=someone;AccountKey=planted-key==;EndpointSuffix=x",
        MLFLOW_TRACKING_URI="https://someone:planted%2Fpassword@host",
        SIGNING_PRIVATE_KEY=PEM,
    ):
        assert redacted("someone planted-key== host") == "someone *** host"
        assert redacted("planted/password") == redacted("planted%2fpassword") == "***"
        assert redacted(PEM_LINES) == "***\n***"


def test_one_secret_within_another_leaves_nothing_of_either():
    with environment(A_TOKEN="planted-one", B_TOKEN="planted-one-and-more"):
        assert redacted("planted-one-and-more, planted-one") == "***, ***"


def test_a_change_of_the_environment_is_noticed():
    assert redacted(PASSWORD) == PASSWORD
    with environment(LATE_TOKEN=PASSWORD):
        assert redacted(PASSWORD) == "***"


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"model": "cnn", "data": "https://a.net/?sig=planted"}, "data"),
        ({"model": "cnn(weights='https://me:planted@a.net')"}, "model"),
        ({"model": "cnn", "augment": ["flip", "x(key='AccountKey=planted')"]}, "augment"),
        ({"model": "cnn", "optimizer": "adam(name='password=planted')"}, "optimizer"),
    ],
)
def test_a_description_with_a_secret_is_refused_without_showing_it(settings, name):
    with pytest.raises(ConfigError, match=f"The setting '{name}' holds a secret") as caught:
        RunConfig.from_dict(settings)
    assert "planted" not in str(caught.value)


def test_a_description_with_the_value_of_a_variable_is_refused():
    with environment(MY_SERVICE_TOKEN=PASSWORD), pytest.raises(ConfigError, match="MY_SERVICE_TOKEN") as caught:
        RunConfig("cnn", data=f"/data/{PASSWORD}")
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "cnn", f"password={PASSWORD}": 1},
        {"model": "cnn", "epochs": f"https://a.net/?sig={PASSWORD}"},
        {"model": "cnn", "data": {"password": PASSWORD}},
    ],
)
def test_wrong_fields_and_values_do_not_show_a_secret(settings):
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_dict(settings)
    assert "***" in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_no_part_of_an_error_holds_a_secret():
    text = f"password={PASSWORD}"
    error = KerasAzureError(text, expected=text, hint=text)
    for shown in (str(error), repr(error), error.problem, error.expected, error.hint, str(error.args)):
        assert PASSWORD not in shown
    assert str(error) == "password=***\nExpected: password=***\nTry: password=***"


def test_a_text_is_cut_only_after_its_secret_is_hidden():
    with environment(MY_SERVICE_TOKEN=PASSWORD), pytest.raises(SpecError) as caught:
        parse("a" * 70 + PASSWORD + "(")
    assert PASSWORD[:5] not in str(caught.value)


def test_displays_show_no_secret(monkeypatch):
    text = f"Loading postgresql://me:{PASSWORD}@host"
    out = io.StringIO()
    PlainDisplay(Console(file=out)).message(text)
    with TerminalDisplay(Console(file=out, force_terminal=True, width=200)) as display:
        display.message(text)
        display.advance(text, 1, 1)
        display._progress.refresh()
    notebook = pytest.importorskip("IPython.display")
    monkeypatch.setattr(notebook, "display", lambda *arguments, **keywords: mock.Mock())
    display = NotebookDisplay()
    display.message(text)
    display.advance(text, 1, 1)
    shown = out.getvalue() + str(display._content())
    assert PASSWORD not in shown
    assert shown.count("postgresql://***@host") >= 5


def test_printed_json_is_json_without_secrets(capsys):
    print_json({f"password={PASSWORD}": [f'{{"password": "{PASSWORD}"}}', 1, None], "path": ("sqlite:////a/b.db",)})
    out = capsys.readouterr().out
    assert PASSWORD not in out
    assert json.loads(out) == {"password=***": ['{"password": "***"}', 1, None], "path": ["sqlite:////a/b.db"]}


def test_the_commands_output_hides_secrets_and_is_the_old_one_afterwards(capsys):
    before = sys.stdout, sys.stderr
    with secrets_hidden():
        print(f"password={PASSWORD}", file=sys.stderr)  # noqa: T201
        sys.stdout.writelines([f"password={PASSWORD}\n", "no secret\n"])
        assert not sys.stdout.isatty()
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("password=***\nno secret\n", "password=***\n")


def test_without_any_output_there_is_nothing_to_hide(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with secrets_hidden():
        assert sys.stdout is sys.stderr is None


ADDRESS = f"https://someone:{PASSWORD}@a.net/c?sig=planted-signature"
PLANTED = [
    ["cnn", "--data", ADDRESS],
    ["cnn", "--data", f"/data/{PASSWORD}"],
    ["cnn", "--output", PASSWORD],
    ["cnn", "--data", f"folder(path='{ADDRESS}')"],
    ["cnn", "--set", f"weights='{ADDRESS}'"],
    ["cnn", "--set", f"{PASSWORD}=3"],
    ["cnn", "--set", PASSWORD],
    [f"cnn(weights='{ADDRESS}')"],
    [f"cnn({PASSWORD})"],
    [PASSWORD],
    ["cnn", "--config", "described.json"],
    ["--config", f"{PASSWORD}.json"],
    ["cnn", "--output", f"full/{PASSWORD}"],
    ["cnn", "--output", f"file/{PASSWORD}"],
    ["cnn", "--optimizer", f"adam(name='{ADDRESS}')"],
    ["cnn", "--optimizer", PASSWORD],
    ["cnn", "--augment", ADDRESS],
    ["cnn", "--metric", PASSWORD],
    ["cnn", "--backend", PASSWORD],
    ["cnn", "--epochs", ADDRESS],
    ["cnn", "--epochs", PASSWORD],
    ["cnn", "--learning-rate", PASSWORD],
    ["cnn", "--keep", PASSWORD],
    ["cnn", "--fine-tune", PASSWORD],
    ["cnn", f"--{PASSWORD}", "3"],
    ["cnn", "surplus", PASSWORD],
]


@pytest.mark.parametrize("debug", [[], ["--debug"]], ids=["", "debug"])
@pytest.mark.parametrize("arguments", PLANTED, ids=lambda arguments: " ".join(arguments).replace(PASSWORD, "X"))
def test_wrong_usage_does_not_show_a_secret(kaz, monkeypatch, tmp_path, arguments, debug):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_SERVICE_TOKEN", PASSWORD)
    full = tmp_path / "full" / PASSWORD
    full.mkdir(parents=True)
    (full / "something").touch()
    (tmp_path / "file").touch()
    (tmp_path / "described.json").write_text(json.dumps({"data": ADDRESS, PASSWORD: 1}))
    code, out, err = kaz("run", *arguments, *debug)
    assert code in (1, 2)
    assert out == ""
    assert "Error: " in err
    assert ("Traceback" in err) == bool(debug and "Usage: " not in err)
    for secret in (PASSWORD, "planted-signature", "someone"):
        assert secret not in err
    assert not (tmp_path / "runs").exists()


LEAKING = f"""
import logging, os, sys, warnings

def leaking(input_shape, num_classes):
    secret = os.environ["MY_SERVICE_TOKEN"]
    print("printed", secret)
    print("printed", secret, file=sys.stderr)
    logging.getLogger("leaking").warning("logged %s", secret)
    warnings.warn("warned " + secret)
    raise ValueError("raised {ADDRESS} " + secret)
"""


@pytest.mark.filterwarnings("ignore:warned")
@pytest.mark.parametrize("debug", [[], ["--debug"]], ids=["", "debug"])
def test_a_plugin_that_speaks_of_secrets_is_not_repeated(kaz, install_plugin, monkeypatch, tmp_path, debug):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_SERVICE_TOKEN", "the-planted-token")
    install_plugin("leaking", {"models": "leaking = leaking:leaking"}, LEAKING)
    code, out, err = kaz("run", "leaking", "--no-tracking", *debug)
    assert code == 1
    assert (out + err).count("printed ***") == 2
    assert "raised https://***@a.net/c?sig=*** ***" in err
    for secret in (PASSWORD, "planted-signature", "the-planted-token"):
        assert secret not in out + err


SECRETS = {
    "AZURE_CLIENT_SECRET": "planted-client-secret",
    "MLFLOW_TRACKING_PASSWORD": "planted/tracking+password",
    "MLFLOW_TRACKING_USERNAME": "someone",
    "AZURE_STORAGE_CONNECTION_STRING": f"AccountName=me;AccountKey={STORAGE_KEY};EndpointSuffix=core.windows.net",
    "AZURE_STORAGE_SAS_TOKEN": f"sv=2024&sig={SIGNATURE}",
    "MY_SERVICE_TOKEN": "planted-service-token",
    "SIGNING_PRIVATE_KEY": PEM,
}
TEXTS = ["planted-client-secret", "planted/tracking+password", STORAGE_KEY, SIGNATURE, "planted-service-token"]


def spellings(secret: str) -> Iterator[bytes]:
    yield from (secret.encode(), quote(secret, safe="").encode(), json.dumps(secret)[1:-1].encode())
    yield base64.b64encode(secret.encode()).rstrip(b"=")


def where_planted(folder: Path) -> list[str]:
    """The files below a folder that hold any of the planted secrets, in any spelling."""
    written = [spelling for secret in (*TEXTS, *PEM_LINES.splitlines()) for spelling in spellings(secret)]
    return [
        str(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(spelling in path.read_bytes() for spelling in written)
    ]


def test_what_is_planted_is_found(tmp_path):
    for number, spelling in enumerate(spellings("planted/tracking+password")):
        (tmp_path / str(number)).write_bytes(b"\0" + spelling + b"\0")
    assert len(where_planted(tmp_path)) == 4


@pytest.fixture
def kaz_run(kaz_process):
    """Runs the command with secrets in its environment, and leaves what it shows in files of the folder."""

    def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        command = [*kaz_process, "run", *arguments]
        environment = os.environ | SECRETS | variables
        done = subprocess.run(command, capture_output=True, cwd=folder, env=environment, timeout=600)
        (folder / "stdout").write_bytes(done.stdout)
        (folder / "stderr").write_bytes(done.stderr)
        return done

    return run


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [[], ["--json", "--debug"]], ids=["", "json"])
def test_no_planted_secret_comes_out_of_a_run(kaz_run, tmp_path, arguments):
    store = f"sqlite:///{tmp_path}/tracked.db"
    done = kaz_run(tmp_path, "cnn", "--epochs", "1", *arguments, KAZ_RUNS=f"{tmp_path}/runs", MLFLOW_TRACKING_URI=store)
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "tracked.db").stat().st_size
    names = {path.name for path in tmp_path.rglob("*")}
    assert {"run.json", "metrics.json", "history.csv", "tracking.json", "model.keras", "requirements.txt"} <= names
    assert where_planted(tmp_path) == []


@pytest.mark.slow
def test_no_planted_secret_comes_out_of_a_run_whose_server_is_away(kaz_run, tmp_path):
    store = "http://someone:planted-service-token@127.0.0.1:9/?sig=planted-client-secret"
    variables = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "KAZ_RUNS": f"{tmp_path}/runs", "MLFLOW_TRACKING_URI": store}
    done = kaz_run(tmp_path, "cnn", "--epochs", "1", **variables)
    assert done.returncode == 0, done.stderr.decode()
    assert b"127.0.0.1:9" in done.stderr
    assert where_planted(tmp_path) == []


@pytest.mark.slow
def test_no_planted_secret_comes_out_of_a_plugin_that_fails(kaz_run, install_plugin, tmp_path):
    install_plugin("leaking", {"models": "leaking = leaking:leaking"}, LEAKING)
    folder = tmp_path / "here"
    folder.mkdir()
    done = kaz_run(folder, "leaking", "--debug", KAZ_RUNS=f"{folder}/runs", MLFLOW_TRACKING_URI="sqlite:///tracked.db")
    assert done.returncode == 1
    for act in ("printed ***", "logged ***", "warned ***", "raised https://***@a.net/c?sig=*** ***", "Traceback"):
        assert act.encode() in done.stdout + done.stderr
    assert where_planted(folder) == []
