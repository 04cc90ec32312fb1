"""The history of a run: one row of numbers per epoch, and what follows from it."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from keras_azure.files import write_text

Row = dict[str, float]
_COUNTS = ("epoch", "stage")  # whole numbers; everything else is a float, which `repr` writes without loss


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
        return _best(self.rows)

    def in_stage(self, number: int) -> list[Row]:
        """The rows of one stage; without fine-tuning all rows are of stage 0."""
        return [row for row in self.rows if row.get("stage", 0) == number]

    def epochs_since_best(self, stage: int) -> int:
        """How many epochs of a stage came after its lowest validation loss."""
        rows = self.in_stage(stage)
        best = _best(rows)
        return 0 if best is None else int(rows[-1]["epoch"] - best)

    def __getitem__(self, index):
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)


def _best(rows: Sequence[Row]) -> int | None:
    judged = [row for row in rows if "val_loss" in row]
    return min(judged, key=lambda row: row["val_loss"])["epoch"] if judged else None
