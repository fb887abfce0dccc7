"""The halt: a file that every process which trades as time passes looks at before it enters anything."""

from __future__ import annotations

import json
from pathlib import Path

from crypto_refactor.errors import BrokerError
from crypto_refactor.storage.atomic_file import write_atomic

_NAME = "halt.json"


def halt(state: Path, *, at: str, why: str) -> None:
    """Forbid entries from now on; exits go on.

    Raises
    ------
    BrokerError
        If the state folder cannot be written.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        write_atomic(state / _NAME, json.dumps({"at": at, "why": why}).encode())
    except OSError as error:
        raise _unusable(state, error) from error


def lift_halt(state: Path) -> bool:
    """Allow entries again; whether they were halted.

    Raises
    ------
    BrokerError
        If the state folder cannot be written.
    """
    try:
        (state / _NAME).unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unusable(state, error) from error
    return True


def halted(state: Path) -> str | None:
    """Return why entries are halted, None where they are not.  A file that cannot be read halts, too."""
    try:
        said = json.loads((state / _NAME).read_text(encoding="utf-8"))
        return f"entries were halted at {said['at']}" + (f": {said['why']}" if said["why"] else "")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return f"entries are halted by {state / _NAME}, which cannot be read"


def _unusable(state: Path, error: OSError) -> BrokerError:
    return BrokerError(
        f"The state folder {state} cannot be written: {error.strerror}.",
        expected="a folder this user can write to.",
        remedy="correct its permissions, or choose another with --state-dir.",
    )
