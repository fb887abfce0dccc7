"""Atomic writes and shared SQLite files."""

from crypto_refactor.storage.atomic_file import write_atomic, write_temporary
from crypto_refactor.storage.sqlite_file import FileFormat, SqliteFile

__all__ = ["FileFormat", "SqliteFile", "write_atomic", "write_temporary"]
