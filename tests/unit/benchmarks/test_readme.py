"""README's tables from the JSON of a run of the benchmarks."""

import importlib.util
import json
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
MACHINE = {
    "date": "2026-01-02T03:04:05+00:00",
    "processor": "A Processor",
    "processors": 2,
    "memory_gib": 15.6,
    "os": "An OS 12",
    "python": "3.11.9",
    "packages": {"tensorflow": "2.20.0", "keras": "3.13.0", "jax": None, "numpy": "2.1.0"},
}


@pytest.fixture(scope="module")
def readme():
    """The script, which is no part of the package."""
    specification = importlib.util.spec_from_file_location("readme", REPOSITORY / "benchmarks" / "readme.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def benchmark(topic: str, group: str, candidate: str, *, ours: bool = False, **numbers: float) -> dict:
    return {"group": group, "extra_info": {"topic": topic, "candidate": candidate, "ours": ours, **numbers}}


def results(*benchmarks: dict) -> dict:
    return {"machine_info": {"described": MACHINE}, "benchmarks": list(benchmarks)}


MEASURED = results(
    benchmark("whole_run", "training cnn, 28x28x1, batches of 16", "kaz run", ours=True, images_per_second=4000),
    benchmark("whole_run", "training cnn, 28x28x1, batches of 16", "fit on arrays", images_per_second=3200),
    benchmark("whole_run", "training cnn, 28x28x1, batches of 128", "kaz run", ours=True, images_per_second=12345),
    benchmark("whole_run", "training cnn, 28x28x1, batches of 128", "fit on arrays", images_per_second=1000),
    benchmark("whole_run", "training cnn, chapter, batches of 16", "kaz run", ours=True, images_per_second=3000),
    benchmark("whole_run", "training cnn, chapter, batches of 16", "the chapter's loop", images_per_second=2000),
    benchmark("training_step", "cnn, batches of 16", "TensorFlow", ours=True, images_per_second=5000),
    benchmark("training_step", "cnn, batches of 16", "JAX", images_per_second=2500),
    benchmark("start", "start", "first step", seconds=3.14159),
    benchmark("input_pipeline", "plain", "ours", ours=True, images_per_second=300),
    benchmark("input_pipeline", "plain", "a peer", images_per_second=100),
    benchmark("photographs", "first epoch", "ours, in memory", ours=True, images_per_second=50),
    benchmark("photographs", "first epoch", "another", images_per_second=100),
    {"group": None, "extra_info": {}},  # somebody else's benchmark
)


def test_the_tables_take_the_place_of_what_was_there(readme, tmp_path):
    page, numbers = tmp_path / "README.md", tmp_path / "results.json"
    page.write_text(f"before\n\n{readme.BEGIN}\nold\n{readme.END}\n\nbehind\n")
    numbers.write_text(json.dumps(MEASURED))
    readme.main([str(numbers), str(page)])
    text = page.read_text()
    assert text.startswith(f"before\n\n{readme.BEGIN}\n\nMeasured on 2026-01-02")
    assert text.endswith(f"{readme.END}\n\nbehind\n")
    assert "\nold\n" not in text
    assert "A Processor, 2 cores, 16 GiB of memory, An OS 12, Python 3.11.9, tensorflow 2.20.0, keras 3.13.0, " in text
    assert "jax " not in text  # it is not installed
    lines = text.splitlines()
    assert "| batch size | images/s | fit on arrays |" in lines
    assert "| 16 | 4,000 | 1.25 |" in lines
    assert "| 128 | 12,345 | 12 |" in lines
    assert "With the recipe `chapter`, batches of 16: 1.50 times as fast as the chapter's loop." in lines
    assert "| cnn, batches of 16 | 5,000 | 2,500 |" in lines
    assert "| first step | 3.14 s |" in lines
    assert "| a peer | 3.00 |" in lines
    assert "| first epoch | another | 100 | 0.50 |" in lines

    readme.main([str(numbers), str(page)])
    assert page.read_text() == text  # the same again


def test_what_was_not_measured_has_no_table(readme):
    text = readme.performance(results(benchmark("start", "start", "first step", seconds=1.0)))
    assert "first step" in text
    assert "images/s" not in text


@pytest.mark.parametrize(
    ("content", "page"),
    [
        ("no JSON", None),
        ("{}", None),
        ('{"machine_info": {}, "benchmarks": []}', None),
        (json.dumps(results()), None),
        (json.dumps(MEASURED), "a page without marks"),
    ],
)
def test_what_cannot_be_written_leaves_the_page_as_it_was(readme, tmp_path, capsys, content, page):
    path, numbers = tmp_path / "README.md", tmp_path / "results.json"
    path.write_text(page or f"{readme.BEGIN}\n{readme.END}\n")
    before = path.read_text()
    numbers.write_text(content)
    with pytest.raises(SystemExit) as stopped:
        readme.main([str(numbers), str(path)])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("Error: ")
    assert path.read_text() == before


def test_readme_has_the_marks(readme):
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert readme.replaced(text, "tables").count("tables\n" + readme.END) == 1
