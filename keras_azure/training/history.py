"""The history of a run: one row of numbers per epoch, and what follows from it."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from keras_azure.description.events import Listener
from keras_azure.files import write_text
from keras_azure.training.monitor import VALIDATION_LOSS, Monitor

Row = dict[str, float]


class History(Sequence[Row], Listener):
    """The rows of a run and of its `history.csv`, which is rewritten as a whole after each epoch.

    A run that is resumed has its rows from the checkpoint: they and the weights are of one moment.

    Attributes:
        monitor: what epochs are judged by.
    """

    def __init__(self, run_dir: Path, rows: Sequence[Row] = (), monitor: Monitor = VALIDATION_LOSS):
        self.path = run_dir / "history.csv"
        self.rows = list(rows)
        self.monitor = monitor

    def epoch_done(self, epoch: int, row: Mapping[str, float]) -> None:
        self.append(dict(row))

    def get_state(self) -> dict[str, Any]:
        return {"history": tuple(self.rows)}

    def append(self, row: Row) -> None:
        self.rows.append(row)
        self.save()

    def save(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())

    @property
    def best_epoch(self) -> int | None:
        return best_epoch(self.rows, self.monitor)

    def in_stage(self, number: int) -> list[Row]:
        """The rows of one stage; without fine-tuning all rows are of stage 0."""
        return [row for row in self.rows if row.get("stage", 0) == number]

    def epochs_since_best(self, stage: int) -> int:
        """How many epochs of a stage came after its best one."""
        rows = self.in_stage(stage)
        best = best_epoch(rows, self.monitor)
        return 0 if best is None else int(rows[-1]["epoch"] - best)

    def is_stopped_early(self, stage: int, patience: int | None) -> bool:
        """Whether a stage ends with so many epochs without a better one."""
        return patience is not None and self.epochs_since_best(stage) >= patience

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)


def best_epoch(rows: Sequence[Row], monitor: Monitor = VALIDATION_LOSS) -> int | None:
    """The number of the epoch that the monitor finds best, the first of equals; None without validation."""
    judged = [row for row in rows if math.isfinite(row.get(monitor.name, math.nan))]
    sign = -1 if monitor.highest else 1
    return int(min(judged, key=lambda row: sign * row[monitor.name])["epoch"]) if judged else None
