"""What `check-plugin` finds in indicators that see the future, and in honest ones."""

from __future__ import annotations

import numpy as np
import pytest
from support.plugin_files import EXAMPLE, written
from support.stub_models import sample_bars

from crypto_refactor.features.catalogue import CATALOGUE
from crypto_refactor.plugin_checks import check_plugin
from crypto_refactor.plugin_checks.indicator_contracts import IndicatorTrial
from crypto_refactor.plugin_checks.trial_bars import MIN_BARS, trial_bars
from crypto_refactor.plugins import Indicator, Origin, read_plugins

BARS = sample_bars(MIN_BARS)
FIRST = int(BARS.closed[0])


def breaches(path):
    """Return the breach of each broken contract by its name."""
    report = check_plugin(*read_plugins(path), [BARS])
    return {contract.name: contract.breach for contract in report.contracts if not contract.kept}


def leak(folder, body, warmup=1):
    return written(folder, f"\n@plugin.indicator(warmup={warmup})\ndef leak(bars):\n    {body}\n")


class TestLeaks:
    """Each names the first bar whose value changes, and both values."""

    def test_a_centred_window(self, tmp_path):
        body = "return pd.Series(bars.close / bars.open).rolling(25, center=True, min_periods=1).mean().to_numpy()"
        found = breaches(leak(tmp_path, body, warmup=24))["prefix"]
        assert found.bar == FIRST + 24
        ratio = BARS.close / BARS.open
        assert found.known == pytest.approx(ratio[12:37].mean(), rel=1e-12)
        assert found.hidden == pytest.approx(ratio[12:25].mean(), rel=1e-12)

    def test_a_backward_fill(self, tmp_path):
        """Only where something is missing: in the hours without volume."""
        body = "return (pd.Series(bars.volume).where(bars.volume > 0).bfill().ffill() / bars.volume.max()).to_numpy()"
        body = body.replace(" / bars.volume.max()", "")
        found = breaches(leak(tmp_path, body))["prefix"]
        assert found.bars.endswith("50 hours silent")
        assert found.bar == FIRST + 560
        assert found.known == BARS.volume[610]
        assert found.hidden == BARS.volume[559]

    def test_a_scale_of_the_whole_series(self, tmp_path):
        body = "r = np.log(bars.close); return (r - r.mean()) / r.std()"
        found = breaches(leak(tmp_path, body))["prefix"]
        logs = np.log(BARS.close)
        assert found.bar == FIRST + 1
        assert found.known == pytest.approx((logs[1] - logs.mean()) / logs.std())

    @pytest.mark.parametrize(("filled", "hidden"), [("", np.nan), (".fillna(0.0)", 0.0)])
    def test_a_shift_by_minus_one(self, tmp_path, filled, hidden):
        body = f"return np.log(pd.Series(bars.close).shift(-1) / bars.close){filled}.to_numpy()"
        found = breaches(leak(tmp_path, body))["prefix"]
        assert found.bar == FIRST + 1
        assert found.known == pytest.approx(np.log(BARS.close[2] / BARS.close[1]))
        np.testing.assert_equal(found.hidden, hidden)

    def test_resampling_that_labels_left(self, tmp_path):
        body = (
            "at = pd.to_datetime(bars.opened * 3600, unit='s'); close = pd.Series(bars.close, index=at); "
            "return close.resample('4h', label='left').last().reindex(at, method='ffill').to_numpy() / bars.close"
        )
        found = breaches(leak(tmp_path, body, warmup=4))["prefix"]
        row = next(row for row in range(4, 9) if int(BARS.opened[row]) % 4 != 3)
        last = row + 3 - int(BARS.opened[row]) % 4
        assert found.bar == FIRST + row
        assert found.known == BARS.close[last] / BARS.close[row]

    def test_a_global_cache(self, tmp_path):
        path = written(
            tmp_path,
            "SCALE = {}\n\n@plugin.indicator(warmup=1)\ndef leak(bars):\n"
            "    scale = SCALE.setdefault('scale', bars.close[:500].mean())\n    return bars.close / scale\n",
        )
        found = breaches(path)["repeat"]
        assert found.bar == FIRST + 1
        assert "after it was computed for other bars" in found.text

    def test_a_cache_by_where_the_data_begin(self, tmp_path):
        path = written(
            tmp_path,
            "SEEN = set()\n\n@plugin.indicator(warmup=1)\ndef leak(bars):\n"
            "    SEEN.add(int(bars.opened[0]))\n    return bars.close / bars.open * len(SEEN)\n",
        )
        assert set(breaches(path)) == {"repeat"}

    def test_a_value_that_depends_on_where_the_data_begin(self, tmp_path):
        found = breaches(leak(tmp_path, "return bars.close / bars.close[0]"))
        assert set(found) == {"start"}
        assert found["start"].bar == FIRST + 2
        assert found["start"].known == BARS.close[2] / BARS.close[0]
        assert found["start"].hidden == BARS.close[2] / BARS.close[1]

    @pytest.mark.parametrize(
        ("body", "row"),
        [
            # One bar in a month.
            (
                "at = np.arange(len(bars)) % 720 == 17; return np.where(at, np.append(bars.close[1:], bars.close[-1]) / bars.close, 1.0)",
                737,
            ),
            # Only where a series is long.
            (
                "late = np.append(bars.close[1:], bars.close[-1]) / bars.close; return late if len(bars) > 1000 else np.ones(len(bars))",
                1,
            ),
        ],
    )
    def test_one_that_is_rare_or_needs_a_long_series(self, tmp_path, body, row):
        (file,) = read_plugins(leak(tmp_path, body))
        bars = sample_bars(1100)
        report = check_plugin(file, [bars])
        (broken,) = (each for each in report.contracts if not each.kept and each.name == "prefix")
        assert broken.breach.bar == int(bars.closed[row])

    def test_one_that_writes_what_it_has_seen_beside_it(self, tmp_path):
        """The first run on a machine shows it: shorter series come first."""
        body = (
            "import json, pathlib; seen = pathlib.Path(__file__).with_suffix('.json'); "
            "old = json.loads(seen.read_text()) if seen.exists() else []; new = bars.close.tolist(); "
            "seen.write_text(json.dumps(max(old, new, key=len))); "
            "return np.array((max(old, new, key=len) + [new[-1]])[1 : len(new) + 1]) / bars.close"
        )
        assert "prefix" in breaches(leak(tmp_path, body))


