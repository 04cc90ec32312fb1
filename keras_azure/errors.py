"""Every error that keras_azure raises on purpose.

    KerasAzureError          exit code 1   anything below
    ├── UsageError                     2   what was asked for makes no sense
    │   ├── SpecError                  2   text that is not `name` or `name(option=literal)`
    │   ├── UnknownName                2   no plugin, optimizer, loss ... of that name
    │   ├── AmbiguousName              2   two packages claim the name
    │   ├── WrongOption                2   an option that the plugin does not take, or not so
    │   ├── ConfigError                2   a run description with wrong or unknown fields
    │   ├── OutputExists               2   something is there already, and nothing is overwritten
    │   ├── DoesNotFit                 2   the run needs more memory than its machine has
    │   ├── TooExpensive               2   the run may cost more than was allowed
    │   └── RunInUse                   2   another process is at work in the run folder
    ├── BrokenPlugin                   1   a plugin that cannot be imported or breaks its contract
    ├── DataError                      1   a data set that cannot be used as it is
    │   ├── UnreadableFile             1   one file of it, by name
    │   ├── DataUnavailable            1   it would have to be fetched, and that did not work
    │   └── UnusableWeights            1   a file of weights that is not there, damaged, unsafe, or of another network
    ├── DeviceError                    1   the device that was asked for is not there
    ├── RunFailed                      1   training itself went wrong
    ├── WorseThanAsked                 1   a model's score is lower than it was to be at least
    ├── DamagedCheckpoint              1   a checkpoint that is not as it was written
    ├── DamagedRun                     1   another file of a run folder that is not
    ├── CloudError                     1   Azure refused, failed or did not answer
    │   ├── NotSignedIn                1   nobody is signed in who may do it
    │   ├── NotAvailable               1   a machine size that is not offered there, or without quota
    │   └── JobFailed                  1   a job on a cluster ended without a result
    └── RunInterrupted               130   stopped on request, can go on

A message has up to three parts: what happened, what was expected, and what to do next. The command prints
them and leaves with `exit_code`; from Python they are ordinary exceptions.
"""

import difflib
from collections.abc import Iterable

from keras_azure.redaction import printable_lines, redacted


class KerasAzureError(Exception):
    """What happened, with what was expected and what to do next where that helps.

    Secrets in them are hidden, and control characters written out, such as those in the name of a file: "\\x1b".
    """

    exit_code = 1

    def __init__(self, problem: str, *, expected: str = "", hint: str = ""):
        # Here, and not where it is shown: tracebacks, logs and notebooks show an exception in ways of their own.
        self.problem, self.expected, self.hint = (printable_lines(redacted(text)) for text in (problem, expected, hint))
        super().__init__(self.problem)

    def __str__(self) -> str:
        lines = [self.problem]
        if self.expected:
            lines.append(f"Expected: {self.expected}")
        if self.hint:
            lines.append(f"Try: {self.hint}")
        return "\n".join(lines)


class UsageError(KerasAzureError):
    exit_code = 2


class SpecError(UsageError):
    pass


class UnknownName(UsageError):
    @classmethod
    def among(cls, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> "UnknownName":
        """The error for a `kind` (such as "model") called `name`, naming the nearest of the `known` ones."""
        known = sorted(set(known))
        nearest = difflib.get_close_matches(name, known, n=1)
        if nearest:
            return cls(f"There is no {kind} called {name!r}. Did you mean {nearest[0]!r}?", hint=hint)
        return cls(f"There is no {kind} called {name!r}.", expected=f"one of {', '.join(known)}", hint=hint)


class AmbiguousName(UsageError):
    pass


class WrongOption(UsageError):
    pass


class ConfigError(UsageError):
    pass


class OutputExists(UsageError):
    pass


class DoesNotFit(UsageError):
    pass


class TooExpensive(UsageError):
    pass


class RunInUse(UsageError):
    pass


class BrokenPlugin(KerasAzureError):
    pass


class DataError(KerasAzureError):
    pass


class UnreadableFile(DataError):
    pass


class DataUnavailable(DataError):
    pass


class UnusableWeights(DataError):
    pass


class DeviceError(KerasAzureError):
    pass


class RunFailed(KerasAzureError):
    pass


class WorseThanAsked(KerasAzureError):
    pass


class DamagedCheckpoint(KerasAzureError):
    pass


class DamagedRun(KerasAzureError):
    pass


class CloudError(KerasAzureError):
    pass


class NotSignedIn(CloudError):
    pass


class NotAvailable(CloudError):
    pass


class JobFailed(CloudError):
    pass


class RunInterrupted(KerasAzureError):
    exit_code = 130
