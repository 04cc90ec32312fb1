"""`python -m kaz_azure_emulator`: the command, where it is not on the PATH."""

from kaz_azure_emulator.command import main

main()
