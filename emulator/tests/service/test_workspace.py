"""Signing in, the workspace, its datastores, and that nothing else can be reached."""

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError


def test_the_sdk_finds_the_workspace_and_its_datastores(client, azure_emulator):
    workspace = client.workspaces.get()
    assert workspace.name == azure_emulator.config["workspace_name"]
    assert workspace.location == "westus2"
    assert [each.name for each in client.workspaces.list()] == [workspace.name]
    assert client.datastores.get_default().name == "workspaceblobstore"
    assert {store.name for store in client.datastores.list()} == {"workspaceblobstore", "workspaceartifactstore"}
    assert azure_emulator.unknown_requests == []


def test_secrets_are_a_signature_and_no_key(client, azure_emulator, ask):
    from azure.identity import EnvironmentCredential

    token = EnvironmentCredential().get_token("https://management.azure.com/.default").token
    path = f"{azure_emulator.settings.workspace_path}/datastores/workspaceblobstore/listSecrets"
    status, body, _ = ask(
        f"https://management.azure.com{path}?api-version=2024-10-01-preview",
        b'{"expirableSecret": true, "expireAfterHours": 1}',
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    assert status == 200
    assert '"secretsType":"Sas"' in body
    assert '"sasToken":"?' in body
    assert azure_emulator.settings.account_key not in body


def test_a_datastore_of_ones_own(client, azure_emulator):
    from azure.ai.ml.entities import AccountKeyConfiguration, AzureBlobDatastore

    settings = azure_emulator.settings
    mine = AzureBlobDatastore(
        name="mine",
        account_name=settings.account_name,
        container_name="azureml",
        credentials=AccountKeyConfiguration(account_key=settings.account_key),
    )
    client.datastores.create_or_update(mine)
    assert client.datastores.get("mine").container_name == "azureml"
    client.datastores.delete("mine")
    with pytest.raises(ResourceNotFoundError):
        client.datastores.get("mine")


@pytest.mark.parametrize(
    ("variable", "code"),
    [("AZURE_CLIENT_SECRET", "AADSTS7000215"), ("AZURE_CLIENT_ID", "AADSTS700016"), ("AZURE_TENANT_ID", "AADSTS90002")],
)
def test_wrong_credentials_are_refused(azure_emulator, monkeypatch, variable, code):
    from azure.identity import EnvironmentCredential

    monkeypatch.setenv(variable, "00000000-0000-0000-0000-000000000000")
    with pytest.raises((ClientAuthenticationError, ValueError), match=f"{code}|tenant"):
        EnvironmentCredential().get_token("https://management.azure.com/.default")


def test_what_is_not_there_is_not_found(client):
    from azure.ai.ml import MLClient

    def other(**changed):
        names = {"subscription_id": client.subscription_id, "resource_group_name": client.resource_group_name}
        names |= {"workspace_name": client.workspace_name, **changed}
        return MLClient(client._credential, **names)

    for changed, code in (
        ({"workspace_name": "other"}, "ResourceNotFound"),
        ({"resource_group_name": "other"}, "ResourceGroupNotFound"),
        ({"subscription_id": "00000000-0000-0000-0000-000000000000"}, "SubscriptionNotFound"),
    ):
        with pytest.raises(HttpResponseError) as refusal:
            other(**changed).workspaces.get()
        assert refusal.value.status_code == 404
        assert refusal.value.error.code == code


def test_other_hosts_are_refused_and_noted(azure_emulator, ask):
    for address in ("https://example.org/", "https://other.blob.core.windows.net/x"):
        with pytest.raises(OSError, match="403"):
            ask(address)
    assert ask("http://example.net/page")[0] == 403
    refused = azure_emulator.refused_hosts
    assert {"example.org", "example.net", "other.blob.core.windows.net"} <= set(refused)


def test_unknown_requests_are_answered_as_azure_does_and_noted(client, azure_emulator):
    with pytest.raises(ResourceNotFoundError) as refusal:
        client.batch_endpoints.get("none")
    assert refusal.value.error.code == "InvalidResourceType"
    assert azure_emulator.unknown_requests == ["GET management.azure.com{workspace}/batchEndpoints/none"]


def test_requests_without_a_good_token_are_refused(azure_emulator, ask):
    path = azure_emulator.settings.workspace_path
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        status, _, answered = ask(f"https://management.azure.com{path}?api-version=1", headers=headers)
        assert status == 401
        assert "authorization_uri" in answered["WWW-Authenticate"]
