import pytest

from kaz_azure_emulator.execution import InvalidJob, grid, random_trials


def values(trials):
    assert all(entry["type"] == "literal" for trial in trials for entry in trial.values())
    return [{name: entry["value"] for name, entry in trial.items()} for trial in trials]


def test_a_grid_is_every_combination():
    trials = grid({"rate": ["choice", [[0.1, 0.01]]], "size": ["choice", [["a", "b"]]]})
    assert values(trials) == [
        {"rate": "0.1", "size": "a"},
        {"rate": "0.1", "size": "b"},
        {"rate": "0.01", "size": "a"},
        {"rate": "0.01", "size": "b"},
    ]


def test_a_grid_has_choices_alone():
    with pytest.raises(InvalidJob, match="'rate' is uniform"):
        grid({"rate": ["uniform", [0, 1]]})


@pytest.mark.parametrize(
    ("kind", "arguments", "is_possible"),
    [
        ("choice", [["1", "2"]], lambda value: value in (1, 2)),
        ("randint", [3], lambda value: value in (0, 1, 2)),
        ("uniform", [0.5, 2], lambda value: 0.5 <= value <= 2),
        ("loguniform", [-3, 0], lambda value: 0.049 < value <= 1),
        ("quniform", [0, 10, 5], lambda value: value in (0, 5, 10)),
        ("qloguniform", [0, 3, 2], lambda value: value % 2 == 0),
        ("normal", [10, 0.001], lambda value: 9.9 < value < 10.1),
        ("lognormal", [0, 0.001], lambda value: 0.9 < value < 1.1),
        ("qnormal", [10, 3, 2], lambda value: value % 2 == 0),
        ("qlognormal", [2, 1, 2], lambda value: value % 2 == 0 and value >= 0),
    ],
)
def test_random_trials_are_what_the_space_has(kind, arguments, is_possible):
    trials = values(random_trials({"x": [kind, arguments]}, 50, seed=1))
    assert len(trials) == 50
    assert all(is_possible(float(trial["x"])) for trial in trials)
    assert len({trial["x"] for trial in trials}) > 1
    assert trials == values(random_trials({"x": [kind, arguments]}, 50, seed=1))
    assert trials != values(random_trials({"x": [kind, arguments]}, 50, seed=2))


@pytest.mark.parametrize(
    "distribution",
    ["choice", ["choice", []], ["choice", [[]]], ["uniform", [1]], ["uniform", ["a", 1]], ["randint", [0]],
     ["quniform", [0, 1, 0]], ["other", [1]], ["uniform", [0, float("inf")]], None],
)  # fmt: skip
def test_other_spaces_are_refused(distribution):
    with pytest.raises(InvalidJob, match="'x'"):
        random_trials({"x": distribution}, 1)
