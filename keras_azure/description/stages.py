"""The stages of fine-tuning, as text: `blocks=2,epochs=3;blocks=4,epochs=2`, or `auto`."""

import math
from dataclasses import dataclass

from keras_azure.errors import ConfigError, SpecError
from keras_azure.registry import specs

SLOWER = 10  # how many times a stage's learning rate is lower than that of the stage before, at least
_EXPECTED = (
    "stages such as 'blocks=2,epochs=3;blocks=4,epochs=2', each with more blocks than the one before and, if it is "
    f"given, a learning_rate at least {SLOWER} times lower; or 'auto'"
)
_AUTO = (0.25, 0.5)  # the shares of all blocks that are trained in the stages of "auto"
_OPTIONS = {"blocks", "epochs", "learning_rate"}


@dataclass(frozen=True)
class Stage:
    """Some epochs of training with some of the backbone's blocks.

    Attributes:
        number: counted from 0, which trains the head alone.
        blocks: how many blocks are trained, counted from the end; below 1, their share of all.
        learning_rate: None for that of the stage before, divided by `SLOWER`.
    """

    number: int
    blocks: float
    epochs: int
    learning_rate: float | None = None

    def blocks_of(self, total: int) -> int:
        """How many of `total` blocks are trained."""
        return math.ceil(self.blocks * total) if 0 < self.blocks < 1 else min(int(self.blocks), total)


def parse_stages(text: str | None, head_epochs: int) -> tuple[Stage, ...]:
    """All stages of a run: first the head's, then those of the text.

    Raises:
        ConfigError: the text is no list of stages.
    """
    stages = [Stage(0, 0, head_epochs)]
    if text is None:
        return tuple(stages)
    if text.strip() == "auto":
        epochs = max(1, head_epochs // 2)
        return (*stages, *(Stage(number, share, epochs) for number, share in enumerate(_AUTO, start=1)))
    for number, part in enumerate(text.split(";"), start=1):
        stages.append(_parse_stage(number, part, text))
        if stages[-1].blocks <= stages[-2].blocks:
            raise _wrong(
                text, f"stage {number} trains {stages[-1].blocks} blocks, and the one before {stages[-2].blocks}"
            )
    return tuple(stages)


def _parse_stage(number: int, part: str, text: str) -> Stage:
    try:
        options = specs.parse(f"stage({part})").options
    except SpecError:
        raise _wrong(text, f"{part!r} is no stage") from None
    blocks, epochs, rate = (options.get(name) for name in ("blocks", "epochs", "learning_rate"))
    if not options.keys() <= _OPTIONS:
        raise _wrong(text, f"a stage has no {min(options.keys() - _OPTIONS)!r}")
    if type(blocks) is not int or type(epochs) is not int or blocks < 1 or epochs < 1:
        raise _wrong(text, f"{part!r} does not give blocks and epochs, each 1 or more")
    if rate is not None and (not isinstance(rate, float | int) or isinstance(rate, bool) or not 0 < rate < math.inf):
        raise _wrong(text, f"the learning rate {rate!r} is none")
    return Stage(number, blocks, epochs, None if rate is None else float(rate))


def learning_rates(stages: tuple[Stage, ...], first: float) -> list[float]:
    """The learning rate of each stage; `first` is the head's.

    Raises:
        ConfigError: one is not low enough.
    """
    rates = [first]
    for stage in stages[1:]:
        highest = rates[-1] / SLOWER
        if stage.learning_rate is not None and stage.learning_rate > highest * (1 + 1e-6):
            raise ConfigError(
                f"The learning rate {stage.learning_rate:g} of stage {stage.number} is too high behind {rates[-1]:g}.",
                expected=f"{highest:g} or lower: what is already trained is easily lost",
            )
        rates.append(stage.learning_rate or highest)
    return rates


def _wrong(text: str, problem: str) -> ConfigError:
    return ConfigError(f"The setting 'fine_tune' cannot be {text!r}: {problem}.", expected=_EXPECTED)
