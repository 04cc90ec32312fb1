"""Equal models are saved as equal files."""

import keras

from keras_azure.models.saving import save_model


def test_equal_models_give_equal_files(tmp_path):
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    save_model(model, tmp_path / "one.keras")
    save_model(model, tmp_path / "two.keras")
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "two.keras").read_bytes()
    loaded = keras.saving.load_model(tmp_path / "one.keras")
    assert all((a == b).all() for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True))