class TestOtherContracts:
    @pytest.mark.parametrize(
        ("name", "body", "said"),
        [
            ("scale", "return bars.close - bars.open", "with every price times 1e-06"),
            ("scale", "return np.log1p(bars.volume)", "with every volume times 1e-06"),
            ("repeat", "return np.random.default_rng().normal(size=len(bars))", "in a second run"),
            ("shape", "return bars.close > bars.open", "it gives bool of shape (501,), from 501 bars"),
            ("shape", "raise SystemExit(0)", "it fails with SystemExit: 0"),
            (
                "shape",
                "return 1 / 0 if len(bars) > 700 else bars.close / bars.open",
                "from the first 701 bars",
            ),
            (
                "shape",
                "bars.close.flags.writeable = True; return bars.close / bars.open",
                "it fails with ValueError",
            ),
            (
                "shape",
                "return 1 / 0",
                "it fails with ZeroDivisionError: division by zero, from the first 501 bars",
            ),
            ("shape", "return np.log(bars.volume) * 0 + 1.0", "is nan, beyond its warm-up of 1 bars"),
        ],
    )
    def test_each_is_named(self, tmp_path, name, body, said):
        assert said in breaches(leak(tmp_path, body))[name].text

    def test_a_model_input_that_changes_the_value(self, tmp_path):
        path = written(
            tmp_path,
            "def halved(bars, value):\n    value /= 2\n    return value\n\n"
            "@plugin.indicator(warmup=0, model_input=halved)\ndef leak(bars):\n    return bars.close / bars.open\n",
        )
        assert breaches(path)["input"].text == "its own value changed"

    def test_rounding_alone_is_called_so(self, tmp_path):
        """A product over the whole array rounds by its length."""
        body = "f = np.fft.irfft(np.fft.rfft(np.pad(bars.close / bars.open, (0, len(bars)))), 2 * len(bars)); return f[:len(bars)]"
        assert "rounding alone" in breaches(leak(tmp_path, body))["prefix"].text


