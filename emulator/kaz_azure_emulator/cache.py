"""Where installed programs and environments are kept, for all emulators of this user."""

import os
from pathlib import Path

CACHE_VARIABLE = "KAZ_AZURE_EMULATOR_CACHE"


def cache_folder() -> Path:
    """The folder that the variable names, or one in the user's folder for caches; made if it is not there."""
    import platformdirs

    chosen = os.environ.get(CACHE_VARIABLE)
    folder = Path(chosen) if chosen else platformdirs.user_cache_path("kaz-azure-emulator", appauthor=False)
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder
