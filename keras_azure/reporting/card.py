"""A run's model card: Markdown, with the header that the Hugging Face Hub reads.

Each number in it is one of metrics.json. It names no license, which the model's owner alone can do, and no paths.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from keras_azure.data.locate import paths_in
from keras_azure.errors import SpecError
from keras_azure.models.kinds import NETWORK
from keras_azure.registry.registry import as_spec
from keras_azure.registry.specs import is_object
from keras_azure.reporting.curves import title_of
from keras_azure.reporting.finished import FinishedRun
from keras_azure.reporting.text import fit

_TASKS = {"classify": "image-classification", "multilabel": "image-classification", "regress": "image-regression"}
_AUTOENCODER = "image-to-image"
_OF_THE_HUB = ("image-classification", "image-to-image")  # pipeline tags that it knows, of these
_METRICS = {"macro_f1": "f1", "micro_f1": "f1"}  # what the Hub calls them, where it is something else
_MOST_NAMES = 200


def card(run: FinishedRun) -> str:
    """The Markdown of a run's model card."""
    return "\n".join(["---", *_header(run), "---", "", *_text(run)]) + "\n"


def _header(run: FinishedRun) -> Iterator[str]:
    """YAML, of which JSON's texts and numbers are a part."""
    task, data = _task(run), json.dumps(_data_name(run), ensure_ascii=False)
    scores = {name: value for name, value in run.scores.items() if math.isfinite(value) and name != "loss"}
    scores = scores or {name: value for name, value in run.scores.items() if math.isfinite(value)}
    if (run.run_dir / NETWORK.file).is_file():
        yield "library_name: keras"
    if task in _OF_THE_HUB:
        yield f"pipeline_tag: {task}"
    yield "tags:"
    yield from (f"- {tag}" for tag in (task, "keras-azure"))
    yield "metrics:" if scores else "metrics: []"
    yield from dict.fromkeys(f"- {_metric(name)}" for name in scores)
    yield "model-index:"
    yield f"- name: {json.dumps(fit(run.run_dir.name), ensure_ascii=False)}"
    yield "  results:"
    yield f"  - task:\n      type: {task}"
    yield f"    dataset:\n      name: {data}\n      type: {data}\n      split: test"
    yield "    metrics:" if scores else "    metrics: []"
    for name, value in scores.items():
        title = json.dumps(f"Test {title_of(fit(name))}", ensure_ascii=False)
        yield f"    - type: {_metric(name)}\n      name: {title}\n      value: {json.dumps(value)}"


def _text(run: FinishedRun) -> Iterator[str]:
    facts, names = run.facts, run.facts["class_names"]
    yield f"# {_plain(run.run_dir.name)}\n"
    yield (
        f"A model for {_task(run).replace('-', ' ')}: {_code(run.config.model_spec.name)}, trained on "
        f"{_code(_data_name(run))} with Keras Azure. See report.html for all that is known of it.\n"
    )
    yield "## Scores on the test split\n"
    yield from _table("Score", {title_of(name): json.dumps(value) for name, value in run.scores.items()})
    if each := facts.get("each"):
        yield "\n## Scores of each name\n"
        columns = list(dict.fromkeys(name for scores in each.values() for name in scores))
        yield f"| Name | {' | '.join(map(_plain, map(title_of, columns)))} |"
        yield f"|---|{'---:|' * len(columns)}"
        for name, scores in [*each.items()][:_MOST_NAMES]:
            yield f"| {_code(name)} | {' | '.join(json.dumps(scores.get(column)) for column in columns)} |"
    yield "\n## What it tells apart\n" if run.answers is not None else "\n## Classes of its data\n"
    more = ", and others, which metrics.json names" if len(names) > _MOST_NAMES else ""
    yield f"{', '.join(map(_code, names[:_MOST_NAMES]))}{more}"
    if run.data:
        yield "\n## Data\n"
        height, width, channels = run.data["image_shape"]
        yield f"Images of {height} x {width} pixels, channels: {channels}.\n"
        yield from _table("Part", {part.capitalize(): str(count) for part, count in run.data["images"].items()})
    yield "\n## Training\n"
    rows = {"Parameters": facts["parameters"], "Epochs": facts["epochs"], "Seconds": facts["seconds"]}
    yield from _table("", {name: json.dumps(value) for name, value in rows.items()})
    yield "\n## Environment\n"
    yield from _table("", facts["environment"])


def _table(heading: str, rows: Mapping[str, str]) -> Iterator[str]:
    yield f"| {heading} | |"
    yield "|---|---|"
    yield from (f"| {_plain(name)} | {_plain(value)} |" for name, value in rows.items())


def _task(run: FinishedRun) -> str:
    return _AUTOENCODER if run.answers is None else _TASKS[run.answers.task]


def _metric(score: str) -> str:
    return _METRICS.get(score, re.sub(r"\W", "_", score, flags=re.ASCII))


def _data_name(run: FinishedRun) -> str:
    """What the data is called: a path by its last part, as its place is nobody's business who reads the card."""
    text = run.config.data
    try:
        spec = as_spec(text)
    except SpecError:
        return "data given in Python" if is_object(text) else Path(text).name
    names = [Path(str(spec.options[option])).name for option in paths_in(spec)]
    return fit(names[0] if names and names[0] else spec.name)


def _plain(text: object) -> str:
    """A text within Markdown, of which it is to be no part."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!&$])", r"\\\1", fit(str(text)))


def _code(text: str) -> str:
    """A text as code, whatever is in it."""
    shown = fit(text).replace("|", "\\|")
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    space = " " if not shown or "`" in (shown[0], shown[-1]) else ""
    return f"{fence}{space}{shown}{space}{fence}"
