"""Open a source: by its name, from a path, or from bars in memory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, TypeGuard, Union, cast

from crypto_refactor.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from crypto_refactor.market.bars import Bars
    from crypto_refactor.market.sources.base import Source
    from crypto_refactor.market.ticker import Ticker

AnySource: TypeAlias = Union["Source", "Bars", "pd.DataFrame", Mapping[str, "pd.DataFrame"], str, Path]
"""What people give as a source: one that is open, bars, a DataFrame (or one a ticker), a name or a path."""


def source_of(given: AnySource | None, ticker: Ticker | None) -> Source:
    """Return the source that `given` means; by default that of the environment (``CRYPTO_SOURCE``).

    Parameters
    ----------
    given : AnySource, optional
        An open source; bars; a DataFrame of the bars of `ticker` (see `Bars.from_frame`), or several by ticker; the name of a
        source; the path of a folder of CSV files, or of one such file of `ticker`.
    ticker : Ticker or None
        What the bars are of where `given` does not say it; None where there is more than one answer.

    Raises
    ------
    UsageError, DataError
        If there is no such source, what is given are no bars, or nothing says of what they are.
    """
    from crypto_refactor.market.bars import Bars

    if given is None:
        from crypto_refactor.config import settings

        return open_source(settings().source)
    if isinstance(given, str | Path):
        return open_source(given) if given in SOURCES or not str(given) else _open_path(Path(given), ticker)
    if isinstance(given, Bars):
        return _in_memory(given)
    if isinstance(given, Mapping) and given:
        return _in_memory(*(Bars.from_frame(frame, name) for name, frame in given.items()))
    if _is_frame(given):
        return _in_memory(Bars.from_frame(given, _stated(ticker, "A DataFrame")))
    if not hasattr(given, "prefetch"):
        raise _no_source(given)
    return cast("Source", given)


def _no_source(given: object) -> UsageError:
    return UsageError(
        f"A value of type {type(given).__name__} is not a source of bars.",
        expected=f"bars, a DataFrame, a mapping of tickers to DataFrames, a path, or one of {', '.join(SOURCES)}.",
        remedy="correct the source.",
    )


def _stated(ticker: Ticker | None, what: str) -> Ticker:
    if ticker is None:
        raise UsageError(
            f"{what} does not say of which ticker its bars are.",
            expected="a source that does: bars, a mapping of tickers to DataFrames, or a folder.",
            remedy='give {"BTC/USD": frame}, or Bars.from_frame(frame, "BTC/USD").',
        )
    return ticker


def _is_frame(given: object) -> TypeGuard[pd.DataFrame]:
    # Only who has imported pandas can have a DataFrame.
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(given, pandas.DataFrame)


def _in_memory(*series: Bars) -> Source:
    from crypto_refactor.market.sources.memory import MemorySource

    return MemorySource(series)


def _open_path(path: Path, ticker: Ticker | None) -> Source:
    if path.is_dir():
        return open_source("files", data_dir=path)
    if path.is_file():
        from crypto_refactor.market.sources.csv_files import read_csv

        return _in_memory(read_csv(path, _stated(ticker, f"The file {path}")))
    raise UsageError(
        f"There is no source {str(path)!r}, and no folder or file of that name.",
        expected="one of " + ", ".join(SOURCES) + ", a folder of CSV files, or a CSV file.",
        remedy="correct the source.",
    )


def open_source(name: str | Path, *, data_dir: Path | None = None, state_dir: Path | None = None) -> Source:
    """Open a source, importing only what it needs; nothing is read or requested yet.

    Parameters
    ----------
    name : str or Path
        ``alpaca``, ``files`` or ``sample``; or the folder of ``files``.
    data_dir : Path, optional
        Folder of the source ``files``; by default the one of the environment settings.
    state_dir : Path, optional
        Folder of the bar store of the source ``alpaca``; by default the one of the environment settings.

    Raises
    ------
    UsageError
        If there is no such source, or ``files`` has no folder.
    """
    if not isinstance(name, str | Path):
        raise _no_source(name)
    # The path of an empty text would be the working directory.
    if name not in SOURCES and str(name) and Path(name).is_dir():
        name, data_dir = "files", Path(name)
    if name not in SOURCES:
        from crypto_refactor.config import settings

        # What the environment holds is not shown: it may be a secret in the wrong place.
        from_environment = name == settings().source
        raise UsageError(
            "CRYPTO_SOURCE names no source." if from_environment else f"There is no source {str(name)!r}.",
            expected="one of " + ", ".join(SOURCES) + ".",
            remedy="correct --source or CRYPTO_SOURCE.",
        )
    return _OPENERS[str(name)](data_dir, state_dir)


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
            "--source files has no folder to read from.",
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
