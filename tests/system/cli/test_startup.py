"""What must start quickly loads nothing heavy; told by the modules that are loaded, because clocks differ."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

OLD_RUNS = Path(__file__).parents[2] / "integration" / "old_runs"
HEAVY = {"tensorflow", "keras", "mlflow", "azure", "sklearn", "matplotlib", "jax", "numpy", "numba", "scipy"}

RUN = """
import json, sys
arguments = json.loads(sys.argv[1])
if arguments is None:
    import keras_azure
else:
    from keras_azure.cli import main
    sys.argv = ["kaz", *arguments]
    try:
        main()
    except SystemExit as stopped:
        assert not stopped.code, stopped.code
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        None,
        ["--help"],
        ["list"],
        ["list", "models", "--json"],
        ["run", "--help"],
        ["check", "--help"],
        ["new", "--help"],
        ["preview", "--help"],
        ["predict", "--help"],
        ["explain", "--help"],
        ["cache", "--help"],
        ["list", "augmentations"],
        ["sizes"],
        ["sizes", "nc6", "--json"],
        ["plan", "--help"],
        ["jobs", "--help"],
        ["jobs", "list", "--help"],
        ["doctor", "--help"],
        ["init", "--help"],
        ["bench", "--help"],
        ["runs", "--help"],
        ["compare", "--help"],
        ["runs", str(OLD_RUNS)],
    ],
    ids=lambda arguments: "import" if arguments is None else " ".join(arguments),
)
def test_nothing_heavy_is_loaded(arguments):
    command = [sys.executable, "-c", RUN, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert "keras_azure" in loaded
    assert not loaded & HEAVY
