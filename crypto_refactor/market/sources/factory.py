"""Choosing a source by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from crypto_refactor.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from crypto_refactor.market.sources.base import Source

SOURCES: Final = ("alpaca", "files", "sample")


def open_source(name: str, *, data_dir: Path | None = None, state_dir: Path | None = None) -> Source:
    """Open one source, importing only what that source needs.

    Parameters
    ----------
    name : str
        ``alpaca``, ``files`` or ``sample``.
    data_dir : Path, optional
        Folder of the source ``files``; by default the one of the settings.
    state_dir : Path, optional
        Folder of the bar store of the source ``alpaca``; by default the one of the settings.

    Returns
    -------
    Source
        The source; nothing has been read or asked yet.

    Raises
    ------
    UsageError
        If there is no such source, or ``files`` has no folder.
    """
    if name == "alpaca":
        return _alpaca(state_dir)
    if name == "files":
        return _files(data_dir)
    if name == "sample":
        from crypto_refactor.market.sources.sample import SampleSource

        return SampleSource()
    raise UsageError(
        f"There is no source {name!r}.",
        expected="one of " + ", ".join(SOURCES) + ".",
        remedy="correct --source or CRYPTO_SOURCE.",
    )


def _files(data_dir: Path | None) -> Source:
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
    return FilesSource(data_dir)


def _alpaca(state_dir: Path | None) -> Source:
    from crypto_refactor.config import settings
    from crypto_refactor.market.sources.alpaca import AlpacaSource

    chosen = settings()
    return AlpacaSource(
        (state_dir or chosen.state_dir) / "bars.sqlite",
        url=chosen.alpaca_data_url,
        api_key=chosen.alpaca_api_key,
        secret_key=chosen.alpaca_secret_key,
    )
