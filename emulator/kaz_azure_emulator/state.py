"""What the service remembers: JSON documents in one SQLite file, so that a restart finds everything."""

import json
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Document = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order in which they came
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (kind, key)
)
"""


class State:
    """Documents by kind and key. Every change is on the disk when its call returns; any thread may call."""

    def __init__(self, path: Path):
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing so; only a power cut could take the last changes, and harms nothing else.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(_SCHEMA)

    def get(self, kind: str, key: str) -> Document | None:
        with self._lock:
            query = "SELECT body FROM documents WHERE kind = ? AND key = ?"
            row = self._connection.execute(query, (kind, key)).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, kind: str, key: str, document: Document) -> None:
        """Adds a document, or replaces it: it keeps its place in the order."""
        with self._lock:
            self._connection.execute(
                "INSERT INTO documents (kind, key, body) VALUES (?, ?, ?) "
                "ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body",
                (kind, key, json.dumps(document)),
            )

    def update(self, kind: str, key: str, change: Callable[[Document], None]) -> Document:
        """Changes a document that is there, in place, with nobody between reading and writing."""
        with self._lock:
            document = self.get(kind, key)
            if document is None:
                raise KeyError(f"there is no {kind} {key!r}")
            change(document)
            self.put(kind, key, document)
        return document

    def list(self, kind: str, prefix: str = "") -> list[tuple[str, Document]]:
        """Keys that start with `prefix` and their documents, oldest first."""
        with self._lock:
            query = "SELECT key, body FROM documents WHERE kind = ? AND substr(key, 1, ?) = ? ORDER BY number"
            rows = self._connection.execute(query, (kind, len(prefix), prefix)).fetchall()
        return [(key, json.loads(body)) for key, body in rows]

    def delete(self, kind: str, key: str) -> bool:
        """Whether there was one."""
        with self._lock:
            cursor = self._connection.execute("DELETE FROM documents WHERE kind = ? AND key = ?", (kind, key))
        return cursor.rowcount > 0

    def clear(self) -> None:
        with self._lock:
            self._connection.execute("DELETE FROM documents")

    def close(self) -> None:
        with self._lock:
            self._connection.close()
