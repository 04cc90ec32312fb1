"""The workspace itself, and the description of the public cloud."""

from kaz_azure_emulator.service.operations import GROUP, WORKSPACE, Call, Family
from kaz_azure_emulator.service.wire import system_data
from kaz_azure_emulator.settings import IDENTITY_HOST, MANAGEMENT_HOST, PROVIDER

workspaces = Family("workspaces", WORKSPACE)
group = Family("workspaces", GROUP)
cloud = Family("cloud")
FAMILIES = (workspaces, group, cloud)


@workspaces.operation("get", "GET")
def get(call: Call):
    return _resource(call)


@group.operation("list", "GET", f"/providers/{PROVIDER}/workspaces", pages=True)
def list_workspaces(call: Call):
    return {"value": [_resource(call)]}


@group.operation("resource_group", "GET")
def resource_group(call: Call):
    settings = call.cloud.settings
    return {
        "id": settings.group_path,
        "name": settings.resource_group,
        "type": "Microsoft.Resources/resourceGroups",
        "location": settings.location,
        "properties": {"provisioningState": "Succeeded"},
    }


@cloud.operation("endpoints", "GET", "/metadata/endpoints", anonymous=True)
def endpoints(call: Call):
    """What azureml-mlflow asks outside of jobs to find out which clouds there are."""
    return [
        {
            "name": "AzureCloud",
            "portal": "https://portal.azure.com",
            "authentication": {
                "loginEndpoint": f"https://{IDENTITY_HOST}/",
                "audiences": ["https://management.core.windows.net/", f"https://{MANAGEMENT_HOST}/"],
                "tenant": "common",
                "identityProvider": "AAD",
            },
            "resourceManager": f"https://{MANAGEMENT_HOST}/",
            "graph": "https://graph.windows.net/",
            "graphAudience": "https://graph.windows.net/",
            "batch": "https://batch.core.windows.net/",
            "media": "https://rest.media.azure.net",
            "sqlManagement": "https://management.core.windows.net:8443/",
            "vmImageAliasDoc": "https://raw.githubusercontent.com/Azure/azure-rest-api-specs/master/arm-compute/quickstart-templates/aliases.json",
            "activeDirectoryDataLake": "https://datalake.azure.net/",
            "gallery": "https://gallery.azure.com/",
            "suffixes": {
                "storage": "core.windows.net",
                "keyVaultDns": "vault.azure.net",
                "sqlServerHostname": "database.windows.net",
                "acrLoginServer": "azurecr.io",
                "azureDataLakeStoreFileSystem": "azuredatalakestore.net",
                "azureDataLakeAnalyticsCatalogAndJob": "azuredatalakeanalytics.net",
            },
        }
    ]


def _resource(call: Call):
    settings = call.cloud.settings
    api, group_path = settings.api_host, settings.group_path
    return {
        "id": settings.workspace_path,
        "name": settings.workspace_name,
        "type": f"{PROVIDER}/workspaces",
        "location": settings.location,
        "tags": {},
        "kind": "Default",
        "sku": {"name": "Basic", "tier": "Basic"},
        "identity": {"type": "SystemAssigned", "principalId": settings.object_id, "tenantId": settings.tenant_id},
        "systemData": system_data(settings, call.cloud.clock, call.cloud.created),
        "properties": {
            "friendlyName": settings.workspace_name,
            "description": "",
            "workspaceId": settings.workspace_id,
            "tenantId": settings.tenant_id,
            "provisioningState": "Succeeded",
            "discoveryUrl": f"https://{api}/discovery",
            "mlFlowTrackingUri": settings.tracking_uri,
            "notebookInfo": None,
            "storageAccount": f"{group_path}/providers/Microsoft.Storage/storageAccounts/{settings.account_name}",
            "keyVault": f"{group_path}/providers/Microsoft.Keyvault/vaults/{settings.account_name}",
            "applicationInsights": f"{group_path}/providers/Microsoft.insights/components/{settings.account_name}",
            "containerRegistry": None,
            "hbiWorkspace": False,
            "publicNetworkAccess": "Enabled",
            "v1LegacyMode": False,
            "systemDatastoresAuthMode": "accessKey",
        },
    }
