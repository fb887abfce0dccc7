"""Atomic writes: a reader, or a crash, sees the old file or the new one, never a part."""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from crypto_refactor.storage.private import FILE_MODE


def write_temporary(folder: Path, content: bytes) -> Path:
    """Write `content` to a new hidden file in `folder`, for its owner alone and synced to disk.

    On failure nothing remains.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path = folder / f".writing-{secrets.token_hex(6)}"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as file:
            path.chmod(FILE_MODE)  # the umask may have taken permissions that the owner needs
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        raise
    return path


def write_atomic(path: Path, content: bytes) -> None:
    """Replace `path` by `content`; a new file is for its owner alone, an existing one keeps its permissions.

    Raises
    ------
    OSError
        If it cannot be written; an existing file is unchanged then.
    """
    temporary = write_temporary(path.parent, content)
    try:
        with contextlib.suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_obstacle(folder: Path) -> str | None:
    """Return why nothing can be written to `folder`, in the system's words; None where something was."""
    try:
        write_temporary(folder, b"-").unlink()
    except OSError as error:
        return error.strerror or str(error)
    return None
