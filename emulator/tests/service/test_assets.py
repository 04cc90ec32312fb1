"""Data, models, environments and components: with real uploads to real blob storage."""

import pytest
from azure.ai.ml import command, load_component
from azure.ai.ml.entities import BuildContext, Data, Environment, Model
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContainerClient


def test_data_is_uploaded_and_found_again(client, azure_emulator, folder):
    created = client.data.create_or_update(Data(name="mnist", version="1", path=str(folder), type="uri_folder"))
    found = client.data.get("mnist", version="1")
    assert found.path == created.path
    # As recorded: the long form, with a slash at a folder's end
    settings = azure_emulator.settings
    assert found.path.startswith(f"azureml://subscriptions/{settings.subscription_id}/resourcegroups/")
    assert found.path.endswith("/data/")

    container = ContainerClient(
        f"https://{settings.blob_host}", f"azureml-blobstore-{settings.workspace_id}", credential=settings.account_key
    )
    prefix = found.path.partition("/paths/")[2]
    names = {name.removeprefix(prefix) for name in container.list_blob_names(name_starts_with=prefix)}
    assert names == {"one.txt", "deep/two.txt"}


def test_versions_follow_one_another_and_keep_what_they_are(client, folder):
    for _ in range(2):
        client.data.create_or_update(Data(name="numbers", path=str(folder), type="uri_folder"))
    versions = [each.version for each in client.data.list("numbers")]
    assert versions == ["2", "1"]  # newest first
    assert client.data.get("numbers", label="latest").version == "2"
    (folder / "three.txt").write_text("three")
    with pytest.raises((ResourceExistsError, HttpResponseError)):
        client.data.create_or_update(Data(name="numbers", version="2", path=str(folder), type="uri_folder"))
    client.data.archive("numbers", version="1")
    assert [each.version for each in client.data.list("numbers")] == ["2"]


def test_a_model_is_registered_and_downloaded(client, tmp_path, folder):
    created = client.models.create_or_update(Model(name="net", path=str(folder), type="custom_model"))
    assert created.version == "1"
    client.models.download("net", "1", download_path=tmp_path / "back")
    assert next((tmp_path / "back").rglob("two.txt")).read_text() == "two"
    assert client.models.create_or_update(Model(name="net", path=str(folder), type="custom_model")).version == "2"


def test_environments(client, tmp_path):
    conda = tmp_path / "conda.yml"
    conda.write_text("name: small\ndependencies:\n  - python=3.11\n")
    client.environments.create_or_update(Environment(name="small", image="ubuntu:22.04", conda_file=conda, version="1"))
    found = client.environments.get("small", version="1")
    assert found.image == "ubuntu:22.04"
    assert found.conda_file["dependencies"] == ["python=3.11"]
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text("FROM ubuntu:22.04\n")
    built = Environment(name="built", version="1", build=BuildContext(path=str(tmp_path / "context")))
    assert client.environments.create_or_update(built).build.path.startswith("https://")
    with pytest.raises(ResourceNotFoundError):
        client.environments.get("small", version="7")


def test_components(client, tmp_path):
    file = tmp_path / "component.yml"
    file.write_text(
        "$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json\n"
        "name: say\nversion: '1'\ntype: command\ncommand: echo hello\nenvironment:\n  image: ubuntu:22.04\n"
    )
    client.components.create_or_update(load_component(file))
    assert client.components.get("say", version="1").command == "echo hello"


def test_the_same_code_is_uploaded_once(client, cluster, folder, azure_emulator):
    def submit():
        job = command(
            code=str(folder), command="cat one.txt", environment=Environment(image="ubuntu:22.04"), compute=cluster
        )
        return client.jobs.create_or_update(job).code

    assert submit() == submit()
    assert azure_emulator.unknown_requests == []
