"""What `tests/unit/conftest.py` holds the unit tests to, when they run alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[1] / "unit"
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]


def test_no_module_of_the_unit_tests_loads_anything_heavy():
    done = subprocess.run([*PYTEST, "--collect-only", str(UNIT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("import mlflow\n\ndef test(): pass", "a module in tests/unit loads mlflow on import"),
        ("def test():\n    import mlflow", "this test loads mlflow"),
        ("def test(azure_emulator): pass", "an emulator's place is tests/system"),
        ("def test(): import json", None),
    ],
)
def test_what_loads_something_heavy_is_found(tmp_path, content, told):
    shutil.copy(UNIT / "conftest.py", tmp_path)
    (tmp_path / "test_planted.py").write_text(content)
    done = subprocess.run([*PYTEST, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode == 0) is (told is None), done.stdout
    assert (told or "1 passed") in done.stdout + done.stderr
