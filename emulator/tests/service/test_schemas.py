"""Bodies of requests: sound ones are let through, and of others every field that is wrong is named."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaz_azure_emulator.service.application import operations
from kaz_azure_emulator.service.errors import AzureError
from kaz_azure_emulator.service.schemas import checked

ENVIRONMENT = "azureml:e:1"
COMMON = {"description": "text", "tags": {"kind": "trial"}, "properties": {"one": "1"}}
TRIAL = {"command": "true", "environmentId": ENVIRONMENT}
SOUND = {
    "ComputeResource": {
        "location": "westus2",
        "tags": {"kind": "trial"},
        "identity": {"type": "SystemAssigned"},
        "properties": {
            "computeType": "AmlCompute",
            "disableLocalAuth": True,
            "properties": {
                "vmSize": "Standard_DS3_v2",
                "vmPriority": "LowPriority",
                "osType": "Linux",
                "enableNodePublicIp": True,
                "subnet": {"id": "/subscriptions/x"},
                "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 2, "nodeIdleTimeBeforeScaleDown": "PT2M"},
            },
        },
    },
    "ClusterUpdateParameters": {"properties": {"properties": {"scaleSettings": {"maxNodeCount": 3}}}},
    "Datastore": {
        "properties": {
            "datastoreType": "AzureBlob",
            "accountName": "account",
            "containerName": "container",
            "serviceDataAccessAuthIdentity": "None",
            "credentials": {"credentialsType": "AccountKey", "secrets": {"secretsType": "AccountKey", "key": "a2V5"}},
            **COMMON,
        }
    },
    "SecretExpiry": {"expirableSecret": True, "expireAfterHours": 1},
    "DataContainer": {"properties": {"dataType": "uri_file", "isArchived": True, **COMMON}},
    "DataVersionBase": {
        "properties": {"dataType": "uri_folder", "dataUri": "azureml://datastores/a/paths/b", **COMMON}
    },
    "CodeContainer": {"properties": COMMON},
    "CodeVersion": {"properties": {"codeUri": "https://a.blob.core.windows.net/b", "isAnonymous": True, **COMMON}},
    "EnvironmentContainer": {"properties": COMMON},
    "EnvironmentVersion": {
        "properties": {
            "image": "ubuntu:22.04",
            "condaFile": "dependencies: []",
            "osType": "Linux",
            "build": {"contextUri": "https://a.blob.core.windows.net/b", "dockerfilePath": "Dockerfile"},
            "inferenceConfig": {"livenessRoute": {"path": "/", "port": 80}},
            **COMMON,
        }
    },
    "ModelContainer": {"properties": COMMON},
    "ModelVersion": {
        "properties": {
            "modelUri": "a",
            "modelType": "mlflow_model",
            "flavors": {"keras": {"data": {"a": "b"}}},
            **COMMON,
        }
    },
    "ComponentContainer": {"properties": COMMON},
    "ComponentVersion": {"properties": {"componentSpec": {"name": "say"}, **COMMON}},
    "PendingUploadRequestDto": {"pendingUploadId": "1", "pendingUploadType": "TemporaryBlobReference"},
    "JobBase": {
        "properties": {
            "jobType": "Command",
            **TRIAL,
            **COMMON,
            "environmentVariables": {"GREETING": "hello"},
            "identity": {"identityType": "AMLToken"},
            "distribution": {"distributionType": "PyTorch", "processCountPerInstance": 2},
            "limits": {"jobLimitsType": "Command", "timeout": "PT1H"},
            "queueSettings": {"jobTier": "Spot"},
            "resources": {"instanceCount": 2, "shmSize": "2g", "properties": {"anything": {"at": ["all"]}}},
            "services": {"ssh": {"jobServiceType": "SSH", "nodes": {"nodesValueType": "All"}}},
            "inputs": {
                "rate": {"jobInputType": "literal", "value": "0.1"},
                "data": {"jobInputType": "uri_folder", "uri": "azureml:a:1", "mode": "ReadOnlyMount"},
            },
            "outputs": {"model": {"jobOutputType": "uri_folder", "mode": "Upload"}},
        }
    },
    "OnlineEndpoint": {
        "location": "westus2",
        "properties": {"authMode": "Key", "traffic": {"blue": 100}, "publicNetworkAccess": "Enabled"},
    },
    "OnlineDeployment": {
        "location": "westus2",
        "sku": {"name": "Default", "capacity": 1},
        "properties": {
            "endpointComputeType": "Managed",
            "model": "azureml:m:1",
            "environmentVariables": {"A": "b"},
            "codeConfiguration": {"codeId": "c", "scoringScript": "score.py"},
            "requestSettings": {"requestTimeout": "PT5S", "maxConcurrentRequestsPerInstance": 1},
            "scaleSettings": {"scaleType": "Default"},
            "livenessProbe": {"period": "PT10S", "failureThreshold": 30},
        },
    },
}
SWEEP = {
    "properties": {
        "jobType": "Sweep",
        "trial": TRIAL,
        "searchSpace": {"rate": ["choice", [[0.1, 0.2]]]},
        "samplingAlgorithm": {"samplingAlgorithmType": "Random", "rule": "Sobol", "seed": 1},
        "objective": {"primaryMetric": "loss", "goal": "Minimize"},
        "limits": {"maxTotalTrials": 3, "trialTimeout": "PT1M"},
        "earlyTermination": {"policyType": "Bandit", "slackFactor": 0.1},
    }
}
PIPELINE = {"properties": {"jobType": "Pipeline", "jobs": {"first": {"type": "command"}}, "inputs": {}}}
BODIES = [*SOUND.items(), ("JobBase", SWEEP), ("JobBase", PIPELINE)]
ANYTHING = ("componentSpec", "searchSpace", "jobs.first", "resources.properties")  # in which nothing is looked at
NOT_IN_THE_MODELS = ("secretsType", "jobLimitsType")  # which the SDK sends, and its models' fields do not have


def paths(value: Any, where: tuple = ()) -> Iterator[tuple]:
    """Every place in a body but the whole."""
    if where:
        yield where
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from paths(entry, (*where, key))


def changed(body: dict[str, Any], where: tuple, value: Any) -> dict[str, Any]:
    """A body with another value at a place; without one where it is `...`."""
    body = copy.deepcopy(body)
    *above, last = where
    place = body
    for key in above:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return body


def problems(model: str, body: Any) -> dict[str, str]:
    """The fields that are refused, and what is said of them."""
    try:
        checked(model, body)
    except AzureError as error:
        assert (error.status, error.message) == (400, "Request is invalid and/or missing fields.")
        return {detail["target"]: detail["message"] for detail in error.details}
    return {}


def test_the_table_is_that_of_the_sdk():
    from kaz_azure_emulator.schemas_from_sdk import TABLE, request_schemas, text_of

    assert TABLE.read_text(encoding="utf-8") == text_of(request_schemas()), (
        "run: python -m kaz_azure_emulator.schemas_from_sdk"
    )


def test_every_request_that_is_checked_has_a_sound_body_here():
    assert {operation.request for operation in operations() if operation.request} <= SOUND.keys()


@pytest.mark.parametrize(("model", "body"), BODIES)
def test_sound_bodies_stay_as_they_are(model, body):
    assert checked(model, copy.deepcopy(body)) == body


@pytest.mark.parametrize(
    ("model", "body", "where"), [(model, body, where) for model, body in BODIES for where in paths(body)]
)
def test_a_value_of_a_wrong_type_is_named(model, body, where):
    field = ".".join(where)
    if where[-1] in NOT_IN_THE_MODELS or any(part in f"{field}." for part in ANYTHING):
        return
    assert field in problems(model, changed(body, where, [[]]))


@pytest.mark.parametrize(
    ("model", "body", "where"),
    [
        ("ComputeResource", SOUND["ComputeResource"], "properties.computeType"),
        ("ComputeResource", SOUND["ComputeResource"], "properties.properties.scaleSettings.maxNodeCount"),
        ("Datastore", SOUND["Datastore"], "properties"),
        ("Datastore", SOUND["Datastore"], "properties.credentials"),
        ("Datastore", SOUND["Datastore"], "properties.credentials.secrets"),
        ("DataContainer", SOUND["DataContainer"], "properties.dataType"),
        ("DataVersionBase", SOUND["DataVersionBase"], "properties.dataType"),
        ("DataVersionBase", SOUND["DataVersionBase"], "properties.dataUri"),
        ("EnvironmentVersion", SOUND["EnvironmentVersion"], "properties.build.contextUri"),
        ("JobBase", SOUND["JobBase"], "properties.command"),
        ("JobBase", SOUND["JobBase"], "properties.environmentId"),
        ("JobBase", SOUND["JobBase"], "properties.inputs.data.uri"),
        ("JobBase", SOUND["JobBase"], "properties.inputs.rate.value"),
        ("JobBase", SOUND["JobBase"], "properties.outputs.model.jobOutputType"),
        ("JobBase", SWEEP, "properties.trial"),
        ("JobBase", SWEEP, "properties.trial.command"),
        ("JobBase", SWEEP, "properties.searchSpace"),
        ("JobBase", SWEEP, "properties.objective.primaryMetric"),
        ("OnlineEndpoint", SOUND["OnlineEndpoint"], "location"),
        ("OnlineDeployment", SOUND["OnlineDeployment"], "properties.endpointComputeType"),
    ],
)
@pytest.mark.parametrize("value", [..., None, " "])
def test_what_is_required(model, body, where, value):
    found = problems(model, changed(body, tuple(where.split(".")), value))
    assert found[where] == f"The {where.rpartition('.')[2]} field is required."


@pytest.mark.parametrize(
    ("model", "body", "where", "value"),
    [
        ("ComputeResource", SOUND["ComputeResource"], "properties.computeType", "Abacus"),
        ("ComputeResource", SOUND["ComputeResource"], "properties.properties.vmPriority", "High"),
        ("ComputeResource", SOUND["ComputeResource"], "properties.properties.scaleSettings.maxNodeCount", True),
        ("ComputeResource", SOUND["ComputeResource"], "properties.properties.scaleSettings.maxNodeCount", 1.5),
        (
            "ComputeResource",
            SOUND["ComputeResource"],
            "properties.properties.scaleSettings.nodeIdleTimeBeforeScaleDown",
            "2 minutes",
        ),
        ("ComputeResource", SOUND["ComputeResource"], "properties.disableLocalAuth", 1),
        ("Datastore", SOUND["Datastore"], "properties.credentials.credentialsType", "Password"),
        ("DataVersionBase", SOUND["DataVersionBase"], "properties.dataType", "folder"),
        ("JobBase", SOUND["JobBase"], "properties.jobType", "Labour"),
        ("JobBase", SOUND["JobBase"], "properties.distribution.distributionType", "Ray"),
        ("JobBase", SOUND["JobBase"], "properties.inputs.data.mode", "Upload"),
        ("JobBase", SOUND["JobBase"], "properties.outputs.model.mode", "Download"),
        ("JobBase", SOUND["JobBase"], "properties.limits.timeout", "1h"),
        ("JobBase", SOUND["JobBase"], "properties.resources.shmSize", "two"),
        ("JobBase", SWEEP, "properties.objective.goal", "Best"),
        ("JobBase", SWEEP, "properties.samplingAlgorithm.samplingAlgorithmType", "Sobol"),
        ("OnlineEndpoint", SOUND["OnlineEndpoint"], "properties.authMode", "Password"),
    ],
)
def test_values_that_mean_nothing(model, body, where, value):
    assert problems(model, changed(body, tuple(where.split(".")), value)).keys() == {where}


def test_all_that_is_wrong_is_told_at_once():
    body = {"properties": {"jobType": "Command", "inputs": {"x": {"jobInputType": "uri_file"}}, "tags": 1}}
    expected = {"properties.command", "properties.environmentId", "properties.inputs.x.uri", "properties.tags"}
    assert problems("JobBase", body).keys() == expected


def test_names_may_be_spelled_in_any_case_and_come_back_as_azure_spells_them():
    body = changed(SWEEP, ("properties", "objective", "goal"), "minimize")
    assert checked("JobBase", changed(body, ("properties", "jobType"), "sweep")) == SWEEP


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("properties", "colour"), "red"),  # unknown fields
        (("properties", "status"), 5),  # what only Azure writes
        (("properties", "tags"), {"epochs": 3, "fast": True, "note": None}),  # as the SDK sends it
        (("properties", "environmentVariables"), {"EPOCHS": 3}),
        (("properties", "queueSettings", "jobTier"), "Platinum"),  # a value that Azure may know before the SDK does
        (("properties", "distribution"), None),
    ],
)
def test_what_is_let_through(where, value):
    body = changed(SOUND["JobBase"], where, value)
    assert checked("JobBase", copy.deepcopy(body)) == body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(BODIES).flatmap(lambda pair: st.tuples(st.just(pair), st.sampled_from([*paths(pair[1])]))), JSON)
def test_whatever_comes_is_accepted_or_refused(chosen, value):
    (model, body), where = chosen
    given = changed(body, where, value)
    found = problems(model, given)
    # What is wrong is where the change is, or beside it: a kind that is changed asks for other fields.
    beside = ".".join(where[:-1])
    assert all(field.startswith(beside) or beside.startswith(field) for field in found)
    assert all(found.values())  # each with words
    for sent in () if found else (given,):
        kept = checked(model, sent)
        assert json.dumps(kept).lower() == json.dumps(sent).lower()  # as it came, but for the case of enums
        assert checked(model, kept) == kept
    assert isinstance(value, dict | None) or problems(model, value).keys() == {""}  # which is no body at all


@pytest.fixture(scope="module")
def put(azure_emulator, ask):
    """Sends a body to a path below the workspace; gives the status and the answer."""
    from azure.identity import EnvironmentCredential

    token = EnvironmentCredential().get_token("https://management.azure.com/.default").token

    def send(path: str, body: Any, method: str = "PUT") -> tuple[int, dict[str, Any]]:
        address = f"https://management.azure.com{azure_emulator.settings.workspace_path}/{path}?api-version=1"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        status, text, _ = ask(address, json.dumps(body).encode(), headers, method)
        return status, json.loads(text)

    return send


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("computes/gpu", {"properties": {"computeType": "Abacus"}}, "properties.computeType"),
        ("computes/gpu", {}, "properties.computeType"),
        ("datastores/mine", {"properties": {"datastoreType": "AzureBlob"}}, "properties.credentials"),
        ("data/mnist", {"properties": {}}, "properties.dataType"),
        ("data/mnist/versions/1", {"properties": {"dataType": "uri_file"}}, "properties.dataUri"),
        ("codes/mine/versions/1", {"properties": {"codeUri": 1}}, "properties.codeUri"),
        ("codes/mine/versions/1", {"properties": {}}, "properties.codeUri"),
        ("environments/small/versions/1", {"properties": {"image": "a", "osType": "BeOS"}}, "properties.osType"),
        (
            "models/net/versions/1",
            {"properties": {"modelUri": "a", "flavors": {"keras": 1}}},
            "properties.flavors.keras",
        ),
        ("components/say/versions/1", {}, "properties"),
        ("jobs/one", {"properties": {"jobType": "Command", "environmentId": "e"}}, "properties.command"),
        ("jobs/one", PIPELINE, "properties.jobType"),
        ("jobs/one", [], ""),
    ],
)
def test_over_http(put, path, body, field):
    status, answer = put(path, body)
    assert (status, answer["error"]["code"]) == (400, "UserError")
    assert answer["error"]["message"] == "Request is invalid and/or missing fields."
    assert field in [detail["target"] for detail in answer["error"]["details"]]


def test_unknown_fields_are_given_back(put):
    body = changed(SOUND["DataVersionBase"], ("properties", "colour"), "red")
    assert put("data/colours/versions/1", body)[1]["properties"]["colour"] == "red"


def test_a_cluster_is_scaled(put):
    assert put("computes/cpu", SOUND["ComputeResource"])[0] == 201
    status, answer = put("computes/cpu", SOUND["ClusterUpdateParameters"], "PATCH")
    assert (status, answer["properties"]["properties"]["scaleSettings"]["maxNodeCount"]) == (200, 3)
    assert put("computes/cpu", {"properties": {"properties": {"scaleSettings": {}}}}, "PATCH")[0] == 400
