"""The HTTP service: Azure Resource Manager, Azure ML and Microsoft Entra ID, one file for each family of resources."""
