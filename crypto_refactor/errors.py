"""The exception tree, sorted by what the user must do.

::

    CryptoRefactorError          70  (never raised itself)
    ├── UsageError                2  correct the command line
    ├── DataError                 3  bars, the bar store, output files
    │   └── UnavailableError      3  the source does not offer this ticker
    ├── ModelError                4  a model or the folder it lives in
    └── BrokerError               5  the broker, the account, the ledger, the state folder

A message has three parts: what happened, what was expected, what to do.  It is printed once, at the
edge (`crypto_refactor.cli.command`), which also turns it into the process's exit code.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_TICKERS_DIFFER = 1
EXIT_AUDIT_FAILED = 6
EXIT_FAULT = 70
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class CryptoRefactorError(Exception):
    """Base of every error the tool raises on purpose.

    Parameters
    ----------
    what : str
        What happened, with the received value.
    expected : str
        What would have been right.
    remedy : str
        What the user can do now.
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


def _rebuild(kind: type[CryptoRefactorError], what: str, expected: str, remedy: str) -> CryptoRefactorError:
    return kind(what, expected=expected, remedy=remedy)


class UsageError(CryptoRefactorError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class DataError(CryptoRefactorError):
    """Bars, the bar store or an output file are not as they must be."""

    exit_code = 3


class UnavailableError(DataError):
    """The source does not offer this ticker."""


class ModelError(CryptoRefactorError):
    """A model, or the folder models live in, is not as it must be."""

    exit_code = 4


class BrokerError(CryptoRefactorError):
    """The broker, the account, the ledger or the state folder is not as it must be."""

    exit_code = 5
