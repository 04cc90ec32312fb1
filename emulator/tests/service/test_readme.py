"""What the README shows works, and its table names every operation and nothing else."""

import itertools
import re
import shutil
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def names_of(cell: str) -> set[str]:
    """The operations that a cell names: `{data,code}.get` are two."""
    names = set()
    for name in re.findall(r"`([^`]+)`", cell):
        parts = [part.strip("{}").split(",") for part in re.findall(r"\{[^}]*\}|[^{}]+", name)]
        names |= {"".join(chosen) for chosen in itertools.product(*parts)}
    return names


def test_the_table_of_operations_is_complete():
    from kaz_azure_emulator.service.application import operations

    table = README.read_text(encoding="utf-8").partition("## Operations")[2]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    documented = set().union(*map(names_of, rows))
    assert documented == {operation.name for operation in operations() if not operation.name.startswith("control.")}


def test_the_quick_start_works(azure_emulator, tmp_path):
    code = re.search(r"```python\n(from azure.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[1]
    shutil.copy(azure_emulator.state_folder / "config.json", tmp_path)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Execution Summary" in done.stdout
    assert (tmp_path / "here/artifacts/user_logs/std_log.txt").read_text() == "hello\n"
    assert azure_emulator.refused_hosts == []
    assert azure_emulator.unknown_requests == []
