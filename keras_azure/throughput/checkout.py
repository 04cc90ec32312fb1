"""The plugins of a source checkout that is not installed, so that the script runs on any machine as it is.

A package's metadata is what tells its plugins. A checkout has none; it is made from setup.cfg, as pip would, in a
folder of its own for this process.
"""

import atexit
import shutil
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path

from keras_azure.registry.registry import MODELS

_CHECKOUT = Path(__file__).resolve().parents[2]


def make_plugins_known() -> None:
    """Lets the registries find the first-party plugins, if no installed package has them."""
    description = _CHECKOUT / "setup.cfg"
    if not description.is_file():
        return
    setup = ConfigParser(delimiters="=", interpolation=None)
    setup.optionxform = str  # type: ignore[assignment, method-assign]  # as ConfigParser's page says
    setup.read(description, encoding="utf-8")
    name, version = setup["metadata"]["name"], setup["metadata"]["version"]
    if any(entry.package == name for entry in MODELS.entries()):
        return
    site = Path(tempfile.mkdtemp(prefix="kaz-plugins-"))
    atexit.register(shutil.rmtree, site, ignore_errors=True)
    information = site / f"{name.replace('-', '_')}-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = (f"[{group}]{lines}\n" for group, lines in setup["options.entry_points"].items())
    (information / "entry_points.txt").write_text("\n".join(groups), encoding="utf-8")
    sys.path += [str(_CHECKOUT / "plugins"), str(site)]