HONEST = """
def returns(bars):
    return pd.Series(np.log(bars.close)).diff().fillna(0.0)

@plugin.indicator(warmup=14)
def williams_r(bars):
    high, low = pd.Series(bars.high).rolling(14).max(), pd.Series(bars.low).rolling(14).min()
    return ((high - bars.close) / (high - low).where(high > low, 1.0)).to_numpy()

@plugin.indicator(warmup=12)
def rate_of_change(bars):
    return pd.Series(bars.close).pct_change(12).to_numpy()

@plugin.indicator(warmup=20)
def donchian_position(bars):
    high, low = pd.Series(bars.high).rolling(20).max(), pd.Series(bars.low).rolling(20).min()
    return ((bars.close - low) / (high - low).where(high > low, 1.0)).to_numpy()

@plugin.indicator(warmup=400, model_input=lambda bars, value: bars.close / value - 1)
def hull(bars):
    close = pd.Series(bars.close)
    fast, slow = (close.ewm(span=span, adjust=False).mean() for span in (8, 16))
    return (2 * fast - slow).ewm(span=4, adjust=False).mean().to_numpy()

@plugin.indicator(warmup=48)
def skewness(bars):
    windows = np.lib.stride_tricks.sliding_window_view(returns(bars).to_numpy(), 48)
    centred = windows - windows.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=1))
    third = np.cbrt((centred**3).mean(axis=1)) / np.where(spread > 0, spread, 1.0)
    return np.concatenate([np.full(47, np.nan), third])

@plugin.indicator(warmup=24)
def parkinson(bars):
    squares = pd.Series(np.log(bars.high / bars.low) ** 2)
    return np.sqrt(squares.rolling(24).mean().clip(lower=0)).to_numpy()

@plugin.indicator(warmup=72)
def volume_rank(bars):
    return pd.Series(bars.volume).rolling(72).rank(pct=True).to_numpy()

@plugin.indicator(warmup=0)
def hour_of_day(bars):
    return np.sin(2 * np.pi * (bars.opened % 24) / 24)

@plugin.indicator(warmup=1)
def gap(bars):
    return np.concatenate([[0.0], np.log(bars.open[1:] / bars.close[:-1])])

@plugin.indicator(warmup=24)
def sign_balance(bars):
    return pd.Series(np.sign(returns(bars))).rolling(24).mean().to_numpy()
"""


@pytest.mark.slow
def test_ten_honest_indicators_keep_every_contract(tmp_path):
    report = check_plugin(*read_plugins(written(tmp_path, HONEST)), [BARS])
    assert [contract for contract in report.contracts if not contract.kept] == []
    assert len(report.milliseconds) == 10
    assert report.passed


@pytest.mark.slow
def test_the_built_in_ones_keep_every_contract(monkeypatch):
    """Declared as a plug-in declares them."""
    monkeypatch.setattr(IndicatorTrial, "_indicator", lambda trial: INDICATORS[trial.name])
    for trial in trial_bars(BARS):
        for name, indicator in INDICATORS.items():
            contracts = IndicatorTrial(None, name, indicator.warmup, trial).contracts()
            assert [contract for contract in contracts if not contract.kept] == [], name


INDICATORS = {
    spec.name: Indicator(
        name=spec.name,
        origin=Origin(path=EXAMPLE, line=1, name=spec.name),
        value=spec.value,
        model_input=spec.model_input,
        warmup=500,
        formula=spec.formula,
        input_formula=spec.input_formula,
        source=spec.source,
    )
    for spec in CATALOGUE
}
