"""Open a source by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from crypto_refactor.errors import UsageError

if TYPE_CHECKING:
    from crypto_refactor.market.sources.base import Source


def open_source(name: str, *, data_dir: Path | None = None, state_dir: Path | None = None) -> Source:
    """Open a source, importing only what it needs; nothing is read or requested yet.

    Parameters
    ----------
    name : str
        ``alpaca``, ``files`` or ``sample``.
    data_dir : Path, optional
        Folder of the source ``files``; by default the one of the environment settings.
    state_dir : Path, optional
        Folder of the bar store of the source ``alpaca``; by default the one of the environment settings.

    Raises
    ------
    UsageError
        If there is no such source, or ``files`` has no folder.
    """
    if name not in SOURCES:
        from crypto_refactor.config import settings

        # What the environment holds is not shown: it may be a secret in the wrong place.
        from_environment = name == settings().source
        raise UsageError(
            "CRYPTO_SOURCE names no source." if from_environment else f"There is no source {name!r}.",
            expected="one of " + ", ".join(SOURCES) + ".",
            remedy="correct --source or CRYPTO_SOURCE.",
        )
    return _OPENERS[name](data_dir, state_dir)


def _open_alpaca(_data_dir: Path | None, state_dir: Path | None) -> Source:
    from crypto_refactor.config import settings
    from crypto_refactor.market.sources.alpaca import AlpacaSource

    environment = settings()
    return AlpacaSource(
        (state_dir or environment.state_dir) / "bars.sqlite",
        url=environment.alpaca_data_url,
        api_key=environment.alpaca_api_key,
        secret_key=environment.alpaca_secret_key,
    )


def _open_files(data_dir: Path | None, _state_dir: Path | None) -> Source:
    from crypto_refactor.market.sources.base import utc_now
    from crypto_refactor.market.sources.csv_files import FilesSource

    if data_dir is None:
        from crypto_refactor.config import settings

        data_dir = settings().data_dir
    if data_dir is None:
        raise UsageError(
            "The source files has no folder to read from.",
            expected="a folder of <base>_<quote>_1h.csv files.",
            remedy="set --data-dir or CRYPTO_DATA_DIR.",
        )
    return FilesSource(data_dir, clock=utc_now)


def _open_sample(_data_dir: Path | None, _state_dir: Path | None) -> Source:
    from crypto_refactor.market.sources.sample import SampleSource

    return SampleSource()


_OPENERS: Final[Mapping[str, Callable[[Path | None, Path | None], Source]]] = {
    "alpaca": _open_alpaca,
    "files": _open_files,
    "sample": _open_sample,
}
SOURCES: Final = tuple(_OPENERS)
