"""Online endpoints: created, deployed to, asked, and what goes wrong with them."""

import json

import pytest
from azure.ai.ml.constants._endpoint import EndpointInvokeFields
from azure.ai.ml.entities import (
    CodeConfiguration,
    Environment,
    ManagedOnlineDeployment,
    ManagedOnlineEndpoint,
    Model,
    OnlineRequestSettings,
)
from azure.ai.ml.exceptions import MlException, ValidationException
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

SCORE = """
import json, os, pathlib, time

def init():
    global model
    root = pathlib.Path(os.environ["AZUREML_MODEL_DIR"])
    model = [str(path.relative_to(root)) for path in root.rglob("*.txt")]
    print("init is here", flush=True)

def run(data):
    request = json.loads(data)
    if "fail" in request:
        raise ValueError("this is told to the log alone")
    if "exit" in request:
        os._exit(1)
    time.sleep(request.get("sleep", 0))
    return {"model": model, "name": os.environ["NAME"], "sum": sum(request["data"])}
"""


@pytest.fixture(autouse=True)
def _no_leftovers(monkeypatch):
    """SDK defect: `invoke` keeps a deployment's name in a dictionary that all later calls share."""
    monkeypatch.setattr(EndpointInvokeFields, "DEFAULT_HEADER", {"Content-Type": "application/json"})


@pytest.fixture(scope="module")
def assets(tmp_path_factory):
    """A model's folder, a code folder, and requests."""
    folder = tmp_path_factory.mktemp("assets")
    (folder / "model").mkdir()
    (folder / "model" / "one.txt").write_text("one")
    (folder / "code").mkdir()
    (folder / "code" / "score.py").write_text(SCORE)
    (folder / "request.json").write_text('{"data": [1, 2, 3]}')
    return folder


def deployment(assets, name: str, endpoint: str, code: str = "code", **more) -> ManagedOnlineDeployment:
    settings = {
        "model": Model(path=str(assets / "model"), type="custom_model"),
        "code_configuration": CodeConfiguration(code=str(assets / code), scoring_script="score.py"),
        "environment": Environment(image="ubuntu:22.04"),
        "environment_variables": {"NAME": name},
        "instance_type": "Standard_DS3_v2",
        "instance_count": 1,
    }
    return ManagedOnlineDeployment(name=name, endpoint_name=endpoint, **{**settings, **more})


@pytest.fixture(scope="module")
def deploy(client, assets):
    """Begins to deploy: `deploy("blue", "numbers").result()`."""

    def begin(*names: str, **more):
        return client.online_deployments.begin_create_or_update(deployment(assets, *names, **more))

    return begin


@pytest.fixture(scope="module")
def endpoint(client, deploy):
    """An endpoint with a deployment "blue" that has all traffic."""
    created = client.online_endpoints.begin_create_or_update(
        ManagedOnlineEndpoint(name="numbers", auth_mode="key", tags={"kind": "trial"})
    ).result()
    assert created.provisioning_state == "Succeeded"
    deploy("blue", "numbers").result()
    created.traffic = {"blue": 100}
    client.online_endpoints.begin_create_or_update(created).result()
    return client.online_endpoints.get("numbers")


def invoke(client, assets, endpoint: str = "numbers", **options):
    return json.loads(client.online_endpoints.invoke(endpoint, request_file=str(assets / "request.json"), **options))


def test_a_deployment_answers(client, endpoint, assets, azure_emulator):
    assert endpoint.scoring_uri == "https://numbers.westus2.inference.ml.azure.com/score"
    assert endpoint.tags == {"kind": "trial"}
    assert endpoint.traffic == {"blue": 100}
    assert [each.name for each in client.online_endpoints.list()] == ["numbers"]
    assert invoke(client, assets) == {"model": ["model/one.txt"], "name": "blue", "sum": 6}

    found = client.online_deployments.get("blue", "numbers")
    assert found.provisioning_state == "Succeeded"
    assert found.request_settings.request_timeout_ms == 5000  # as Azure fills in
    assert [each.name for each in client.online_deployments.list("numbers")] == ["blue"]
    assert azure_emulator.unknown_requests == []
    assert azure_emulator.refused_hosts == []


def test_keys(client, endpoint, post):
    before = client.online_endpoints.get_keys("numbers")
    for key in (before.primary_key, before.secondary_key):
        assert post(endpoint.scoring_uri, key)[0] == 200
    client.online_endpoints.begin_regenerate_keys("numbers", key_type="secondary").result()
    after = client.online_endpoints.get_keys("numbers")
    assert after.primary_key == before.primary_key
    assert after.secondary_key != before.secondary_key
    assert post(endpoint.scoring_uri, after.secondary_key)[0] == 200
    for key, words in ((before.secondary_key, "key_auth_access_denied"), (None, "key_auth_bad_header_forbidden")):
        status, text, _ = post(endpoint.scoring_uri, key)
        assert status == 401
        assert text.startswith(words)


def test_logs(client, endpoint):
    logs = client.online_deployments.get_logs("blue", "numbers", lines=100)
    assert "init is here" in logs
    assert "POST /score 200" in logs
    assert len(client.online_deployments.get_logs("blue", "numbers", lines=1).splitlines()) == 1
    storage = client.online_deployments.get_logs("blue", "numbers", lines=10, container_type="storage-initializer")
    assert "AZUREML_MODEL_DIR" in storage


