"""Names in any script, where the terminal's encoding has no such letters: they are escaped, and nothing fails."""

import json
import os
import pty
import subprocess

import numpy as np
import pytest
from PIL import Image

NAMES = ("猫", "🐶 dog", "naïve")
ENCODINGS = ("ascii", "cp1252")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of three classes, in a folder whose name has letters that are not in these encodings, too."""
    root = tmp_path_factory.mktemp("名前")
    for number, name in enumerate(NAMES):
        (root / "data" / name).mkdir(parents=True)
        for index in range(6):
            pixels = np.full((8, 8, 3), 80 * number + index, np.uint8)
            Image.fromarray(pixels).save(root / "data" / name / f"{name} {index}.png")
    return root


@pytest.fixture(params=ENCODINGS)
def kaz(request, kaz_process, folder):
    """A command in a process whose streams have the encoding: exit code 0 is expected, and what it prints."""

    def run(*words, **streams):
        environment = os.environ | {
            "PYTHONIOENCODING": request.param,
            "KAZ_RUNS": str(folder / "runs"),
            "NO_COLOR": "1",
        }
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
        done = subprocess.run([*kaz_process, *words], cwd=folder, env=environment, **given)
        said = (done.stderr or b"").decode(request.param)
        assert done.returncode == 0, said
        assert "Traceback" not in said
        return done.stdout.decode(request.param), said

    run.encoding = request.param
    return run


def escaped(text, encoding):
    return text.encode(encoding, "backslashreplace").decode(encoding)


def test_a_run_and_what_follows_from_it(kaz, folder):
    run = folder / f"run in {kaz.encoding}"
    settings = ("--data", "data", "--epochs", "1", "--batch-size", "4", "--metric", "f1_score", "--no-tracking")
    out, err = kaz("run", "cnn", *settings, "--output", str(run))
    assert f"Run folder     {escaped(str(run), kaz.encoding)}" in out
    assert escaped(str(folder / "data"), kaz.encoding) in err
    assert "Glyph" not in err  # Matplotlib's complaint
    assert {path.name for path in (run / "plots").iterdir()} >= {"confusion_matrix.png", "worst_mistakes.png"}

    image = folder / "data" / NAMES[0] / f"{NAMES[0]} 0.png"
    out, _ = kaz("predict", str(run), str(image), "--top", "3")
    assert out.startswith(escaped(str(image), kaz.encoding))
    assert all(escaped(name, kaz.encoding) in out for name in NAMES)
    out, _ = kaz("predict", str(run), str(image), "--top", "3", "--json")
    assert set(json.loads(out)[0]["probabilities"]) == set(NAMES)
    assert out.isascii()
    assert json.loads(out)[0]["path"] == str(image)


def test_preview_and_plan(kaz, folder):
    sheet = folder / f"猫 {kaz.encoding}.png"
    out, err = kaz("preview", "--data", "data", "--augment", "mixup", "--samples", "3", "--output", str(sheet))
    assert out == escaped(f"{sheet}\n", kaz.encoding)
    assert "Glyph" not in err
    assert sheet.exists()
    out, _ = kaz("plan", "cnn", "--data", "data", "--backend", "local", "--json")
    assert out.isascii()
    assert json.loads(out)["memory"]


def test_the_bar_in_a_terminal(kaz, folder):
    outer, inner = pty.openpty()
    try:
        settings = ("--data", "data", "--epochs", "1", "--batch-size", "4", "--no-tracking")
        kaz("run", "cnn", *settings, "--output", str(folder / f"猫 {kaz.encoding}"), stderr=inner)
    finally:
        os.close(inner)
        with os.fdopen(outer, "rb", closefd=True) as terminal:
            shown = b""
            try:
                while chunk := os.read(terminal.fileno(), 1 << 16):
                    shown += chunk
            except OSError:  # the other side is closed
                pass
    assert b"Epoch 1/1" in shown
    assert escaped(str(folder / "data"), kaz.encoding).encode(kaz.encoding) in shown.replace(b"\r\n", b"")


def test_an_error_names_what_it_is_about(kaz_process, folder):
    for encoding in ENCODINGS:
        done = subprocess.run(
            [*kaz_process, "run", "cnn", "--data", "./猫"],
            capture_output=True,
            cwd=folder,
            env=os.environ | {"PYTHONIOENCODING": encoding},
        )
        assert done.returncode == 1
        assert b"\\u732b" in done.stderr
        assert b"Traceback" not in done.stderr
