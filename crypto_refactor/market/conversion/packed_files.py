"""Open what bars are packed in, without ever holding more than a bounded part of it."""

from __future__ import annotations

import gzip
import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Protocol

from crypto_refactor.errors import DataError, UsageError

if TYPE_CHECKING:
    import pandas as pd

HEAD_CHARACTERS: Final = 65_536
MAX_BYTES: Final = 128 * 1024 * 1024
_FEATHER: Final = (b"ARROW1", b"FEA1")
_OTHER: Final = {
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PAR1": "parquet",
    b"\x89HDF": "HDF5",
    b"7z\xbc\xaf": "7-Zip",
    b"SQLite": "SQLite",
    b"%PDF": "PDF",
    b"\xd0\xcf\x11\xe0": "Excel",
}


def unusable(path: Path, why: str, *, remedy: str = "correct the file, or export it again.") -> DataError:
    """Return the error of a file that cannot be converted."""
    return DataError(
        f"{path} cannot be converted: {why}.",
        expected="a file of hourly bars: CSV, JSON or feather, as it is or in .gz or .zip.",
        remedy=remedy,
    )


def is_feather(path: Path) -> bool:
    """Return whether a file is in the feather format."""
    return _magic(path).startswith(_FEATHER)


def read_feather(path: Path) -> pd.DataFrame:
    """Read a feather file.

    Raises
    ------
    UsageError
        If pyarrow, which alone can read it, is not installed.
    DataError
        If it is damaged, or larger than hourly bars can be.
    """
    import pandas as pd

    if path.stat().st_size > MAX_BYTES:
        raise _too_large(path)
    try:
        return pd.read_feather(path)
    except ImportError as error:
        raise UsageError(
            f"{path} is a feather file, and pyarrow is not installed.",
            expected="pyarrow, which alone reads feather files.",
            remedy="install it with `pip install 'crypto-refactor[feather]'`, or convert the file to JSON, with "
            "freqtrade by `freqtrade convert-data --format-from feather --format-to json`.",
        ) from error
    except (OSError, ValueError, TypeError, MemoryError) as error:
        raise unusable(path, "its feather content is damaged") from error


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """Open the text of a file, unpacked; reading it raises DataError at damage, or beyond its bounds."""
    try:
        with path.open("rb") as file, _unpacked(path, file) as content:
            bounded = io.BufferedReader(_BoundedReader(path, content))
            yield io.TextIOWrapper(bounded, encoding=_encoding(path, bounded.peek(4)), newline="")
    except UnicodeDecodeError as error:
        raise unusable(path, "it holds bytes that are not UTF-8", remedy="save it as UTF-8.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise unusable(path, "it is damaged", remedy="download it again.") from error
    except OSError as error:
        raise _unreadable(path, error) from error
    except (RuntimeError, NotImplementedError) as error:  # of zipfile: a password, or another compression
        raise unusable(
            path, "it has a password, or a compression that is not read here", remedy="unpack it first."
        ) from error


def _unreadable(path: Path, error: OSError) -> DataError:
    return unusable(
        path, f"it cannot be read ({error.strerror or error})", remedy="correct the path, or its permissions."
    )


def _too_large(path: Path) -> DataError:
    return unusable(path, f"it holds more than {MAX_BYTES // 2**20} MiB", remedy="split it by time.")


def _magic(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise unusable(path, "it is not a file", remedy="name a file.")
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise _unreadable(path, error) from error


@contextmanager
def _unpacked(path: Path, file: IO[bytes]) -> Iterator[_Readable]:
    magic = _magic(path)
    other = next((name for mark, name in _OTHER.items() if magic.startswith(mark)), None)
    if other is not None:
        raise unusable(path, f"it is a file of {other}", remedy="unpack it, or export it as CSV.")
    if magic.startswith(b"\x1f\x8b"):
        with gzip.open(file) as unpacked:
            yield unpacked
    elif magic.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(file) as archive, archive.open(_only_member(path, archive)) as member:
            yield member
    else:
        yield file


def _only_member(path: Path, archive: zipfile.ZipFile) -> str:
    names = [name for name in archive.namelist() if name.lower().endswith((".csv", ".txt", ".json"))]
    if len(names) != 1:
        raise unusable(
            path,
            f"it holds {len(names)} files of bars",
            remedy="unpack it, and name its files one by one." if names else "name a file of bars.",
        )
    return names[0]


def _encoding(path: Path, start: bytes) -> str:
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in start:
        raise unusable(path, "it is no text")
    return "utf-8-sig"


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _BoundedReader(io.RawIOBase):
    """Reads through, and refuses content that is longer than hourly bars can be: a small archive may hold terabytes."""

    def __init__(self, path: Path, content: _Readable) -> None:
        self._path = path
        self._content = content
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        chunk = self._content.read(len(view))
        view[: len(chunk)] = chunk
        self._total += len(chunk)
        if self._total > MAX_BYTES:
            raise _too_large(self._path)
        return len(chunk)
