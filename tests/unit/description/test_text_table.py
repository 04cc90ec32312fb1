"""Tables of text, as wide as a terminal."""

from keras_azure.description.text_table import cells, shortened, text_table


def test_columns_are_aligned_and_as_wide_as_what_is_in_them():
    lines = text_table(["name", "count"], [["a", "1"], ["longer", "1,000"]], right=("count",))
    assert lines == ["name    count", "a           1", "longer  1,000"]


def test_the_last_cell_of_a_short_row_has_the_place_of_the_rest():
    lines = text_table(["a", "b", "c"], [["1", "2", "3"], ["1", "it is damaged in some way"]], width=23)
    assert lines == ["a  b  c", "1  2  3", "1  it is damaged in s.."]


def test_what_may_be_cut_is_cut_as_far_as_it_may_be():
    row = ["x" * 30, "y" * 10, "z" * 10]
    lines = text_table(["a", "b", "c"], [row], width=40, cut={"a": 5, "b": 3})
    assert max(map(len, lines)) == 40
    assert lines[1].endswith("z" * 10)
    lines = text_table(["a", "b", "c"], [row], width=10, cut={"a": 5, "b": 3})
    assert lines[1] == f"xxx..  y..  {'z' * 10}"


def test_a_character_may_take_two_cells_or_none():
    assert [cells(text) for text in ("ab", "犬猫", "e\N{COMBINING ACUTE ACCENT}", "\N{DOG FACE}")] == [2, 4, 1, 2]
    assert shortened("犬猫の写真", 7) == "犬猫.."
    lines = text_table(["name", "b"], [["犬猫", "1"], ["abcd", "2"]])
    assert lines[1:] == ["犬猫  1", "abcd  2"]


def test_nothing_that_a_terminal_obeys_is_left():
    assert "\x1b" not in "".join(text_table(["a"], [["\x1b[31mred\nand more"]]))
