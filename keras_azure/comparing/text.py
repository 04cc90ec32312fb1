"""A comparison as text, which fits a terminal of 80 columns."""

import functools
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from keras_azure.comparing.comparison import Comparison, Pair
from keras_azure.comparing.settings import Difference
from keras_azure.description.scores import TITLES, decimals_of, shown
from keras_azure.description.text_table import WIDTH, duration, text_table
from keras_azure.evaluation.answers import Answers
from keras_azure.redaction import printable

MOST_IMAGES = 10  # that are named
COST = "cost: of the machines in that time; their start and idle time come on top."
_CHANCE = 0.05  # from which p-value on a difference may well be chance


def lines_of(comparison: Comparison) -> Iterator[str]:
    """All lines; the last ones say whether the first run is worse."""
    for run in comparison.runs:
        yield f"{run.letter}  {printable(run.run_dir)}"
    yield ""
    yield from _differences("Settings that differ", comparison.settings, comparison)
    if not comparison.settings:
        yield "The settings are the same."
    if comparison.versions:
        yield ""
        yield from _differences("Versions and machines that differ", comparison.versions, comparison)
    yield ""
    yield from _scores(comparison)
    for place, sentence in enumerate(sentences(comparison)):
        yield from [""] if place == 0 else []
        yield from textwrap.wrap(sentence, WIDTH, subsequent_indent="  ")
    yield ""
    yield from _speed(comparison)
    if comparison.image_runs:
        yield ""
        yield from _images(comparison)
    yield ""
    for sentence in verdict(comparison):
        yield from textwrap.wrap(sentence, WIDTH, subsequent_indent="  ")


def sentences(comparison: Comparison) -> Iterator[str]:
    """What the tests on the same images say."""
    first = comparison.runs[0].letter
    for reason, letters in _reasons(comparison).items():
        yield f"No test on the same images of {first} and {', '.join(letters)}: {printable(reason)}."
    for run, pair in zip(comparison.runs[1:], comparison.pairs, strict=True):
        if not isinstance(pair, Pair) or (test := pair.mcnemar) is None:
            continue
        total = test.first_only + test.other_only
        chance = "may well be chance" if test.p_value >= _CHANCE else "is hardly chance"
        said = f"so unequal numbers {chance}" if total else "there is nothing to tell them apart"
        how = "exact" if test.exact else "with continuity correction"
        yield (
            f"{test.first_only:,} images are right in {first} alone and {test.other_only:,} in {run.letter} alone: "
            f"{said}, p = {test.p_value:.3g} (McNemar's test, {how})."
        )


def _reasons(comparison: Comparison) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for run, pair in zip(comparison.runs[1:], comparison.pairs, strict=True):
        if isinstance(pair, str):
            found.setdefault(pair, []).append(run.letter)
    return found


def _differences(title: str, differences: Sequence[Difference], comparison: Comparison) -> Iterator[str]:
    if not differences:
        return
    yield title
    letters = [run.letter for run in comparison.runs]
    widest = min(24, max(len(each.name) for each in differences))
    for each in differences:
        name = printable(each.name)
        for value in dict.fromkeys(each.values):
            having = [letter for letter, its in zip(letters, each.values, strict=True) if its == value]
            begin = f"  {name:<{widest}}  {', '.join(having)}  "
            yield from textwrap.wrap(
                printable(value), WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin)
            ) or [begin.rstrip()]
            name = ""


def verdict(comparison: Comparison) -> list[str]:
    """Whether the first run is worse, in a sentence or one for each run than which it is."""
    if comparison.worse_than:
        return [f"{line}." for line in comparison.complaints()]
    first, *others = (run.letter for run in comparison.runs)
    name = TITLES.get(comparison.metric, comparison.metric)
    return [f"In {name} {first} is not worse than {' or '.join(others)} by more than {comparison.tolerance:.1%}."]


def score_headings(comparison: Comparison) -> tuple[str, ...]:
    return "score", "run", "test", f"to {comparison.runs[0].letter}", "95 % interval of that"


def _scores(comparison: Comparison) -> Iterator[str]:
    headings = score_headings(comparison)
    first = comparison.runs[0].letter
    rows = [[name if run == first else "", run, *rest] for name, run, *rest in score_rows(comparison)]
    yield from text_table(headings, rows, right=headings[2:4], cut={"score": 12})


def score_rows(comparison: Comparison) -> Iterator[list[str]]:
    """For each score and run: the name, the run, the score, its difference to the first, and the interval of that."""
    for name, values in comparison.scores.items():
        decimals = decimals_of([value for value in values if value is not None])
        form = functools.partial(shown, decimals=decimals)
        title, before = TITLES.get(name, name), values[0]
        for run, value, pair in zip(comparison.runs, values, (None, *comparison.pairs), strict=True):
            row = [title, run.letter, "" if value is None else form([value])[0]]
            is_first = run is comparison.runs[0]
            row += [""] if is_first or value is None or before is None else form([value - before], signed=True)
            change = pair.changes.get(name) if isinstance(pair, Pair) else None
            row.append(" to ".join(form([change.low, change.high], signed=True)) if change else "")
            yield row


def speed_rows(comparison: Comparison) -> Iterator[list[str]]:
    """Headings, and a row for each run."""
    first = comparison.runs[0]
    yield ["run", "images/s", f"to {first.letter}", "time", "cost"]
    for run in comparison.runs:
        ratio = run.images_per_second / first.images_per_second if first.images_per_second > 0 else None
        yield [
            run.letter,
            f"{run.images_per_second:,.0f}",
            "" if run is first or ratio is None else f"{ratio:.2f} x",
            duration(run.seconds),
            "unknown" if run.usd is None else f"{run.usd:.2f} USD",
        ]


def _speed(comparison: Comparison) -> Iterator[str]:
    headings, *rows = speed_rows(comparison)
    yield from text_table(headings, rows, right=headings[1:])
    if any(run.usd is not None for run in comparison.runs):
        yield COST


def how_many_differ(comparison: Comparison) -> str:
    """A sentence on the images on which runs differ."""
    letters, images, first = comparison.image_runs, comparison.images, comparison.runs[0]
    if not images:
        return f"{' and '.join(letters)} say the same of all images."
    of, runs = f"of {len(first.answers):,} images", f"{', '.join(letters[:-1])} and {letters[-1]}"
    if first.task != "regress":
        return f"{runs} differ on {len(images):,} {of}:"
    names = first.answers.names if isinstance(first.answers, Answers) else ()
    return f"{runs} differ most on these {of}" + (f" ({', '.join(names)}):" if len(names) > 1 else ":")


def _images(comparison: Comparison) -> Iterator[str]:
    letters, images = comparison.image_runs, comparison.images
    yield from textwrap.wrap(printable(how_many_differ(comparison)), WIDTH)
    if images:
        rows = [[str(image.sample), image.truth, *image.said] for image in images[:MOST_IMAGES]]
        cut = dict.fromkeys(("truth", *letters), 6)
        yield from text_table(["image", "truth", *letters], rows, right=("image",), cut=cut)
    if len(images) > MOST_IMAGES:
        yield f"and {len(images) - MOST_IMAGES:,} more: --json names them, and --html shows some."
