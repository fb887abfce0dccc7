"""Start a script of the checkout with the Python that has what it needs.

Read by whatever Python the user has, however old: no syntax here is newer than Python 3.7.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

_OLDEST = (3, 11)
_NEEDED = ("click", "numpy", "pandas", "pydantic_settings", "requests")
"""A few libraries that no Python holds by itself: without one of them nothing is installed here."""
_STARTED = "_CRYPTO_REFACTOR_STARTED"
"""Set for the Python of ``.venv``: a broken one must not start itself for ever."""


def run(command: str, program: str) -> None:
    """Run a command of `crypto-refactor` under the name of a script.

    Where this Python lacks something, the ``.venv`` of the checkout takes over; without one, the process ends with 2.
    """
    missing = _missing()
    if missing:
        _start_in_environment(missing)
    from crypto_refactor.cli.command_table import load_command
    from crypto_refactor.cli.runner import run_command

    run_command(load_command(command), name=program)


def _missing() -> str:
    """Return why this Python cannot run the tool, nothing where it can."""
    if sys.version_info < _OLDEST:
        return f"This is Python {sys.version_info[0]}.{sys.version_info[1]}, and 3.11 or newer is needed"
    absent = [name for name in _NEEDED if find_spec(name) is None]
    return f"{absent[0]} is not installed for {sys.executable}" if absent else ""


def _start_in_environment(why: str) -> None:
    """Replace this process by the same script in ``.venv``, or say how to make that."""
    root = Path(__file__).resolve().parent.parent
    python = root / ".venv" / "bin" / "python"
    if python.exists() and _STARTED not in os.environ:
        os.environ[_STARTED] = "1"
        os.execv(str(python), [str(python)] + sys.argv)  # noqa: RUF005, S606 - old syntax; the user's own words
    sys.stderr.write(
        f"Error: {why}.\n"
        "  Expected: Python 3.11 or newer with what this tool needs.\n"
        f"  Remedy: run `make demo` in {root}, which puts all of it into .venv; the scripts find that by themselves.\n"
    )
    sys.exit(2)
