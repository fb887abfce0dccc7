"""What `check-plugin` finds in conditions, exits and networks."""

from __future__ import annotations

import pytest
from support.plugin_files import EXAMPLE, written
from support.stub_models import sample_bars

from crypto_refactor.errors import DataError, PluginError
from crypto_refactor.plugin_checks import check_plugin
from crypto_refactor.plugin_checks.trial_bars import MIN_BARS
from crypto_refactor.plugins import read_plugins

BARS = sample_bars(MIN_BARS)


def broken(path):
    report = check_plugin(*read_plugins(path), [BARS])
    return {(each.kind, each.name): each.breach for each in report.contracts if not each.kept}


DECORATORS = {"condition": "@plugin.condition(long='up', short='down')", "exit": "@plugin.exit()"}


@pytest.mark.parametrize("kind", DECORATORS)
class TestConditionsAndExits:
    def written(self, folder, kind, body):
        return written(folder, f"{DECORATORS[kind]}\ndef mine(values):\n    {body}\n")

    def test_one_that_looks_at_other_closes(self, tmp_path, kind):
        body = "return values['rsi'] > values['rsi'].mean(), values['rsi'] < 0"
        found = broken(self.written(tmp_path, kind, body))
        assert set(found) == {(kind, "alone"), (kind, "prefix")}
        assert (
            found[kind, "alone"].text
            == "for long it holds among all closes and does not hold when this close is judged alone"
        )
        assert found[kind, "alone"].bar is not None

    def test_one_whose_indicator_passes_it_the_future(self, tmp_path, kind):
        path = written(
            tmp_path,
            "KNOWN = {}\n\n@plugin.indicator(warmup=0)\ndef innocent(bars):\n    KNOWN['last'] = bars.close[-1]\n"
            f"    return np.ones(len(bars))\n\n{DECORATORS[kind]}\ndef mine(values):\n"
            "    return values['close'] < KNOWN['last'], values['close'] > KNOWN['last']\n",
        )
        assert (kind, "prefix") in broken(path)

    def test_one_that_changes_what_the_others_see(self, tmp_path, kind):
        found = broken(self.written(tmp_path, kind, "values['rsi'] = 0; return (values['adx'] > 0,) * 2"))
        assert "'mappingproxy' object does not support item assignment" in found[kind, "shape"].text

    def test_one_that_tosses_a_coin(self, tmp_path, kind):
        body = "return np.random.default_rng().random(len(values['rsi'])) > 0.5, values['rsi'] < 0"
        assert (kind, "repeat") in broken(self.written(tmp_path, kind, body))

    def test_one_that_gives_numbers(self, tmp_path, kind):
        found = broken(self.written(tmp_path, kind, "return values['rsi'], values['rsi']"))
        assert "it gives float64" in found[kind, "shape"].text


def test_nothing_is_said_of_them_where_an_indicator_is_broken(tmp_path):
    path = written(
        tmp_path,
        "@plugin.indicator(warmup=0)\ndef mine(bars):\n    return bars.close > 0\n\n"
        "@plugin.condition(long='', short='')\ndef other(values):\n    return values['mine'] > 0, values['mine'] > 0\n",
    )
    report = check_plugin(*read_plugins(path), [BARS])
    assert [(contract.piece, contract.name) for contract in report.contracts] == [("mine", "shape")]


def test_a_plugin_that_declares_nothing_is_refused(tmp_path):
    with pytest.raises(PluginError, match="declares nothing"):
        check_plugin(*read_plugins(written(tmp_path, "")), [BARS])


def test_a_taken_name_is_refused(tmp_path):
    with pytest.raises(PluginError, match="built-in indicator"):
        check_plugin(
            *read_plugins(written(tmp_path, "@plugin.indicator(warmup=0)\ndef rsi(bars): ...\n")), [BARS]
        )


def test_a_short_series_is_refused():
    with pytest.raises(DataError, match="has 900 bars"):
        check_plugin(*read_plugins(EXAMPLE), [sample_bars(MIN_BARS - 1)])
