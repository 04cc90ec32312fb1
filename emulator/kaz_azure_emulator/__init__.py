"""An Azure ML service on this machine, for the real SDK: `with AzureEmulator() as azure: ...`. README.md says more."""

from kaz_azure_emulator.emulator import AzureEmulator

__all__ = ["AzureEmulator"]
