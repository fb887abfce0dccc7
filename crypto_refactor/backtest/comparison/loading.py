"""The bars and features of a comparison, once for all parameter sets whose models read the same of them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from crypto_refactor.backtest.comparison.dropped import DroppedTickers
from crypto_refactor.backtest.comparison.request import ComparisonRequest
from crypto_refactor.backtest.walk_forward import PreparedTicker, prepare
from crypto_refactor.errors import CryptoRefactorError, DataError
from crypto_refactor.market.bars import MAX_FILLED_GAP_HOURS
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.networks import LINEAR
from crypto_refactor.model.schedule import hours_needed
from crypto_refactor.model.settings import ModelSettings


def _inputs(settings: ModelSettings) -> ModelSettings:
    """Return what decides which rows a model reads, and which features of them: all but network, residual and seed."""
    return replace(settings, network=LINEAR, residual="auto", seed=0)


class PreparedTickers:
    """The tickers that are ready for the models of each parameter set."""

    def __init__(self, request: ComparisonRequest, end: int, dropped: DroppedTickers) -> None:
        self._request = request
        self._end = end
        self._by_inputs: dict[ModelSettings, list[PreparedTicker]] = {}
        self._load(dropped)

    def of(self, settings: ModelSettings) -> list[PreparedTicker]:
        """Return the tickers that models with these settings can decide, in the order of the request."""
        return self._by_inputs.get(_inputs(settings), [])

    def _load(self, dropped: DroppedTickers) -> None:
        request = self._request
        by_inputs: dict[ModelSettings, list[ModelSettings]] = {}
        for each in request.settings:
            by_inputs.setdefault(_inputs(each.settings), []).append(each.settings)
        tickers = dropped.remaining
        hours = max(hours_needed(request.hours, settings[0]) for settings in by_inputs.values())
        try:
            request.source.prefetch(tickers, hours + MAX_FILLED_GAP_HOURS, self._end)
        except DataError as error:
            for ticker in tickers:
                dropped.fail(ticker, error)
            return
        self._by_inputs = {inputs: [] for inputs in by_inputs}
        for ticker in tickers:
            errors: dict[str, CryptoRefactorError] = {}
            for inputs, settings in by_inputs.items():
                try:
                    self._by_inputs[inputs].append(self._prepare(ticker, settings[0]))
                except CryptoRefactorError as error:
                    errors[self.where(settings)] = error
            _report(ticker, errors, dropped, everywhere=len(errors) == len(by_inputs))

    def where(self, settings: Iterable[ModelSettings]) -> str:
        """Return the values of ``--vary`` that lead to models of these settings; empty where every set has them."""
        wanted = set(settings)
        concerned = [each for each in self._request.settings if each.settings in wanted]
        if len(concerned) == len(self._request.settings):
            return ""
        return " or ".join(dict.fromkeys(each.model_label for each in concerned))

    def _prepare(self, ticker: Ticker, settings: ModelSettings) -> PreparedTicker:
        request = self._request
        return prepare(
            request.source,
            ticker,
            request.hours,
            self._end,
            settings,
            allow_gaps=request.allow_gaps,
            allow_jumps=request.allow_jumps,
            pinned=request.model is not None,
        )


def _report(
    ticker: Ticker, errors: Mapping[str, CryptoRefactorError], dropped: DroppedTickers, *, everywhere: bool
) -> None:
    """Report the errors of one ticker by the parameter sets concerned; once where all of them have the same."""
    if everywhere and len({str(error) for error in errors.values()}) == 1:
        errors = {"": next(iter(errors.values()))}
    for where, error in errors.items():
        dropped.fail(ticker, error, where)
