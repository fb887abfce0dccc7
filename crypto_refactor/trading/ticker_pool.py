"""Several tickers at once: models are trained side by side, and no ticker waits for another one's work.

Whatever goes wrong in the work of a ticker, expected or not, is that ticker's error.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import TypeVar

from crypto_refactor.errors import CryptoRefactorError, InternalError, ModelError, SourceUnreachableError
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.trading.interrupts import deferred_interrupts
from crypto_refactor.trading.outcomes import Failure, TickerRow, Unavailable, error_row, is_unavailable
from crypto_refactor.trading.session import OnRow, TradingSession

_log = logging.getLogger(__name__)

T = TypeVar("T")
OnError = Callable[[Ticker, CryptoRefactorError], None]


class TickerPool:
    """Runs work for several tickers, as many side by side as the session has workers.

    `on_error` receives each ticker's error; by default the error becomes the ticker's row.  A source that cannot be
    reached for one ticker is not asked for the others: they get the same error.
    """

    def __init__(self, session: TradingSession, on_row: OnRow, on_error: OnError | None = None) -> None:
        self._session = session
        self._on_row = on_row
        self.report_error: OnError = on_error or self._report_error_row
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(session.workers, thread_name_prefix="ticker")
        self._pending: set[Future[None]] = set()
        self._unreachable: SourceUnreachableError | None = None
        self.rows: list[TickerRow] = []

    def report(self, row: TickerRow) -> None:
        """Pass a row on."""
        with self._lock:
            self.rows.append(row)
            self._on_row(row)

    def _report_error_row(self, ticker: Ticker, error: CryptoRefactorError) -> None:
        self.report(error_row(ticker, error, explicitly_requested=self._session.explicitly_requested))

    def share(self) -> float:
        """Return the balance of a new sub-account: an equal part for every available ticker."""
        unavailable = sum(
            isinstance(row, Unavailable) or (isinstance(row, Failure) and is_unavailable(row.error))
            for row in self.rows
        )
        return self._session.share(unavailable)

    def prefetch(self, tickers: Iterable[Ticker]) -> None:
        """Load bars of all tickers in one request; where that fails, each ticker's own request remains.

        There is none where the source cannot be reached at all.
        """
        try:
            self._session.prefetch(tuple(tickers))
        except SourceUnreachableError as error:
            self._unreachable = error
        except Exception as error:  # noqa: BLE001 - each ticker meets it again, and reports it
            _log.info("%s Each ticker is requested on its own.", as_error(error).what)

    def load(self, tickers: Iterable[Ticker], work: Callable[[Ticker], T]) -> dict[Ticker, T]:
        """Return what `work` gives for each ticker, in order, without those it fails for."""
        results: dict[Ticker, T] = {}

        def store(ticker: Ticker) -> None:
            if self._unreachable is not None:
                self.report_error(ticker, self._unreachable)
                return
            try:
                results[ticker] = work(ticker)
            except SourceUnreachableError as error:
                self._unreachable = error
                raise

        tickers = tuple(tickers)
        for ticker in tickers:
            self._start(ticker, store)
        self.wait()
        return {ticker: results[ticker] for ticker in tickers if ticker in results}

    def trained(
        self, tickers: Iterable[Ticker], missing: Callable[[Ticker], Mapping[str, TrainingJob]]
    ) -> Iterator[Ticker]:
        """Train what each ticker is missing, side by side; yield each ticker as soon as it can be decided."""
        jobs: dict[Ticker, Mapping[str, TrainingJob]] = {}
        for ticker in tickers:
            try:
                jobs[ticker] = missing(ticker)
            except Exception as error:  # noqa: BLE001 - reported as the ticker's
                self.report_error(ticker, as_error(error))
        for ticker, failure in _train(self._session, jobs):
            if failure is None:
                yield ticker
            else:
                self.report_error(ticker, failure)

    def submit(self, ticker: Ticker, work: Callable[[Ticker], TickerRow]) -> None:
        """Report what `work` gives for a ticker; neither its error nor Ctrl-C interrupts the others' work or its own."""
        self._start(ticker, work, deferred=True)

    def _start(
        self, ticker: Ticker, work: Callable[[Ticker], TickerRow | None], *, deferred: bool = False
    ) -> None:
        def guarded() -> None:
            with deferred_interrupts() if deferred else nullcontext():
                try:
                    row = work(ticker)
                except Exception as error:  # noqa: BLE001 - reported as the ticker's
                    self.report_error(ticker, as_error(error))
                    return
                # Outside the handler: an output that cannot be written is no error of the ticker.
                if row is not None:
                    self.report(row)

        if self._session.workers == 1:
            guarded()
        else:
            self._pending.add(self._pool.submit(guarded))

    def wait(self) -> None:
        """Wait for all work; errors not attributable to a ticker are re-raised here."""
        while self._pending:
            finished, self._pending = wait(self._pending, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()

    def close(self) -> None:
        """Let the workers finish what they have started, and nothing else."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def as_error(error: Exception) -> CryptoRefactorError:
    """Return an error of the tool as it is, and anything else as an internal error, logged with its traceback."""
    if isinstance(error, CryptoRefactorError):
        return error
    _log.debug("An unexpected exception:", exc_info=error)
    return InternalError.of(error)


@contextmanager
def open_pool(
    session: TradingSession, on_row: OnRow, on_error: OnError | None = None
) -> Iterator[TickerPool]:
    """Return a pool that is closed at the end."""
    pool = TickerPool(session, on_row, on_error)
    try:
        yield pool
    finally:
        pool.close()


def _train(
    session: TradingSession, missing: Mapping[Ticker, Mapping[str, TrainingJob]]
) -> Iterator[tuple[Ticker, ModelError | None]]:
    """Yield each ticker once its models are trained, or with the error that prevents it."""
    waiting = {ticker: set(keys) for ticker, keys in missing.items()}
    jobs = {key: job for by_key in missing.values() for key, job in by_key.items()}
    for ticker in [ticker for ticker, keys in waiting.items() if not keys]:
        del waiting[ticker]
        yield ticker, None
    workers = min(session.workers, len(jobs)) or None
    try:
        for cached in session.models.get_or_train_all(jobs, workers=workers):
            failure = cached.model if isinstance(cached.model, ModelError) else None
            for ticker, keys in list(waiting.items()):
                if cached.key not in keys:
                    continue
                keys.discard(cached.key)
                if failure is not None or not keys:
                    del waiting[ticker]
                    yield ticker, failure
    except ModelError as error:  # nothing can be trained any more; cached models were yielded all the same
        for ticker in waiting:
            yield ticker, error
