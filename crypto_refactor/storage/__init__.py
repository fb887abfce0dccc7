"""Atomic writes and shared SQLite files."""

from typing import TYPE_CHECKING

from crypto_refactor.storage.atomic_file import write_atomic, write_temporary

if TYPE_CHECKING:
    from crypto_refactor.storage.sqlite_file import FileFormat, SqliteFile

__all__ = ["FileFormat", "SqliteFile", "write_atomic", "write_temporary"]


def __getattr__(name: str) -> object:
    """Import SQLite files, which a signal and a backtest do without, when one is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from crypto_refactor.storage import sqlite_file

    return getattr(sqlite_file, name)
