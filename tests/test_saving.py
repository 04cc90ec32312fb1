"""Equal models are saved as equal files, and the history without loss."""

import keras

from keras_azure.saving import save_model
from keras_azure.training.history import History


def test_equal_models_give_equal_files(tmp_path):
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    save_model(model, tmp_path / "one.keras")
    save_model(model, tmp_path / "two.keras")
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "two.keras").read_bytes()
    loaded = keras.saving.load_model(tmp_path / "one.keras")
    assert all((a == b).all() for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True))


def test_the_history_reads_back_without_loss(tmp_path):
    history = History(tmp_path)
    rows = [{"epoch": 1, "loss": 1 / 3, "val_loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-30, "val_loss": 0.25}]
    for row in rows:
        history.append(row)
    assert list(History.load(tmp_path, 2)) == rows
    assert list(History.load(tmp_path, 1)) == rows[:1]
    assert history.best_epoch == 2
    assert history.epochs_since_best(0) == 0
