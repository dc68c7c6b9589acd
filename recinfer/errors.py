"""The errors that users see, each with its own exit code.

Every message says what was wrong, where, and what to do. The command line prints ``str(error)`` alone, without a
traceback; anything that is not a :class:`RecinferError` is a bug and keeps its traceback.
"""

from __future__ import annotations


class RecinferError(Exception):
    """A failure that the user can understand and mend.

    Args:
        message: what was wrong and where.
        hint: what to do about it; printed on a line of its own.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class UsageError(RecinferError):
    """Flags that contradict each other or name something unknown."""

    exit_code = 2


class ConfigError(RecinferError):
    """The pipeline config does not parse, or asks for something impossible or unsupported."""

    exit_code = 3


class InputError(RecinferError):
    """Input data cannot be found or read, or its schema does not fit the config."""

    exit_code = 4


class BadRowError(RecinferError):
    """A row's value cannot be used: not a number, wrong vector length, an id outside its table.

    Args:
        message: the reason, with column and value.
        row: position inside the record batch that was parsed, or None where it is not known.
    """

    exit_code = 5

    def __init__(self, message: str, hint: str | None = None, row: int | None = None) -> None:
        super().__init__(message, hint)
        self.row = row


class OutputError(RecinferError):
    """The output cannot be written, or another job holds it."""

    exit_code = 6


class PlanMismatchError(RecinferError):
    """The output folder belongs to another job: other input, other model, other options."""

    exit_code = 7


class ModelError(RecinferError):
    """A checkpoint or export is missing, incomplete, or does not fit the config."""

    exit_code = 8


class StageError(RecinferError):
    """A pipeline stage failed in a way that no other class describes; carries the traceback of the stage."""

    exit_code = 9


class ParityError(RecinferError):
    """An export does not give the same scores as the model it was made from."""

    exit_code = 10


class IncompleteError(RecinferError):
    """``recinfer verify`` found an output folder that is not complete."""

    exit_code = 11


class SignatureMissingError(ModelError):
    """A signature is asked for, and the export has none."""

    exit_code = 12


class SignatureKeyError(ModelError):
    """The export's signature was made with another key than the one that is trusted."""

    exit_code = 13


class TamperedError(ModelError):
    """A file of a signed export, or the signature itself, is not as it was signed."""

    exit_code = 14


class RankError(RecinferError):
    """Processes that ``torchrun`` started together cannot meet, do not fit each other, or one of them was lost."""

    exit_code = 15


class ToldByOtherRankError(RankError):
    """This process ends because of a failure that another one reports: it says nothing itself."""
