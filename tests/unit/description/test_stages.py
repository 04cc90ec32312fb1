import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_azure.description.config import RunConfig
from keras_azure.description.stages import Stage, learning_rates, parse_stages
from keras_azure.errors import ConfigError

counts = st.lists(st.integers(1, 100), min_size=1, max_size=5, unique=True).map(sorted)


@given(counts, st.data())
def test_stages_follow_the_heads(blocks, data):
    epochs = [data.draw(st.integers(1, 50)) for _ in blocks]
    text = " ; ".join(f"blocks={count}, epochs={each}" for count, each in zip(blocks, epochs, strict=True))
    stages = parse_stages(text, 7)
    assert stages[0] == Stage(0, 0, 7)
    assert [(stage.number, stage.blocks, stage.epochs) for stage in stages[1:]] == [
        (number, *pair) for number, pair in enumerate(zip(blocks, epochs, strict=True), start=1)
    ]


def test_without_fine_tuning_there_is_one_stage():
    assert parse_stages(None, 3) == (Stage(0, 0, 3),)


def test_auto_trains_a_quarter_and_then_half_of_the_blocks():
    stages = parse_stages("auto", 5)
    assert [stage.blocks_of(16) for stage in stages] == [0, 4, 8]
    assert [stage.blocks_of(3) for stage in stages] == [0, 1, 2]
    assert [stage.epochs for stage in stages] == [5, 2, 2]


def test_more_blocks_than_there_are_is_all_of_them():
    assert Stage(1, 100, 1).blocks_of(16) == 16


def test_each_stage_learns_ten_times_as_slowly_unless_it_says_so():
    assert learning_rates(parse_stages("blocks=1,epochs=1;blocks=2,epochs=1", 1), 1e-3) == pytest.approx(
        [1e-3, 1e-4, 1e-5]
    )
    stages = parse_stages("blocks=1,epochs=1,learning_rate=1e-5;blocks=2,epochs=1", 1)
    assert learning_rates(stages, 1e-3) == pytest.approx([1e-3, 1e-5, 1e-6])
    stages = parse_stages("blocks=1,epochs=1,learning_rate=0.0001", 1)
    assert learning_rates(stages, 1e-3) == pytest.approx([1e-3, 1e-4])
    with pytest.raises(ConfigError, match=r"(?s)0\.0002 of stage 1 is too high behind 0\.001.*0\.0001 or lower"):
        learning_rates(parse_stages("blocks=1,epochs=1,learning_rate=0.0002", 1), 1e-3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "does not give blocks and epochs"),
        ("blocks=2", "does not give blocks and epochs"),
        ("blocks=0,epochs=1", "each 1 or more"),
        ("blocks=2,epochs=-1", "each 1 or more"),
        ("blocks=True,epochs=1", "each 1 or more"),
        ("blocks=0.5,epochs=1", "each 1 or more"),
        ("blocks=2,epochs=3;blocks=2,epochs=3", "stage 2 trains 2 blocks, and the one before 2"),
        ("blocks=2,epochs=3;", "does not give blocks and epochs"),
        ("blocks=2,epochs=3,speed=1", "a stage has no 'speed'"),
        ("blocks=2,epochs=3,learning_rate=0", "the learning rate 0 is none"),
        ("blocks=2,epochs=3,learning_rate='slow'", "the learning rate 'slow' is none"),
        ("blocks=2 epochs=3", "is no stage"),
        ("automatic", "is no stage"),
    ],
)
def test_what_is_no_stage_is_refused_by_the_config(text, reason):
    with pytest.raises(ConfigError, match=reason) as caught:
        RunConfig("transfer", fine_tune=text)
    assert "'fine_tune'" in caught.value.problem
    assert "blocks=2,epochs=3;blocks=4,epochs=2" in caught.value.expected
