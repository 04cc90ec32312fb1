"""Long lists come in pages, through which the real SDK and MLflow walk."""

import pytest
from azure.ai.ml import command
from azure.ai.ml.entities import AmlCompute, Data, Environment


@pytest.fixture(scope="module", autouse=True)
def _short_pages(azure_emulator):
    azure_emulator.set_page_size(2)


@pytest.fixture
def pages(azure_emulator, monkeypatch):
    """Counts the pages that are asked for by their `nextLink`."""
    from azure.core.pipeline.transport import RequestsTransport

    asked = []
    send = RequestsTransport.send

    def counted(self, request, **options):
        if "skip=" in request.url:
            asked.append(request.url)
        return send(self, request, **options)

    monkeypatch.setattr(RequestsTransport, "send", counted)
    return asked


def test_versions_and_their_containers(client, pages):
    for number in range(5):
        path = "azureml://datastores/workspaceblobstore/paths/x"
        client.data.create_or_update(Data(name="numbers", version=str(number), path=path, type="uri_file"))
        client.data.create_or_update(Data(name=f"number-{number}", version="1", path=path, type="uri_file"))
    assert [each.version for each in client.data.list("numbers")] == ["4", "3", "2", "1", "0"]
    assert len(pages) == 2
    assert {each.name for each in client.data.list()} == {"numbers", *(f"number-{number}" for number in range(5))}
    assert len(pages) == 4
    assert client.data.get("numbers", label="latest").version == "4"


def test_computes_usages_and_datastores(client, azure_emulator, pages):
    for name in ("one", "two", "three"):
        client.compute.begin_create_or_update(AmlCompute(name=name, size="Standard_DS3_v2", max_instances=1)).result()
    assert [each.name for each in client.compute.list()] == ["one", "two", "three"]
    assert len(pages) == 1
    usages = [usage.name["value"] for usage in client.compute.list_usage()]
    assert len(set(usages)) == len(usages) > 4
    pages.clear()
    azure_emulator.set_page_size(1)
    assert len(list(client.datastores.list())) == 2
    assert len(pages) == 1
    azure_emulator.set_page_size(2)
    assert client.datastores.get_default().name == "workspaceblobstore"


def test_jobs(client, pages, wait_for_job):
    def submit():
        environment = Environment(image="ubuntu:22.04")
        return client.jobs.create_or_update(command(command="true", environment=environment, compute="one")).name

    names = [submit() for _ in range(3)]
    assert [job.name for job in client.jobs.list()] == names[::-1]
    assert len(pages) == 1
    for name in names:
        wait_for_job(client, name, "Completed")


def test_artifacts(azure_emulator):
    import mlflow

    mlflow.set_tracking_uri(azure_emulator.settings.tracking_uri)
    client = mlflow.MlflowClient()
    run = client.create_run(client.create_experiment("pages"))
    for number in range(5):
        client.log_text(run.info.run_id, str(number), f"{number}.txt")
    assert [each.path for each in client.list_artifacts(run.info.run_id)] == [f"{number}.txt" for number in range(5)]


def test_a_link_that_nobody_gave(client, azure_emulator, ask):
    token = client._credential.get_token("https://management.azure.com/.default").token
    address = f"https://management.azure.com{azure_emulator.settings.workspace_path}/computes?api-version=1&$skip=x"
    assert ask(address, headers={"Authorization": f"Bearer {token}"})[0] == 400
