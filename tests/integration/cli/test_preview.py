"""`kaz preview`: a picture file that shows what training sees."""

import numpy as np
import pytest
from PIL import Image

import keras_azure
from keras_azure.description.events import Observer
from keras_azure.errors import UsageError


def test_a_png_file_is_written_and_its_path_printed(kaz, tmp_path):
    path = tmp_path / "sheet.png"
    code, out, err = kaz(
        "preview", "--augment", "rotate(degrees=90)", "--samples", "2", "--draws", "3", "--output", str(path)
    )
    assert (code, out) == (0, f"{path}\n")
    assert "digits" in err
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.width > image.height  # two rows of four pictures
    assert [each.name for each in tmp_path.iterdir()] == ["sheet.png"]


def test_nothing_is_overwritten_unasked(kaz, tmp_path):
    path = tmp_path / "sheet.png"
    path.write_bytes(b"mine")
    code, _, err = kaz("preview", "--output", str(path))
    assert code == 2
    assert "is there already" in err
    assert path.read_bytes() == b"mine"
    assert kaz("preview", "--samples", "1", "--draws", "1", "--output", str(path), "--overwrite")[0] == 0
    assert path.read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--augment", "rotat"], "Did you mean 'rotate'"),
        (["--augment", "rotate(degrees=-1)"], "degrees=-1"),
        (["--data", "digit"], "Did you mean 'digits'"),
        (["--output", "no/such/folder/sheet.png"], "cannot be written"),
        (["--samples", "0"], "samples"),
    ],
)
def test_wrong_calls_are_one_message(kaz, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = kaz("preview", "--draws", "1", *arguments)
    assert code in (1, 2)
    assert message in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_the_figure_has_a_row_for_each_sample_and_the_originals_first():
    figure = keras_azure.preview("digits", augment=["invert(probability=1.0)"], samples=3, draws=2, observer=Observer())
    assert len(figure.axes) == 3 * 3
    shown = [np.asarray(axes.get_images()[0].get_array()) for axes in figure.axes]
    for row in range(3):
        original, *augmented = shown[3 * row : 3 * row + 3]
        for picture in augmented:
            np.testing.assert_array_equal(picture, 255 - original)
    assert figure._repr_png_().startswith(b"\x89PNG")  # what a notebook asks for
    assert [axes.get_title() for axes in figure.axes[:3]] == ["original", "epoch 1", "epoch 2"]
    assert {axes.get_ylabel() for axes in figure.axes[::3]} <= set("0123456789")


def test_mixed_labels_are_written_below():
    figure = keras_azure.preview(augment="mixup(alpha=1.0)", samples=2, draws=2, observer=Observer())
    assert figure.axes[0].get_xlabel().endswith("100%")
    assert "," in figure.axes[1].get_xlabel()


def test_no_samples_are_refused():
    with pytest.raises(UsageError, match="no contact sheet"):
        keras_azure.preview(samples=0, observer=Observer())
