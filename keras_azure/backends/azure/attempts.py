"""How often a job was begun: `python -m keras_azure.backends.azure.attempts RUN_FOLDER MAX_RESTARTS`, on a node.

Azure begins a job again when its node is taken away, as often as that happens. A job that goes on with the run of
another counts from one.
"""

import os
import sys
from pathlib import Path

_FILE = ".attempts"


def main() -> int:
    folder, most = Path(sys.argv[1]), int(sys.argv[2])
    file = folder / _FILE
    text = file.read_text(errors="replace") if file.exists() else ""
    job = os.environ.get("AZUREML_RUN_ID", "")
    count, _, counted = text.partition(" ")
    # A node may have been lost while it wrote.
    begun = int(count) if count.isdecimal() and counted == job else 0
    if begun > most:
        print(f"Error: the job has lost its node {begun} times, and is given up after {most}.", file=sys.stderr)  # noqa: T201
        print("Try: a new run with a larger max_restarts, or without spot=True", file=sys.stderr)  # noqa: T201
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{begun + 1} {job}".strip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
