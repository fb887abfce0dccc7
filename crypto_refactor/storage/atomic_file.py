"""Files that are written whole or not at all: a reader, or a crash, sees the old one or the new one."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def write_temporary(folder: Path, content: bytes) -> Path:
    """Write `content` to a new hidden file in `folder`, down to the disk; nothing is left of it on failure.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path = folder / f".writing-{secrets.token_hex(6)}"
    try:
        with path.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        raise
    return path


def write_atomic(path: Path, content: bytes) -> None:
    """Put `content` at `path`, in place of what is there.

    Raises
    ------
    OSError
        If it cannot be written; what is there stays.
    """
    written = write_temporary(path.parent, content)
    try:
        written.replace(path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise
