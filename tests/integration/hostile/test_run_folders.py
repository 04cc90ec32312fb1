"""Run folders that are damaged, of which a report is made."""

import json
import random
import shutil
import uuid
from pathlib import Path

from hypothesis import strategies as st

import keras_azure
from keras_azure.description.events import Observer
from keras_azure.errors import KerasAzureError

FILES = ("run.json", "metrics.json", "history.csv", "predictions.npz", "model.keras")
WRONG = (None, True, -1, 1e308, float("nan"), "", "\x1b[31m", "../..", [], [[]], {}, {"a": 1}, ["a"], 10**30)


def damage(run_dir: Path, seed: int) -> str:
    """Damages a file in a run folder, and says how."""
    rng = random.Random(seed)
    path = run_dir / rng.choice(FILES)
    content = path.read_bytes()
    ways = ["cut", "flip", "empty", "noise", "gone", "folder"] + ["value"] * 6 * (path.suffix == ".json")
    ways += ["cell"] * 3 * (path.suffix == ".csv")
    way = rng.choice(ways)
    match way:
        case "cut":
            path.write_bytes(content[: rng.randrange(len(content))])
        case "flip":
            changed = bytearray(content)
            for _ in range(rng.randint(1, 20)):
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
            path.write_bytes(changed)
        case "empty":
            path.write_bytes(b"")
        case "noise":
            path.write_bytes(rng.randbytes(rng.randint(1, 2000)))
        case "gone" | "folder":
            path.unlink()
            if way == "folder":
                path.mkdir()
        case "value":
            values = json.loads(content)
            place = rng.choice([*places(values)])
            holder = values
            for key in place[:-1]:
                holder = holder[key]
            if rng.random() < 0.3:
                del holder[place[-1]]
            else:
                holder[place[-1]] = rng.choice(WRONG)
            path.write_text(json.dumps(values))
        case "cell":
            lines = [line.split(",") for line in content.decode().splitlines()]
            line = rng.choice(lines)
            line[rng.randrange(len(line))] = rng.choice(["", "nan", "x", "1e999", "-5", '"', "epoch"])
            path.write_text("\n".join(map(",".join, lines)) + "\n")
    return f"{path.name}: {way}"


def places(value: object, way: tuple = ()):
    """The ways to all values within a value of JSON."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*way, key)
        yield from places(inner, (*way, key))


def test_reports_of_damaged_runs(finished, throw, tmp_path):
    def attempt(seed: int) -> None:
        folder = tmp_path / "runs" / uuid.uuid4().hex
        shutil.copytree(finished("classify"), folder)
        how = damage(folder, seed)
        try:
            assert keras_azure.report(folder, observer=Observer()) == folder / "report.html"
        except KerasAzureError as error:
            # Of what is not there somebody may have named the wrong folder.
            assert error.exit_code == 1 or how.endswith((": gone", ": folder")), f"{how}: {error!r}"
            assert "\n" not in error.problem, how
            raise

    throw(st.integers(0, 2**32), attempt)