def test_a_model_error_is_424(client, endpoint, post):
    key = client.online_endpoints.get_keys("numbers").primary_key
    status, text, headers = post(endpoint.scoring_uri, key, b'{"fail": 1}')
    assert status == 424
    assert headers["ms-azureml-model-error-statuscode"] == "500"
    assert "Check the logs" in json.loads(text)["message"]
    assert "told to the log alone" in client.online_deployments.get_logs("blue", "numbers", lines=20)
    assert post(endpoint.scoring_uri, key, b"no json at all")[0] == 424  # the script reads the body itself
    status, text, _ = post(endpoint.scoring_uri, key, azureml_model_deployment="red")
    assert (status, text.partition(".")[0]) == (404, "Specified deployment could not be found")


def test_a_server_that_ends_is_started_again(client, endpoint, wait_until, post):
    key = client.online_endpoints.get_keys("numbers").primary_key
    status, _, headers = post(endpoint.scoring_uri, key, b'{"exit": 1}')
    assert (status, headers["ms-azureml-model-error-statuscode"]) == (424, "502")
    wait_until(lambda: post(endpoint.scoring_uri, key)[0] == 200)


def test_traffic_and_a_second_deployment(client, endpoint, assets, deploy, post):
    deploy("green", "numbers", request_settings=OnlineRequestSettings(request_timeout_ms=3000)).result()
    assert client.online_endpoints.get("numbers").traffic == {"blue": 100, "green": 0}
    assert invoke(client, assets)["name"] == "blue"
    assert invoke(client, assets, deployment_name="green")["name"] == "green"
    assert invoke(client, assets)["name"] == "green"  # the SDK's defect, see `_no_leftovers`
    del EndpointInvokeFields.DEFAULT_HEADER["azureml-model-deployment"]
    with pytest.raises(ValidationException, match="not found"):
        invoke(client, assets, deployment_name="red")

    key = client.online_endpoints.get_keys("numbers").primary_key
    assert post(endpoint.scoring_uri, key, b'{"sleep": 10, "data": []}', azureml_model_deployment="green")[0] == 408
    with pytest.raises(HttpResponseError, match="has traffic"):
        client.online_deployments.begin_delete("blue", "numbers").result()
    for traffic in ({"blue": 60}, {"red": 100}):
        endpoint.traffic = traffic
        with pytest.raises(HttpResponseError) as refusal:
            client.online_endpoints.begin_create_or_update(endpoint)
        assert refusal.value.status_code == 400

    endpoint.traffic = {"blue": 50, "green": 50}
    client.online_endpoints.begin_create_or_update(endpoint).result()
    answers = [post(endpoint.scoring_uri, key)[2]["azureml-model-deployment"] for _ in range(40)]
    assert set(answers) == {"blue", "green"}
    endpoint.traffic = {"blue": 100}
    client.online_endpoints.begin_create_or_update(endpoint).result()
    client.online_deployments.begin_delete("green", "numbers").result()
    with pytest.raises(ResourceNotFoundError):
        client.online_deployments.get("green", "numbers")


def test_a_deployment_is_changed(client, endpoint, assets, deploy):
    one_file = Model(path=str(assets / "model" / "one.txt"), type="custom_model")
    deploy("blue", "numbers", model=one_file, environment_variables={"NAME": "second"}).result()
    assert invoke(client, assets) == {"model": ["one.txt"], "name": "second", "sum": 6}


def test_a_failing_init(client, endpoint, assets, deploy):
    (assets / "broken").mkdir()
    (assets / "broken" / "score.py").write_text("def init():\n    raise OSError('no model')\ndef run(data): pass\n")
    with pytest.raises(HttpResponseError, match="ResourceNotReady: User container has crashed or terminated"):
        deploy("bad", "numbers", "broken").result()
    assert client.online_deployments.get("bad", "numbers").provisioning_state == "Failed"
    logs = client.online_deployments.get_logs("bad", "numbers", lines=50)
    assert "User's init function failed" in logs
    assert "OSError: no model" in logs
    with pytest.raises(HttpResponseError, match="unrecoverable state"):
        deploy("bad", "numbers")
    client.online_deployments.begin_delete("bad", "numbers").result()


def test_what_is_refused(client, endpoint, deploy):
    with pytest.raises(ResourceNotFoundError):
        client.online_endpoints.get("none")
    with pytest.raises(ResourceNotFoundError):
        deploy("blue", "none")  # no such endpoint
    for options in ({"instance_type": "Standard_XY9"}, {"instance_count": 0}, {"code_configuration": None}):
        with pytest.raises(HttpResponseError, match="Request is invalid and/or missing fields"):
            deploy("wrong", "numbers", **options)


@pytest.mark.parametrize("mode", ["aml_token", "aad_token"])
def test_tokens(client, assets, azure_emulator, mode, post):
    name = f"by-{mode.replace('_', '-')}"
    created = client.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name, auth_mode=mode)).result()
    with pytest.raises(MlException, match="No valid deployments to route to"):  # it has none, so the token is right
        invoke(client, assets, name)
    token = client.online_endpoints.get_keys(name).access_token
    assert post(created.scoring_uri, token)[0] == 404
    assert post(created.scoring_uri, token[:-5])[:1] == (401,)
    azure_emulator.advance(24 * 3600)
    assert post(created.scoring_uri, token)[1].startswith("token_auth_access_denied")
    azure_emulator.advance(-24 * 3600)


def test_an_endpoint_is_deleted(client, endpoint, azure_emulator, ask, servers_of):
    client.online_endpoints.begin_delete("numbers").result()
    assert "numbers" not in [each.name for each in client.online_endpoints.list()]
    client.online_endpoints.begin_delete("numbers").result()  # there is nothing to delete, which is no error
    assert servers_of(azure_emulator) == []
    with pytest.raises(OSError):
        ask(endpoint.scoring_uri)
    assert "numbers.westus2.inference.ml.azure.com" in azure_emulator.refused_hosts
