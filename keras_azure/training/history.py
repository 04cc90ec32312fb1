"""The history of a run: one row of numbers per epoch, and what follows from it."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from keras_azure.files import write_text

Row = dict[str, float]
_COUNTS = ("epoch",)  # whole numbers; everything else is a float, which `repr` writes without loss


class History(Sequence[Row]):
    """The rows of `history.csv`, rewritten as a whole after each epoch."""

    def __init__(self, run_dir: Path):
        self.path = run_dir / "history.csv"
        self.rows: list[Row] = []

    @classmethod
    def load(cls, run_dir: Path, epochs: int) -> "History":
        """The first `epochs` rows of a run that goes on."""
        history = cls(run_dir)
        if epochs:
            with history.path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))[:epochs]
            history.rows = [
                {name: int(text) if name in _COUNTS else float(text) for name, text in row.items()} for row in rows
            ]
        return history

    def append(self, row: Row) -> None:
        self.rows.append(row)
        text = io.StringIO()
        writer = csv.DictWriter(text, self.rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())

    @property
    def best_epoch(self) -> int | None:
        """The number of the epoch with the lowest validation loss, the first of equals; None without validation."""
        judged = [row for row in self.rows if "val_loss" in row]
        return min(judged, key=lambda row: row["val_loss"])["epoch"] if judged else None

    def epochs_since_best(self) -> int:
        return len(self.rows) - (self.best_epoch or len(self.rows))

    def __getitem__(self, index):
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)
