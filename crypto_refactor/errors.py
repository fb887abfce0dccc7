"""The exception tree, sorted by what the user must do, and the exit codes.

For programs it is `crypto_refactor.errors`; the classes are stable, the texts are not.

::

    CryptoRefactorError          70  (never raised itself)
    ├── UsageError                2  correct an argument, an option, a setting
    │   └── PluginError           2  correct the plug-in
    ├── DataError                 3  bars, the bar store, output files
    │   ├── UnavailableError      3  the source does not offer this ticker
    │   ├── SourceFailedError     3  the source gave no usable answer
    │   │   └── SourceUnreachableError  3  there is no connection to the source
    │   └── KeysRefusedError      3  the source does not accept the keys
    ├── ModelError                4  a model or the folder it lives in
    ├── BrokerError               5  the broker, the account, the ledger, the state folder
    └── InternalError            70  a fault of the tool

A message has three parts: what happened, what was expected, what to do.  `crypto_refactor.cli.runner`
prints it, once, and ends the process with the exit code.
"""

from collections.abc import Collection, Iterable
from typing import Self

EXIT_OK = 0
EXIT_TICKERS_DIFFER = 1
EXIT_AUDIT_FAILED = 6
EXIT_FAULT = 70
EXIT_HUNG_UP = 129
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


def combined_exit_code(codes: Iterable[int]) -> int:
    """Return the one code that every ticker ended with, or 1 where tickers ended differently."""
    distinct = set(codes)
    return EXIT_TICKERS_DIFFER if len(distinct) > 1 else next(iter(distinct), EXIT_OK)


class CryptoRefactorError(Exception):
    """Base of every error the tool raises on purpose.

    It says `what` happened, with the received value, what was `expected`, and what the user can do (`remedy`).
    """

    exit_code = EXIT_FAULT

    def __init__(self, what: str, *, expected: str, remedy: str) -> None:
        super().__init__(what, expected, remedy)
        self.what = what
        self.expected = expected
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what} Expected: {self.expected} Remedy: {self.remedy}"

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling, which worker processes rely on.
        return _rebuild, (type(self), self.what, self.expected, self.remedy)

    def to_dict(self) -> dict[str, object]:
        """Return the error as every JSON document shows it."""
        parts = {"message": self.what, "expected": self.expected, "remedy": self.remedy}
        return {"code": self.exit_code, **parts}

    def to_text(self) -> str:
        """Return the error as people read it: one part a line."""
        return "\n".join([self.what, f"  Expected: {self.expected}", f"  Remedy: {self.remedy}"])


def _typed(value: object) -> str:
    """Return a value as people type it: 100000 for the float 100000.0."""
    return f"{value:.12g}" if isinstance(value, float) else repr(value)


def _rebuild(kind: type[CryptoRefactorError], what: str, expected: str, remedy: str) -> CryptoRefactorError:
    return kind(what, expected=expected, remedy=remedy)


class UsageError(CryptoRefactorError):
    """An argument, an option or a setting is wrong, or some of them contradict each other."""

    exit_code = 2

    @classmethod
    def invalid(
        cls, option: str, value: object, expected: str, *, example: str | None = None, hint: str | None = None
    ) -> Self:
        """Return the error of an option whose value is out of its range; `hint` says what was probably meant."""
        remedy = f"correct {option}." if example is None else f"write {option} {example}, for example."
        return cls(f"{option} is {_typed(value)}.", expected=f"{expected}.", remedy=hint or remedy)

    @classmethod
    def not_one_of(cls, option: str, value: object, choices: Collection[str]) -> Self:
        """Return the error of an option that takes one of `choices`; it names the one that was probably meant."""
        import difflib

        near = difflib.get_close_matches(str(value), choices, n=1)
        remedy = f"write {option} {near[0]}." if near else f"correct {option}."
        return cls(f"{option} is {value!r}.", expected=f"{' or '.join(choices)}.", remedy=remedy)


class PluginError(UsageError):
    """A plug-in cannot be loaded, or gives what cannot be used."""


class DataError(CryptoRefactorError):
    """Bars, the bar store or an output file cannot be used."""

    exit_code = 3


class UnavailableError(DataError):
    """The source does not offer this ticker."""

    @classmethod
    def for_all(cls) -> Self:
        """Return the error of a run whose source offers none of its tickers."""
        return cls(
            "None of the tickers is offered.",
            expected="a source with bars of at least one of them.",
            remedy="choose another --source or --ticker.",
        )


class SourceFailedError(DataError):
    """The source gave no usable answer; asking again may help."""


class SourceUnreachableError(SourceFailedError):
    """There is no connection to the source, whatever it is asked for."""


class KeysRefusedError(DataError):
    """The source does not accept the keys."""


class ModelError(CryptoRefactorError):
    """A model, or the folder of models, cannot be used."""

    exit_code = 4


class BrokerError(CryptoRefactorError):
    """The broker, the account, the ledger or the state folder cannot be used."""

    exit_code = 5


class InternalError(CryptoRefactorError):
    """A fault of the tool itself."""

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Return the error for an exception that nothing expects."""
        return cls(
            f"Internal error: {type(error).__name__}: {error}",
            expected="no such error: this is a bug.",
            remedy="rerun with --debug and report the output.",
        )
