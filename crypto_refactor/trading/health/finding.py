"""What a check has found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from crypto_refactor.errors import EXIT_OK, CryptoRefactorError, InternalError, combined_exit_code


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer: a sentence, and what to do where something is to be done.

    `code` is the exit code of a failure: that of the error which a run would end with.
    """

    check: str
    state: State
    text: str
    remedy: str | None = None
    code: int = EXIT_OK


def fine(check: str, text: str) -> Finding:
    """Return the finding that all is well."""
    return Finding(check=check, state=State.OK, text=text)


def warning(check: str, text: str, remedy: str) -> Finding:
    """Return the finding of what may become a failure, or was not checked."""
    return Finding(check=check, state=State.WARNING, text=text, remedy=remedy)


def failed(check: str, text: str, remedy: str, code: int) -> Finding:
    """Return the finding of what keeps a run from doing its work."""
    return Finding(check=check, state=State.FAILED, text=text, remedy=remedy, code=code)


def of_error(check: str, error: CryptoRefactorError) -> Finding:
    """Return an error as the finding of the check that met it."""
    return failed(check, error.what, error.remedy, error.exit_code)


def findings_of(check: str, answer: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Return what a check finds; an error is a finding, too, so that the other checks follow."""
    found: list[Finding] = []
    try:
        found.extend(answer())
    except CryptoRefactorError as error:
        found.append(of_error(check, error))
    except Exception as error:  # noqa: BLE001 - a fault in one check is no reason to leave out the others
        found.append(of_error(check, InternalError.of(error)))
    return found


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 0 without a failure, the code of all failures, or 1 where they differ."""
    return combined_exit_code(_codes(findings))


def _codes(findings: Iterable[Finding]) -> Iterator[int]:
    return (finding.code for finding in findings if finding.state is State.FAILED)
