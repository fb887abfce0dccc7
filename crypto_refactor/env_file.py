"""The `.env` file, looked at before its lines are read: they hold the keys to an account."""

import logging
import os
import stat
from pathlib import Path

from crypto_refactor.errors import UsageError

_log = logging.getLogger(__name__)

MAX_BYTES = 1_000_000


def readable_env_file(path: Path) -> Path | None:
    """Return `path` if it is a file of text, None if there is no file.

    One that others may write to is named in a warning: they could put their own settings into it.

    Raises
    ------
    UsageError
        If it cannot be read, is too large, or is not text.
    """
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}", "correct its permissions") from error
    if len(content) > MAX_BYTES:
        raise _unusable(path, f"has more than {MAX_BYTES:,} bytes", "move it away if it is another file")
    if not _is_text(content):
        raise _unusable(path, "is not UTF-8 text", "save it as UTF-8")
    warn_if_others_may_write(path, status)
    return path


def warn_if_others_may_write(path: Path, status: os.stat_result) -> None:
    """Name a file of settings in a warning if others than its owner can change it."""
    if _others_may_write(status):
        _log.warning(
            "%s can be written by other users, who could change where orders and keys go: `chmod go-w %s`.",
            *(path, path),
        )


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _others_may_write(status: os.stat_result) -> bool:
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _is_group_of_one(status)


def _is_group_of_one(status: os.stat_result) -> bool:
    """Whether a file's group holds its owner alone, as many systems give one to every user."""
    try:
        import grp
        import pwd

        owner, group = pwd.getpwuid(status.st_uid), grp.getgrgid(status.st_gid)
    except (ImportError, KeyError):  # no such groups on this system, or an owner without a name
        return False
    same = group.gr_gid == owner.pw_gid and group.gr_name == owner.pw_name
    return same and set(group.gr_mem) <= {owner.pw_name}


def _unusable(path: Path, why: str, remedy: str) -> UsageError:
    return UsageError(
        f"{path} {why}.",
        expected="a file of settings, NAME=value, one a line.",
        remedy=f"{remedy}, or remove it and set the variables in the environment.",
    )
