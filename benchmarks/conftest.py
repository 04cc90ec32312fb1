"""Gathers what the benchmarks measured, and shows it at the end: tables, and files in `.benchmarks/`."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
# The benchmarks share modules, and PyTorch's worker processes import them, too.
sys.path.insert(0, str(REPOSITORY))

from benchmarks.report import machine, table, write_report  # noqa: E402
from benchmarks.rounds import Group, LeftOut  # noqa: E402

_RESULTS = REPOSITORY / ".benchmarks"
_GROUPS = pytest.StashKey[dict[str, dict[str, Group]]]()  # by topic and title


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_GROUPS] = {}


class _Clock:
    """What pytest-benchmark reads the time from: it moves by what was measured before, in interleaved rounds."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


CLOCK = _Clock()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.benchmark(timer=CLOCK))
            # SciPy warns the ImageDataGenerator at each picture; outside pytest that costs it next to nothing.
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))


@pytest.fixture
def replay(request: pytest.FixtureRequest, benchmark) -> Callable[[Group, str], None]:
    """Tells pytest-benchmark what a candidate of a group took for one image in each round: OPS are images/s.

    The group is kept for the report, which is named after the test's module.
    """
    topics = request.config.stash[_GROUPS]

    def replay(group: Group, name: str) -> None:
        topic = request.path.stem.removeprefix("test_")
        topics.setdefault(topic, {})[group.title] = group
        outcome = group.outcomes[name]
        if isinstance(outcome.error, LeftOut):
            pytest.skip(f"{name}: {outcome.error}")
        if outcome.error is not None:
            raise outcome.error
        laps = iter(outcome.laps)

        def one_image() -> None:
            lap = next(laps)
            CLOCK.now += lap.seconds / lap.images

        benchmark.group = group.title
        benchmark.extra_info |= {"topic": topic, "candidate": name, "ours": name in group.ours}
        if group.unit == "s":
            benchmark.extra_info["seconds"] = outcome.seconds
        else:
            benchmark.extra_info["images_per_second"] = round(outcome.images_per_second)
            benchmark.extra_info["first_batch_seconds"] = outcome.first_batch_seconds
        benchmark.extra_info |= outcome.more
        benchmark.pedantic(one_image, rounds=len(outcome.laps))

    return replay


def pytest_benchmark_update_machine_info(machine_info: dict) -> None:
    """The machine as the report describes it, for the file that `--benchmark-json` names."""
    machine_info["described"] = machine()


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    for topic, groups in config.stash[_GROUPS].items():
        for group in groups.values():
            terminalreporter.section(group.title)
            for line in table(group):
                terminalreporter.write_line(line)
        for path in write_report(_RESULTS / topic, list(groups.values())):
            terminalreporter.write_line(f"\nWritten: {path.relative_to(REPOSITORY)}")
