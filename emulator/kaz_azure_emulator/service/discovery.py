"""Where the workspace's data-plane services are."""

from kaz_azure_emulator.service.operations import API_HOST, Call, Family

discovery = Family("discovery", host=API_HOST)
FAMILIES = (discovery,)


@discovery.operation("get", "GET", "/discovery", anonymous=True)
@discovery.operation("get", "GET", "/discovery/workspaces/{workspace_id}", anonymous=True)
def get(call: Call):
    api = f"https://{call.cloud.settings.api_host}"
    names = ("api", "catalog", "experimentation", "history", "hyperdrive", "inferencing", "mlflow", "modelmanagement")
    return {**dict.fromkeys(names, api), "studio": "https://ml.azure.com"}
