"""Several tickers at once: models trained side by side, and work that no other ticker waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Lock
from typing import TypeVar

from crypto_refactor.errors import CryptoRefactorError, ModelError, UnavailableError
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.cache import get_or_train
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.trading.brokers.base import NotTradedError
from crypto_refactor.trading.interrupts import deferred_interrupts
from crypto_refactor.trading.outcomes import Failure, TickerRow, Unavailable
from crypto_refactor.trading.session import OnRow, TradingSession

T = TypeVar("T")
OnError = Callable[[Ticker, CryptoRefactorError], None]


def not_offered(error: CryptoRefactorError) -> bool:
    """Whether an error means that the source, or the venue, does not offer the ticker."""
    return isinstance(error, UnavailableError | NotTradedError)


def row_of(ticker: Ticker, error: CryptoRefactorError, *, asked: bool) -> TickerRow:
    """Return what is said of a ticker that ended in an error; one that is not offered failed only if `asked` for."""
    if not_offered(error) and not asked:
        return Unavailable(ticker=ticker, why=error.what)
    return Failure(ticker=ticker, error=error)


class TickerPool:
    """Runs work for several tickers, as many at a time as the setup has workers.

    Parameters
    ----------
    setup : TradingSession
        Says how many, and what is asked for.
    on_row : callable
        Told about each ticker as soon as something is known of it.
    on_error : callable or None
        Told about each error in the place of showing it as the ticker's row.
    """

    def __init__(self, setup: TradingSession, on_row: OnRow, on_error: OnError | None = None) -> None:
        self._setup = setup
        self._on_row = on_row
        self._on_error = on_error or self.failed
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(setup.workers, thread_name_prefix="ticker")
        self._pending: set[Future[None]] = set()
        self.rows: list[TickerRow] = []

    def show(self, row: TickerRow) -> None:
        """Pass a row on."""
        with self._lock:
            self.rows.append(row)
            self._on_row(row)

    def failed(self, ticker: Ticker, error: CryptoRefactorError) -> None:
        """Pass on that a ticker ended in an error."""
        self.show(row_of(ticker, error, asked=self._setup.asked))

    def trouble(self, ticker: Ticker, error: CryptoRefactorError) -> None:
        """Meet an error as one that `start` met."""
        self._on_error(ticker, error)

    def share(self) -> float:
        """Return what a new sub-account is opened with: an equal part for every ticker that is offered."""
        gone = sum(
            isinstance(row, Unavailable) or (isinstance(row, Failure) and not_offered(row.error))
            for row in self.rows
        )
        return self._setup.initial_balance / max(len(self._setup.tickers) - gone, 1)

    def load(self, tickers: Iterable[Ticker], work: Callable[[Ticker], T]) -> dict[Ticker, T]:
        """Return what `work` gives for each ticker, in order; those it fails for are shown and left out."""
        found: dict[Ticker, T] = {}

        def one(ticker: Ticker) -> None:
            found[ticker] = work(ticker)

        tickers = tuple(tickers)
        for ticker in tickers:
            self._begin(ticker, one)
        self.finish()
        return {ticker: found[ticker] for ticker in tickers if ticker in found}

    def start(self, ticker: Ticker, work: Callable[[Ticker], None]) -> None:
        """Run `work` for a ticker beside the others; an error of its own, or Ctrl-C, ends nothing else."""

        def whole(ticker: Ticker) -> None:
            with deferred_interrupts():
                work(ticker)

        self._begin(ticker, whole)

    def _begin(self, ticker: Ticker, work: Callable[[Ticker], None]) -> None:
        def guarded() -> None:
            try:
                work(ticker)
            except CryptoRefactorError as error:
                self._on_error(ticker, error)

        if self._setup.workers == 1:
            guarded()
        else:
            self._pending.add(self._pool.submit(guarded))

    def finish(self) -> None:
        """Wait for everything that was started; what is no error of its own ticker is raised here."""
        while self._pending:
            done, self._pending = wait(self._pending, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()

    def close(self) -> None:
        """Let the workers finish what they have begun, and nothing else."""
        self._pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def open_pool(setup: TradingSession, on_row: OnRow, on_error: OnError | None = None) -> Iterator[TickerPool]:
    """Return a crew that is let go at the end."""
    crew = TickerPool(setup, on_row, on_error)
    try:
        yield crew
    finally:
        crew.close()


def train_ahead(
    setup: TradingSession, missing: Mapping[Ticker, Mapping[str, TrainingJob]]
) -> Iterator[tuple[Ticker, ModelError | None]]:
    """Train what each ticker lacks, side by side, and yield a ticker as soon as that is decided.

    Parameters
    ----------
    setup : TradingSession
        Says where models lie and how many are trained at a time.
    missing : mapping of Ticker to mapping
        What each ticker lacks, by its name in the cache.

    Yields
    ------
    tuple
        The ticker, and the error that keeps it from its models, None where nothing is missing any more.
    """
    waiting = {ticker: set(lessons) for ticker, lessons in missing.items()}
    wanted = {key: lesson for lessons in missing.values() for key, lesson in lessons.items()}
    for ticker in [ticker for ticker, keys in waiting.items() if not keys]:
        del waiting[ticker]
        yield ticker, None
    workers = min(setup.workers, len(wanted)) or None
    provision = get_or_train(
        setup.model_dir, wanted, setup.settings, setup.watch, workers=workers, cluster=setup.cluster
    )
    try:
        for provided in provision:
            failed = provided.model if isinstance(provided.model, ModelError) else None
            for ticker, keys in list(waiting.items()):
                if provided.key not in keys:
                    continue
                keys.discard(provided.key)
                if failed is not None or not keys:
                    del waiting[ticker]
                    yield ticker, failed
    except ModelError as error:  # no fit can run any more; what was at hand is used all the same
        for ticker in waiting:
            yield ticker, error
