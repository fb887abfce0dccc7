"""Stand-ins for training: a network that is known by heart, and a source that holds given bars."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

from crypto_refactor.backtest.walk_forward import PreparedTicker, walk_forward
from crypto_refactor.features.catalogue import indicator_names
from crypto_refactor.market.bars import COLUMNS, Bars, fill_gaps
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.sources.base import LatestPrice
from crypto_refactor.market.sources.sample import SampleSource
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.artifact import DROPPED, ResidualDecision, TrainedModel
from crypto_refactor.model.cache import ModelProvider
from crypto_refactor.model.evidence import Evidence, Record
from crypto_refactor.model.reuse_policy import make_card
from crypto_refactor.model.schedule import refit_periods, training_rows

BTC = Ticker("BTC", "USD")
COLUMN = indicator_names().index("ema_20")
GAIN = 20.0

KNOWN = Evidence(
    n=36,
    slope=0.9,
    slope_se=0.2,
    shrink=0.5,
    mean_slope=0.9,
    mean_slope_se=0.2,
    mean_shrink=0.5,
    hit_rate=0.53,
    rank_correlation=0.05,
    rmse_ratio=0.99,
    mae_ratio=0.98,
    baselines={"minus_last_return": Record(hit_rate=0.52, rank_correlation=0.03)},
    error_quantiles=tuple(np.linspace(0, 2, 101).tolist()),
    interval_error=1.5,
)


@lru_cache
def planted_network(lookback, gain=GAIN):
    """Return an ONNX file that forecasts `gain` times the last bar's close / EMA 20 - 1."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.zeros((14, 1), np.float32)
    weights[COLUMN] = gain
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["features", "last"], ["row"], axis=1),
            helper.make_node("MatMul", ["row", "weights"], ["forecast"]),
        ],
        "planted",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, lookback, 14])],
        [helper.make_tensor_value_info("forecast", TensorProto.FLOAT, [None, 1])],
        [
            numpy_helper.from_array(np.array(lookback - 1, np.int64), "last"),
            numpy_helper.from_array(weights, "weights"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def planted_model(data, settings, *, evidence=KNOWN, gain=GAIN):
    """Return what training on `data` would, with a fingerprint that depends on all of it."""
    digest = hashlib.sha256(f"{settings.seed} {settings.network} {data.trained_through}".encode())
    digest.update(data.inputs.tobytes() + data.returns.tobytes())
    onnx = planted_network(settings.lookback, gain)
    return TrainedModel(
        keras=b"keras " + digest.digest(),
        onnx=onnx,
        weights=digest.hexdigest()[:16],
        volatility_floor=1e-8,
        threshold_scale=0.05,
        evidence=evidence,
        epochs=3,
        stop_loss=0.25,
        stop_loss_ratio=0.995,
        residual_decision=ResidualDecision(decision=DROPPED, t=0.4),
    )


def planted_card(data, settings, bars, **options):
    """Return the card and the two files of a planted model."""
    trained = planted_model(data, settings, **options)
    return make_card(trained, data, bars, settings), {"keras": trained.keras, "onnx": trained.onnx}


class PlantedFits:
    """Takes the place of `fit_all`: counts what is trained and hands it out in reverse order."""

    def __init__(self):
        self.calls = []

    @property
    def trained(self):
        return sum(map(len, self.calls))

    def __call__(self, jobs, settings, on_progress, *, workers=None, cluster=None):
        self.calls.append(list(jobs))
        for position in reversed(range(len(jobs))):
            yield position, planted_model(jobs[position], settings)


def walk_over(bars, first, last, settings, rules, folder, *, pinned=None):
    """Decide the closes from `first` to `last` walk-forward."""
    periods = refit_periods(bars, first, last, settings)
    prepared = PreparedTicker(
        quoted=bars,
        bars=bars,
        window=fill_gaps(bars).between(first - 1, last),
        quality=None,
        periods=tuple(periods),
        data=() if pinned else tuple(training_rows(period, settings) for period in periods),
    )
    return walk_forward(prepared, ModelProvider(folder=folder, settings=settings), rules, pinned=pinned)


class HeldBars:
    """A source of given bars; `now` is the close of the last one."""

    def __init__(self, bars):
        self.held = bars
        self.name = bars.source

    def bars(self, ticker, start, end):
        assert ticker == self.held.ticker
        return self.held.between(start, end)

    def prefetch(self, tickers, hours, end=None):
        """Everything is here already."""

    def left_out(self, ticker):
        return ()

    def doubts(self, ticker):
        return ()

    def notes(self):
        return ()

    def latest_price(self, ticker):
        return LatestPrice(price=float(self.held.close[-1]), at=to_iso(self.now(ticker)))

    def now(self, ticker):
        return int(self.held.closed[-1])


@lru_cache
def sample_bars(count=None, ticker=BTC):
    """Return the first `count` simulated bars, or all of them."""
    bars = SampleSource().bars(ticker, 0, 10**7)
    return bars if count is None else bars.prefix(count)


def remade(bars, **changed):
    """Return the same bars with some fields changed."""
    names = ("ticker", "source", "opened", "synthetic", *COLUMNS)
    return Bars(**{name: getattr(bars, name) for name in names} | changed)


def without(bars, *holes):
    """Return `bars` without the hours ``first … last - 1`` of each hole."""
    kept = np.ones(len(bars), dtype=bool)
    for first, stop in holes:
        kept &= (bars.opened < first) | (bars.opened >= stop)
    columns = {name: getattr(bars, name)[kept] for name in ("opened", "synthetic", *COLUMNS)}
    return remade(bars, **columns)
