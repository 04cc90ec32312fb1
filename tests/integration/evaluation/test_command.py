"""`kaz evaluate`: what is printed, and its exit codes."""

import json


def test_the_figures_are_on_stdout_and_messages_on_stderr(kaz, runs):
    code, out, err = kaz("evaluate", str(runs["classify"].run_dir))
    assert code == 0
    assert "bright" in out and "accuracy" in out
    assert "table" in err and "accuracy" not in err


def test_json_is_all_of_it(kaz, runs):
    code, out, _ = kaz("evaluate", str(runs["classify"].run_dir), "--by", "camera", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["scores"]["accuracy"] == runs["classify"].test_accuracy
    assert {*found["groups"]} == {"left", "right"}
    assert len(found["figures"]["confusion"]) == 2


def test_a_score_below_its_bound_is_an_error_after_the_figures(kaz, runs):
    folder = str(runs["classify"].run_dir)
    code, out, err = kaz("evaluate", folder, "--at-least", "accuracy=1.1", "--at-least", "macro_f1=0")
    assert code == 1
    assert "accuracy is " in err and "below 1.1" in err and "macro_f1" not in err
    assert "bright" in out
    assert kaz("evaluate", folder, "--at-least", "accuracy=0")[0] == 0
    code, _, err = kaz("evaluate", folder, "--at-least", "acuracy=0.5")
    assert code == 2 and "Did you mean 'accuracy'?" in err
    assert kaz("evaluate", folder, "--at-least", "accuracy")[0] == 2


def test_nothing_is_overwritten(kaz, runs, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    code, out, err = kaz("evaluate", str(runs["classify"].run_dir), "--output", str(tmp_path))
    assert (code, out) == (2, "") and "nothing is overwritten" in err
