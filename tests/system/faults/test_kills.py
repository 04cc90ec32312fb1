"""Runs that are killed with SIGKILL, at any moment and in every place, go on to the end that they would have had.

`pytest tests/system/faults --kills 100` kills a hundred runs at random; without it two are, in every place.
"""

import contextlib
import random
import signal
import sys
import time
from pathlib import Path

import pytest

SMALL = "cnn(filters=(4, 8), dense=(16,), dropout=0.3)"
COMMON = ("--batch-size", "64", "--epochs", "3", "--checkpoint-every", "7steps")
VARIANTS = {
    "dropout": (SMALL, *COMMON),
    "augmented": (SMALL, *COMMON, "--augment", "chapter", "--augment", "mixup", "--keep", "best"),
    "endless": (SMALL, *COMMON, "--steps-per-epoch", "17", "--optimizer", "sgd(momentum=0.9)", "--schedule", "cosine"),
    "early": (SMALL, *COMMON, "--early-stopping", "1", "--learning-rate", "0.05", "--standardize", "featurewise"),
    "no-validation": (SMALL, *COMMON, "--validation-split", "0", "--metric", "auc", "--class-weights", "balanced"),
    "staged": (
        *("transfer", "--set", "backbone=encoder", "--set", "weights={encoder}", "--set", "head=mlp(units=8)"),
        *("--batch-size", "64", "--epochs", "2", "--fine-tune", "blocks=1,epochs=2;blocks=2,epochs=1"),
        *("--checkpoint-every", "7steps", "--augment", "flip"),
    ),
    "staged-features": (
        *("transfer", "--set", "backbone=encoder", "--set", "weights={encoder}", "--set", "head=mlp(units=8)"),
        *("--batch-size", "64", "--epochs", "2", "--fine-tune", "blocks=1,epochs=2", "--checkpoint-every", "7steps"),
    ),
}
# How often a run comes to each place, roughly: a kill is drawn among so many times.
PLACES = {
    "in the step": 55,
    "in evaluation": 6,
    "in the test": 5,
    "in the middle of a write": 8,
    "before a rename": 14,
    "after a rename": 14,
    "while old checkpoints go": 5,
    "in tracking": 14,
    "after tracking": 6,
    "while the model is saved": 1,
}
# One after another in one run: where it is killed, and at the how many-eth time since it went on. What comes after a
# kill in tracking must come in any run, as small ones may have all their steps behind them when MLflow is ready.
CHAINS = {
    "augmented": [
        *(("in the step", 10), ("in the middle of a write", 1), ("in evaluation", 1), ("in the step", 12)),
        *(("in tracking", 1), ("while the model is saved", 1), ("in the test", 3), ("after tracking", 2)),
    ],
    "staged": [
        *(("before a rename", 4), ("in the step", 30), ("while old checkpoints go", 1), ("after a rename", 3)),
        *(("in the middle of a write", 2), ("after tracking", 1), ("in tracking", 4), ("in tracking", 12)),
    ],
}


@pytest.fixture(scope="session")
def encoder(runs) -> Path:
    folder = runs.folder / "encoder"
    arguments = (
        "run",
        "autoencoder",
        "--set",
        "filters=(4, 8)",
        "--set",
        "dense=(8,)",
        "--epochs",
        "1",
        "--no-tracking",
    )
    code = runs.run(*arguments, "--output", str(folder), output=runs.folder / "encoder.txt")
    assert code == 0, (runs.folder / "encoder.txt").read_text()
    return folder


@pytest.fixture(scope="session")
def uninterrupted(runs, encoder: Path):
    """The outcome of a variant that nobody interrupts, and how many seconds it takes."""
    known: dict = {}

    def outcome(variant: str) -> tuple:
        if variant not in known:
            folder, started = runs.folder / f"whole-{variant}", time.monotonic()
            output = runs.folder / f"whole-{variant}.txt"
            assert runs.run(*command(variant, encoder, folder), output=output) == 0, output.read_text()
            known[variant] = runs.outcome(folder), time.monotonic() - started
        return known[variant]

    return outcome


def command(variant: str, encoder: Path, folder: Path) -> list[str]:
    return ["run", *(part.replace("{encoder}", str(encoder)) for part in VARIANTS[variant]), "--output", str(folder)]


def go_on_to_the_end(runs, variant: str, encoder: Path, folder: Path, output: Path) -> None:
    """The same command again, which goes on with what is there."""
    before = runs.reached(folder)
    code = runs.run(*command(variant, encoder, folder), output=output)
    assert code == 0, output.read_text()
    assert runs.began_after(output) == before


@pytest.mark.slow
@pytest.mark.parametrize("variant", CHAINS)
def test_a_run_that_is_killed_again_and_again_comes_to_the_same_end(runs, encoder, uninterrupted, tmp_path, variant):
    whole, _ = uninterrupted(variant)
    folder = tmp_path / variant
    for number, (place, times) in enumerate(CHAINS[variant]):
        before, output = runs.reached(folder), tmp_path / f"{number}.txt"
        code = runs.run(*command(variant, encoder, folder), output=output, place=place, time=times)
        assert code == -signal.SIGKILL, f"not killed {place}: {output.read_text()}"
        assert runs.began_after(output) in (before, None)  # no step before the newest checkpoint is done again
    go_on_to_the_end(runs, variant, encoder, folder, tmp_path / "output.txt")
    assert runs.outcome(folder) == whole


def test_runs_that_are_killed_at_random_go_on_to_the_same_end(runs, encoder, uninterrupted, tmp_path, request, capsys):
    kills = request.config.getoption("--kills")
    if not kills:
        pytest.skip("a hundred kills take twenty minutes: --kills 100")
    tally = {"finished runs": 0, "identical": 0, "kills": 0, "kills that came too late": 0}
    for number in range(kills):
        rng = random.Random(number)
        variant = rng.choice(list(VARIANTS))
        whole, seconds = uninterrupted(variant)
        folder = tmp_path / f"run-{number}"
        for attempt in range(rng.choice((1, 1, 1, 2, 3))):
            output = tmp_path / f"run-{number}-{attempt}.txt"
            before = runs.reached(folder) if folder.exists() else (0, 0)
            killed = kill_somewhere(runs, rng, command(variant, encoder, folder), seconds, output)
            tally["kills" if killed else "kills that came too late"] += 1
            if "steps of" in output.read_text():
                assert runs.began_after(output) == before
            if not killed:
                break
        else:
            go_on_to_the_end(runs, variant, encoder, folder, tmp_path / f"run-{number}.txt")
        tally["finished runs"] += 1
        outcome = runs.outcome(folder)
        tally["identical"] += outcome == whole
        assert outcome == whole, f"run {number}, {variant}, differs"
    with capsys.disabled():
        sys.stdout.write(f"\n{tally}\n")
    assert tally["identical"] == kills


def kill_somewhere(runs, rng: random.Random, arguments: list[str], seconds: float, output: Path) -> bool:
    """Kills at a random time, or in a random place; whether the run was not finished by then."""
    if rng.random() < 0.5:
        place = rng.choice(list(PLACES))
        return runs.run(*arguments, output=output, place=place, time=rng.randint(1, PLACES[place])) != 0
    process = runs.start(*arguments, output=output)
    process.join(rng.uniform(0, seconds))
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.join()
    return process.exitcode != 0
