"""The kill switch: a file that every process which trades as time passes checks before an entry."""

import json
from pathlib import Path

from crypto_refactor.errors import BrokerError
from crypto_refactor.storage.atomic_file import write_atomic
from crypto_refactor.storage.private import create_folder

_NAME = "halt.json"
_MAX_CHARACTERS = 10_000


def halt(state: Path, *, at: str, why: str) -> None:
    """Block entries from now on; exits continue.

    Raises
    ------
    BrokerError
        If the state folder cannot be written.
    """
    try:
        create_folder(state)
        write_atomic(state / _NAME, json.dumps({"at": at, "why": why}).encode())
    except OSError as error:
        raise _unwritable(state, error) from error


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
        raise _unwritable(state, error) from error
    return True


def halt_reason(state: Path) -> str | None:
    """Return since when and why entries are halted; None where they are not.  An unreadable file halts, too."""
    try:
        with (state / _NAME).open(encoding="utf-8") as file:
            content = json.loads(file.read(_MAX_CHARACTERS))
        text = f"HALTED since {content['at']}" + (f" ({content['why']})" if content["why"] else "")
        text.encode()  # JSON can hold halves of characters, which no terminal takes
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return f"HALTED by {state / _NAME}, which cannot be read"
    return text


def _unwritable(state: Path, error: OSError) -> BrokerError:
    return BrokerError(
        f"The state folder {state} cannot be written: {error.strerror}.",
        expected="a folder this user can write to.",
        remedy="correct its permissions, or choose another with --state-dir.",
    )
