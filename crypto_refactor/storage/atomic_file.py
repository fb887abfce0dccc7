"""Atomic writes: a reader, or a crash, sees the old file or the new one, never a part."""

import contextlib
import os
import secrets
from pathlib import Path


def write_temporary(folder: Path, content: bytes) -> Path:
    """Write `content` to a new hidden file in `folder`, synced to disk; on failure nothing remains.

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
    """Replace `path` by `content`.

    Raises
    ------
    OSError
        If it cannot be written; an existing file is unchanged then.
    """
    temporary = write_temporary(path.parent, content)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
