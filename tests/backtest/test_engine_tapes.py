"""Every transition of the engine on hand-drawn bars, to the cent (see `support.bar_tapes`)."""

from __future__ import annotations

import pytest
from support.bar_tapes import FIRST, play, rows

from crypto_refactor.execution.decisions import Enter, Exit
from crypto_refactor.execution.rules import ExitRule
from crypto_refactor.execution.venues import VenueRules


def lots_of(increment, *, min_quantity=0.0, min_notional=0.0):
    return VenueRules(
        name="test",
        increment=increment,
        min_quantity=min_quantity,
        min_notional=min_notional,
        as_of="2024-01",
    )


# --- signals -------------------------------------------------------------------------------------------


def test_a_long_is_bought_and_sold_at_the_opens_after_its_decisions():
    result = play("""
        100 100 +1 |                              | 1250
        100 120 +1 | buy 10 @ 100 fee 250 entry   | 1200
        110 130  0 |                              | 1300
        140 150  0 | sell 10 @ 140 fee 350 neutral| 1050
        150 160  0 |                              | 1050
    """)
    assert rows(result) == ["long 10: 100 -> 140 gross 400 fees 600 net -200 2h neutral"]
    assert result.target.tolist() == [1, 1, 0, 0, 0]
    assert result.sides.tolist() == [0, 1, 1, 0, 0]
    assert [fill.at for fill in result.fills] == [FIRST + 1, FIRST + 3]


def test_a_short_is_sold_and_covered():
    result = play("""
        100 100 -1 |                              | 1250
        100  80 -1 | sell 10 @ 100 fee 250 entry  | 1200
         80  70  0 |                              | 1300
         60  60  0 | buy 10 @ 60 fee 150 neutral  | 1250
    """)
    assert rows(result) == ["short 10: 100 -> 60 gross 400 fees 400 net 0 2h neutral"]


def test_a_flip_from_long_to_short_pays_two_fees():
    result = play("""
        100 100 +1 |                                                            | 1250
        100 120 -1 | buy 10 @ 100 fee 250 entry                                 | 1200
        120 100 -1 | sell 10 @ 120 fee 300 opposite ; sell 6 @ 120 fee 180 entry| 840
        100 100  0 |                                                            | 840
         80  80  0 | buy 6 @ 80 fee 120 neutral                                 | 840
    """)
    assert rows(result) == [
        "long 10: 100 -> 120 gross 200 fees 550 net -350 1h opposite",
        "short 6: 120 -> 80 gross 240 fees 300 net -60 2h neutral",
    ]


def test_a_flip_from_short_to_long_pays_two_fees():
    result = play("""
        100 100 -1 |                                                          | 1250
        100  90 +1 | sell 10 @ 100 fee 250 entry                              | 1100
         80  90 +1 | buy 10 @ 80 fee 200 opposite ; buy 10 @ 80 fee 200 entry | 900
    """)
    assert rows(result) == [
        "short 10: 100 -> 80 gross 200 fees 450 net -250 1h opposite",
        "long 10: 80 -> 90 gross 100 fees 200 net -100 1h open",
    ]


def test_the_first_bar_only_makes_a_decision_and_nothing_happens_without_one():
    result = play("""
        100 100  0 above |  | 1250
        100 200  0 below |  | 1250
        200  50  0 equal |  | 1250
    """)
    assert result.trades == ()
    assert result.pending == ()


def test_a_position_open_at_the_end_is_marked_not_sold():
    result = play("""
        100 100 +1 |                            | 1250
        100 120 +1 | buy 10 @ 100 fee 250 entry | 1200
        120 130 +1 |                            | 1300
    """)
    assert rows(result) == ["long 10: 100 -> 130 gross 300 fees 250 net 50 2h open"]
    assert not result.trades[0].closed
    assert result.pending == ()


def test_what_the_last_close_decides_is_pending():
    result = play("""
        100 100 +1 |                            | 1250
        100 120 -1 | buy 10 @ 100 fee 250 entry | 1200
    """)
    assert result.pending == (Exit("opposite"), Enter(-1, 1.0))
    assert rows(result) == ["long 10: 100 -> 120 gross 200 fees 250 net -50 1h open"]


def test_an_entry_decided_at_the_last_close_is_pending():
    assert play("100 100 +1 | | 1250", position_size=0.5).pending == (Enter(1, 0.5),)


# --- exit rules ----------------------------------------------------------------------------------------


def test_opposite_holds_a_long_until_the_short_signal():
    result = play(
        """
        100 100 +1       |                                                            | 1250
        100 120  0 below | buy 10 @ 100 fee 250 entry                                 | 1200
        120 130 +1       |                                                            | 1300
        130 110 -1       |                                                            | 1100
        120 100 -1       | sell 10 @ 120 fee 300 opposite ; sell 6 @ 120 fee 180 entry| 840
        100 100  0 above |                                                            | 840
         90  90  0       |                                                            | 900
        """,
        exit=ExitRule.OPPOSITE,
    )
    assert result.target.tolist() == [1, 1, 1, -1, -1, -1, -1]


def test_fade_closes_a_long_once_the_forecast_is_below_the_close():
    play(
        """
        100 100 +1       |                            | 1250
        100 120  0 above | buy 10 @ 100 fee 250 entry | 1200
        120 130  0 equal |                            | 1300
        130 130  0 below |                            | 1300
        140 150  0 below | sell 10 @ 140 fee 350 fade | 1050
        """,
        exit=ExitRule.FADE,
    )


def test_fade_closes_a_short_once_the_forecast_is_above_the_close():
    play(
        """
        100 100 -1       |                             | 1250
        100  90  0 below | sell 10 @ 100 fee 250 entry | 1100
         90  80  0 equal |                             | 1200
         80  80  0 above |                             | 1200
         60  60  0 above | buy 10 @ 60 fee 150 fade    | 1250
        """,
        exit=ExitRule.FADE,
    )


def test_fade_flips_at_the_opposite_signal():
    play(
        """
        100 100 +1 |                                                            | 1250
        100 120 -1 | buy 10 @ 100 fee 250 entry                                 | 1200
        120 100 -1 | sell 10 @ 120 fee 300 opposite ; sell 6 @ 120 fee 180 entry| 840
        """,
        exit=ExitRule.FADE,
    )


@pytest.mark.parametrize("rule", ExitRule)
def test_from_flat_every_exit_rule_enters_on_a_signal_only(rule):
    play(
        """
        100 100  0 above |                             | 1250
        100 100  0 below |                             | 1250
        100 100 -1       |                             | 1250
        100 100 -1       | sell 10 @ 100 fee 250 entry | 1000
        """,
        exit=rule,
    )


@pytest.mark.parametrize("rule", ExitRule)
def test_long_only_closes_a_long_on_a_short_signal_and_opens_nothing(rule):
    play(
        """
        100 100 -1 |                                | 1250
        100 100 +1 |                                | 1250
        100 120 -1 | buy 10 @ 100 fee 250 entry     | 1200
        120 100 -1 | sell 10 @ 120 fee 300 opposite | 900
        100 100 -1 |                                | 900
        """,
        exit=rule,
        long_only=True,
    )


def test_strict_blocks_a_weak_entry_until_it_is_worthwhile():
    play(
        """
        100 100 +1 weak |                            | 1250
        100 100 +1      |                            | 1250
        100 120 +1 weak | buy 10 @ 100 fee 250 entry | 1200
        120 130 +1 weak |                            | 1300
        """,
        strict=True,
    )


def test_strict_never_blocks_the_exit_half_of_a_flip():
    play(
        """
        100 100 +1      |                                | 1250
        100 120 -1 weak | buy 10 @ 100 fee 250 entry     | 1200
        120 120 -1 weak | sell 10 @ 120 fee 300 opposite | 900
        120 120 -1      |                                | 900
        120 100 -1      | sell 6 @ 120 fee 180 entry     | 840
        """,
        strict=True,
    )


def test_a_weak_signal_enters_without_strict():
    play("""
        100 100 +1 weak |                            | 1250
        100 100 +1 weak | buy 10 @ 100 fee 250 entry | 1000
    """)


# --- stop-loss and take-profit -------------------------------------------------------------------------


def test_a_stop_loss_is_seen_at_the_close_filled_at_the_open_and_blocks_re_entry_until_the_target_changes():
    result = play(
        """
        100 100 +1        |                                | 1250
        100  80 +1 low=70 | buy 10 @ 100 fee 250 entry     | 800
         80  75 +1        |                                | 750   # exactly a quarter below the entry
         70  70 +1        | sell 10 @ 70 fee 175 stop_loss | 525
         70  80 +1        |                                | 525
         80  80  0        |                                | 525
         80  80 +1        |                                | 525
         84  84 +1        | buy 5 @ 84 fee 105 entry       | 420
        """,
        stop_loss=0.25,
    )
    assert rows(result)[0] == "long 10: 100 -> 70 gross -300 fees 425 net -725 2h stop_loss"


def test_a_stop_loss_can_strike_on_the_bar_of_the_entry():
    play(
        """
        100 100 +1 |                                | 1250
        100  70 +1 | buy 10 @ 100 fee 250 entry     | 700
         80  80 +1 | sell 10 @ 80 fee 200 stop_loss | 600
         80  80 +1 |                                | 600
        """,
        stop_loss=0.25,
    )


def test_a_take_profit_is_seen_at_the_close_and_filled_at_the_open():
    play(
        """
        100 100 +1          |                                   | 1250
        100 140 +1 high=160 | buy 10 @ 100 fee 250 entry        | 1400
        140 150 +1          |                                   | 1500
        144 150 +1          | sell 10 @ 144 fee 360 take_profit | 1080
        150 150 +1          |                                   | 1080
        150 150 +1          |                                   | 1080
        """,
        stop_loss=0.25,
        take_profit=0.5,
    )


def test_a_short_is_stopped_above_its_entry():
    play(
        """
        100 100 -1          |                                 | 1250
        100 120 -1 high=130 | sell 10 @ 100 fee 250 entry     | 800
        120 125 -1          |                                 | 750
        110 110 -1          | buy 10 @ 110 fee 275 stop_loss  | 625
        110 100 -1          |                                 | 625
        """,
        stop_loss=0.25,
        take_profit=0.5,
    )


def test_a_short_takes_its_profit_below_its_entry():
    play(
        """
        100 100 -1        |                                 | 1250
        100  60 -1 low=40 | sell 10 @ 100 fee 250 entry     | 1400
         60  50 -1        |                                 | 1500
         40  40 -1        | buy 10 @ 40 fee 100 take_profit | 1500
         40  40 -1        |                                 | 1500
        """,
        stop_loss=0.25,
        take_profit=0.5,
    )


def test_a_stop_and_the_opposite_signal_on_one_bar_close_by_the_stop_and_flip():
    result = play(
        """
        100 100 +1 |                                                            | 1250
        100  75 -1 | buy 10 @ 100 fee 250 entry                                 | 750
         80  80 -1 | sell 10 @ 80 fee 200 stop_loss ; sell 6 @ 80 fee 120 entry | 480
        """,
        stop_loss=0.25,
    )
    assert rows(result)[0].endswith("1h stop_loss")


def test_a_stop_and_the_end_of_the_signal_on_one_bar_leave_no_memory():
    play(
        """
        100 100 +1 |                                | 1250
        100  75  0 | buy 10 @ 100 fee 250 entry     | 750
         80  80 +1 | sell 10 @ 80 fee 200 stop_loss | 600
         80  80 +1 | buy 6 @ 80 fee 120 entry       | 480
        """,
        stop_loss=0.25,
    )


def test_after_a_stop_the_opposite_target_may_be_entered_at_once():
    play(
        """
        100 100 +1 |                                | 1250
        100  75 +1 | buy 10 @ 100 fee 250 entry     | 750
         80  80 -1 | sell 10 @ 80 fee 200 stop_loss | 600
         80  80 -1 | sell 6 @ 80 fee 120 entry      | 480
        """,
        stop_loss=0.25,
    )


def test_under_opposite_a_stop_is_reset_once_the_signal_is_gone():
    """While held, no signal still wants the long; flat, it wants nothing: the target has changed."""
    play(
        """
        100 100 +1 |                                | 1250
        100  75  0 | buy 10 @ 100 fee 250 entry     | 750
         80  80 +1 | sell 10 @ 80 fee 200 stop_loss | 600
         80  80  0 |                                | 600
         80  80 +1 |                                | 600
         80  80 +1 | buy 6 @ 80 fee 120 entry       | 480
        """,
        exit=ExitRule.OPPOSITE,
        stop_loss=0.25,
    )


def test_a_bar_that_cannot_be_decided_on_does_not_reset_a_stop():
    play(
        """
        100 100 +1         |                                | 1250
        100  75 +1         | buy 10 @ 100 fee 250 entry     | 750
         80  80  0 blind   | sell 10 @ 80 fee 200 stop_loss | 600
         80  80  0 synth   |                                | 600
         80  80 +1         |                                | 600
         80  80 +1         |                                | 600
        """,
        stop_loss=0.25,
    )


def test_stops_hang_on_the_fill_price_slippage_included():
    play(
        """
        100 100 +1 |                                | 1375
        100  83 +1 | buy 10 @ 110 fee 275 entry     | 830    # 110 less a quarter is 82.50
         83  82 +1 |                                | 820
        100 100 +1 | sell 10 @ 90 fee 225 stop_loss | 675
        """,
        balance=1375,
        slippage_bps=1000,
        stop_loss=0.25,
    )


# --- drawdown halt -------------------------------------------------------------------------------------


def test_a_drawdown_halts_entries_for_good_but_never_an_exit():
    result = play(
        """
        100 100 +1 |                               | 1250
        100  70 +1 | buy 10 @ 100 fee 250 entry    | 700
         70  62 +1 |                               | 620    # half of 1250 is 625
         64  64 +1 |                               | 640
         64  64 -1 |                               | 640
         80  80 -1 | sell 10 @ 80 fee 200 opposite | 600
         80  80 +1 |                               | 600
         80  80 -1 |                               | 600
         80  80  0 |                               | 600
        """,
        max_drawdown=0.5,
    )
    assert result.halted_at == FIRST + 3
    assert result.account.halted


def test_what_borrow_took_on_synthetic_bars_halts_at_the_next_real_close():
    # 4500 a year is 51.4 % of the notional an hour.
    result = play(
        """
        100 100 -1         |                               | 1250
        100 100 -1         | sell 12.5 @ 100 fee 0 entry   | 607.88
        100 100 -1 synth   | buy 12.5 @ 97.260274 fee 0 ruin | 0
        100 100  0 synth   |                               | 0
        100 100  0         |                               | 0
        100 100  0         |                               | 0
        """,
        fee=0.0,
        borrow=4500.0,
        max_drawdown=0.9,
    )
    assert result.halted_at == FIRST + 5
    assert result.account.halted


def test_the_drawdown_is_measured_from_the_highest_close():
    result = play(
        """
        100 100 +1 |                               | 1250
        100 250 +1 | buy 10 @ 100 fee 250 entry    | 2500
        250 126 +1 |                               | 1260
        126 125 -1 |                               | 1250
        128 128 -1 | sell 10 @ 128 fee 320 opposite| 960
        128 128 -1 |                               | 960
        """,
        max_drawdown=0.5,
    )
    assert result.halted_at == FIRST + 4


def test_the_drawdown_sees_the_initial_balance():
    """The entry fee alone takes a fifth of the initial balance."""
    result = play(
        """
        100 100 +1 |                                | 1250
        100 100 -1 | buy 10 @ 100 fee 250 entry     | 1000
        100 100 -1 | sell 10 @ 100 fee 250 opposite | 750
        100 100 -1 |                                | 750
        """,
        max_drawdown=0.2,
    )
    assert result.halted_at == FIRST + 2


def test_the_drawdown_is_watched_where_nothing_can_be_decided():
    result = play(
        """
        100 100 +1       |                               | 1250
        100  60 +1 blind | buy 10 @ 100 fee 250 entry    | 600
        100 100 +1       | sell 10 @ 100 fee 250 no_data | 750
        100 100 +1       |                               | 750
        """,
        max_drawdown=0.5,
    )
    assert result.halted_at == FIRST + 2


def test_without_the_rule_no_drawdown_halts():
    result = play("""
        100 100 +1 |                            | 1250
        100   1 +1 | buy 10 @ 100 fee 250 entry | 10
    """)
    assert result.halted_at is None


# --- gaps ----------------------------------------------------------------------------------------------


def test_an_entry_lapses_over_a_synthetic_bar_and_may_be_decided_afresh():
    play("""
        100 100 +1         |                            | 1250
        100 100 +1 synth   |                            | 1250
        110 110 +1         |                            | 1250
        100 120 +1         | buy 10 @ 100 fee 250 entry | 1200
    """)


def test_an_exit_waits_for_the_next_real_open():
    result = play("""
        100 100 +1         |                               | 1250
        100 120  0         | buy 10 @ 100 fee 250 entry    | 1200
        120 120 +1 synth   |                               | 1200
        120 120 +1 synth   |                               | 1200
        140 150  0         | sell 10 @ 140 fee 350 neutral | 1050
    """)
    assert rows(result) == ["long 10: 100 -> 140 gross 400 fees 600 net -200 3h neutral"]


def test_a_flip_over_a_synthetic_bar_keeps_its_exit_and_loses_its_entry():
    play("""
        100 100 +1         |                                | 1250
        100 120 -1         | buy 10 @ 100 fee 250 entry     | 1200
        120 120 -1 synth   |                                | 1200
        120 110 -1         | sell 10 @ 120 fee 300 opposite | 900
        120 100 -1         | sell 6 @ 120 fee 180 entry     | 840
    """)


def test_a_synthetic_bar_decides_nothing():
    result = play("""
        100 100 +1         |                            | 1250
        100 120 +1         | buy 10 @ 100 fee 250 entry | 1200
        120 120 -1 synth   |                            | 1200
        120 120  0 synth   |                            | 1200
        130 130 +1         |                            | 1300
    """)
    assert result.target.tolist() == [1, 1, 0, 0, 1]
    assert result.sides.tolist() == [0, 1, 1, 1, 1]


def test_a_stop_waits_for_the_next_real_open_and_still_blocks_re_entry():
    play(
        """
        100 100 +1         |                                | 1250
        100  75 +1         | buy 10 @ 100 fee 250 entry     | 750
         75  75 +1 synth   |                                | 750
         80 100 +1         | sell 10 @ 80 fee 200 stop_loss | 600
        100 100 +1         |                                | 600
        """,
        stop_loss=0.25,
    )


def test_over_a_split_an_entry_lapses():
    play("""
        100 100 +1 |  | 1250
        ...
        100 100  0 |  | 1250
    """)


def test_over_a_split_an_exit_fills_at_the_next_real_open():
    result = play("""
        100 100 +1 |                                | 1250
        100 120 -1 | buy 10 @ 100 fee 250 entry     | 1200
        ...
        120 110  0 | sell 10 @ 120 fee 300 opposite | 900
    """)
    assert rows(result) == ["long 10: 100 -> 120 gross 200 fees 550 net -350 101h opposite"]


def test_a_bar_without_enough_data_closes_at_the_next_real_open_also_after_a_split():
    result = play("""
        100 100 +1       |                               | 1250
        100 120 +1       | buy 10 @ 100 fee 250 entry    | 1200
        ...
        130 130 +1 blind |                               | 1300
        140 140 +1 blind | sell 10 @ 140 fee 350 no_data | 1050
        140 140 +1 blind |                               | 1050
        140 140 +1       |                               | 1050
        112 112 +1       | buy 7.5 @ 112 fee 210 entry   | 840
    """)
    assert rows(result)[0] == "long 10: 100 -> 140 gross 400 fees 600 net -200 102h no_data"
    assert result.target.tolist() == [1, 1, 0, 0, 0, 1, 1]


def test_a_no_data_exit_waits_over_synthetic_bars():
    play("""
        100 100 -1         |                              | 1250
        100  80 -1 blind   | sell 10 @ 100 fee 250 entry  | 1200
         80  80 -1 synth   |                              | 1200
         60  60  0         | buy 10 @ 60 fee 150 no_data  | 1250
    """)


def test_a_bar_without_enough_data_does_not_undo_the_order_that_fills_at_its_open():
    play("""
        100 100 +1       |                               | 1250
        100 120 +1 blind | buy 10 @ 100 fee 250 entry    | 1200
        140 140  0       | sell 10 @ 140 fee 350 no_data | 1050
    """)


# --- ruin ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("close", [200, 250])
def test_a_short_is_ruined_at_a_close_with_exactly_nothing_left(close):
    result = play(f"""
        100 100 -1     |                             | 1250
        100 100 -1     | sell 10 @ 100 fee 250 entry | 1000
        100 {close} +1 | buy 10 @ 160 fee 400 ruin   | 0      # 2000 = 10 * 160 * 1.25
        100 100 +1     |                             | 0
        100 100 -1     |                             | 0
        100 100  0     |                             | 0
    """)
    assert result.equity[2:].tolist() == [0.0, 0.0, 0.0, 0.0]
    assert rows(result) == ["short 10: 100 -> 160 gross -600 fees 650 net -1250 2h ruin"]
    assert result.account.ruined


@pytest.mark.parametrize("signal", ["0", "+1"])
def test_a_short_is_ruined_at_a_fill_it_cannot_pay_and_nothing_follows(signal):
    result = play(f"""
        100 100 -1       |                             | 1250
        100 150 {signal} | sell 10 @ 100 fee 250 entry | 500
        170 100 +1       | buy 10 @ 160 fee 400 ruin   | 0      # 10 * 170 * 1.25 = 2125
        100 100 +1       |                             | 0
    """)
    assert result.equity[2:].tolist() == [0.0, 0.0]
    assert rows(result) == ["short 10: 100 -> 160 gross -600 fees 650 net -1250 1h ruin"]


def test_a_short_of_half_the_cash_is_ruined_later():
    play(
        """
        100 100 -1 |                              | 1250
        100 324 -1 | sell 5 @ 100 fee 125 entry   | 5
        324 325 -1 | buy 5 @ 260 fee 325 ruin     | 0
        325 100  0 |                              | 0
        """,
        position_size=0.5,
    )


def test_an_open_above_the_ruinous_price_is_no_ruin_while_nothing_fills():
    play("""
        100 100 -1 |                             | 1250
        100 150 -1 | sell 10 @ 100 fee 250 entry | 500
        300 150 -1 |                             | 500
    """)


def test_ruin_by_borrow_takes_the_waiting_exit_with_it():
    result = play(
        """
        100 100 -1         |                             | 1250
        100 100  0         | sell 10 @ 100 fee 250 entry | 500
        100 100  0 synth   | buy 10 @ 80 fee 200 ruin    | 0
        100 100  0         |                             | 0
        """,
        borrow=0.5 * 8760,
    )
    assert rows(result) == ["short 10: 100 -> 80 gross 200 fees 1450 net -1250 2h ruin"]


def test_more_borrow_than_cash_takes_the_cash_and_no_more():
    result = play(
        """
        100 100 -1 |                             | 1250
        100 100 -1 | sell 10 @ 100 fee 250 entry ; buy 10 @ 0 fee 0 ruin | 0
        """,
        borrow=9.0 * 8760,
    )
    assert rows(result) == ["short 10: 100 -> 0 gross 1000 fees 2250 net -1250 1h ruin"]


# --- size and cost -------------------------------------------------------------------------------------


def test_position_size_is_a_fraction_of_the_cash_fee_included():
    play(
        """
        100 100 +1 |                              | 1250
        100 120  0 | buy 5 @ 100 fee 125 entry    | 1225
        120 120 -1 | sell 5 @ 120 fee 150 neutral | 1075
         86 100 -1 | sell 5 @ 86 fee 107.50 entry | 897.50   # 537.50 / (86 * 1.25) = 5
        """,
        position_size=0.5,
    )


def test_max_notional_bounds_the_entry_money():
    play(
        """
        100 100 +1 |                                | 1250
        100 120 -1 | buy 4 @ 100 fee 100 entry      | 1230
        125 125 -1 | sell 4 @ 125 fee 125 opposite ; sell 3.2 @ 125 fee 100 entry | 1025
        """,
        max_notional=500,
    )


def test_max_notional_above_the_cash_changes_nothing():
    play(
        """
        100 100 +1 |                            | 1250
        100 120 +1 | buy 10 @ 100 fee 250 entry | 1200
        """,
        max_notional=5000,
    )


def test_slippage_moves_every_fill_of_a_long_against_the_trader():
    play(
        """
        100 100 +1 |                               | 1375
        100 100  0 | buy 10 @ 110 fee 275 entry    | 1000
        120 120  0 | sell 10 @ 108 fee 270 neutral | 810
        """,
        balance=1375,
        slippage_bps=1000,
    )


def test_slippage_moves_every_fill_of_a_short_against_the_trader():
    play(
        """
        100 100 -1 |                              | 1125
        100 100  0 | sell 10 @ 90 fee 225 entry   | 800
         60  60  0 | buy 10 @ 66 fee 165 neutral  | 975
        """,
        balance=1125,
        slippage_bps=1000,
    )


def test_borrow_is_charged_to_a_short_on_every_bar_it_is_held_at_the_close():
    result = play(
        """
        100 100 -1         |                              | 1250
        100 100 -1         | sell 10 @ 100 fee 250 entry  | 990    # 1 % of 1000
        100 100 -1 synth   |                              | 980
        100 120  0         |                              | 768    # 1 % of 1200
        110 110  0         | buy 10 @ 110 fee 275 neutral | 593
        """,
        borrow=87.6,
    )
    assert rows(result) == ["short 10: 100 -> 110 gross -100 fees 557 net -657 3h neutral"]


def test_borrow_is_not_charged_to_a_long():
    play(
        """
        100 100 +1 |                           | 1250
        100 100 +1 | buy 5 @ 100 fee 125 entry | 1125
        100 100 +1 |                           | 1125
        """,
        borrow=87.6,
        position_size=0.5,
    )


# --- venue ---------------------------------------------------------------------------------------------


def test_at_a_venue_the_fee_is_taken_in_what_is_received():
    result = play(
        """
        100 100 +1 |                              | 1250
        100 120  0 | buy 12 @ 100 fee 300 entry   | 1130   # 12.5 rounded down; 9 received, 50 left
        120 120  0 | sell 9 @ 120 fee 270 neutral | 860
        """,
        venue=lots_of(1),
        long_only=True,
    )
    assert rows(result) == ["long 9: 100 -> 120 gross 180 fees 570 net -390 1h neutral"]


def test_dust_joins_the_next_position_at_average_cost():
    result = play(
        """
        100 100 +1 |                               | 1250
        100 120  0 | buy 12 @ 100 fee 300 entry    | 1130   # 9 received
        120 120  0 | sell 8 @ 120 fee 240 neutral  | 890    # 1 left, with a ninth of the entry fee
        120 120 +1 |                               | 890
         60  60 +1 | buy 12 @ 60 fee 180 entry     | 650    # 9 received: 10 held, 64 each
         60  60  0 |                               | 650
         70  70  0 | sell 10 @ 70 fee 175 neutral  | 575
        """,
        venue=lots_of(2),
        long_only=True,
    )
    assert rows(result) == [
        "long 8: 100 -> 120 gross 160 fees 506.67 net -346.67 1h neutral",
        "long 10: 64 -> 70 gross 60 fees 388.33 net -328.33 2h neutral",
    ]
    assert 1250 + sum(trade.net_pnl for trade in result.trades) == pytest.approx(575, abs=1e-9)
    assert result.sides.tolist() == [0, 1, 0, 0, 1, 1, 0]


def test_dust_at_the_end_has_its_own_row():
    result = play(
        """
        100 100 +1 |                               | 1250
        100 120  0 | buy 12 @ 100 fee 300 entry    | 1130
        120 120  0 | sell 8 @ 120 fee 240 neutral  | 890
        120 130  0 |                               | 900
        """,
        venue=lots_of(2),
        long_only=True,
    )
    assert rows(result) == [
        "long 8: 100 -> 120 gross 160 fees 506.67 net -346.67 1h neutral",
        "long 1: 100 -> 130 gross 30 fees 33.33 net -3.33 3h dust",
    ]
    assert [trade.closed for trade in result.trades] == [True, False]
    assert 1250 + sum(trade.net_pnl for trade in result.trades) == pytest.approx(900, abs=1e-9)
    assert result.sides.tolist() == [0, 1, 0, 0]
    assert result.quantity.tolist() == [0, 9, 1, 1]


def test_an_entry_below_the_minimum_is_not_placed():
    result = play(
        """
        100 100 +1 |  | 1250   # 12 * 100 = 1200
        100 100 +1 |  | 1250
        """,
        venue=lots_of(1, min_notional=1201),
        long_only=True,
    )
    assert result.pending == (Enter(1, 1.0),)


def test_an_entry_is_placed_once_it_reaches_the_minimum():
    """At 99 the 9 received could not be sold again for 900; at 100 they could."""
    play(
        """
        100 100 +1 |                              | 1250
         99 100 +1 |                              | 1250
        100 100 +1 | buy 12 @ 100 fee 300 entry   | 950
        """,
        venue=lots_of(1, min_notional=900),
        long_only=True,
    )


def test_an_entry_below_the_minimum_quantity_is_not_placed():
    result = play(
        """
        100 100 +1 |  | 1250
        100 100 +1 |  | 1250
        """,
        venue=lots_of(1, min_quantity=13),
        long_only=True,
    )
    assert result.pending == (Enter(1, 1.0),)


def test_what_could_not_be_sold_again_is_not_bought():
    """12 reach the minimum of 1000, the 9 received would not."""
    play(
        """
        100 100 +1 |  | 1250
        100 100 +1 |  | 1250
        """,
        venue=lots_of(1, min_notional=1000),
        long_only=True,
    )


def test_an_exit_below_the_minimum_leaves_the_position_and_is_decided_afresh():
    result = play(
        """
        100 100 +1 |                              | 1250
        100 100  0 | buy 12 @ 100 fee 300 entry   | 950
         80  80  0 |                              | 770    # 9 * 80 = 720
        100 100 +1 | sell 9 @ 100 fee 225 neutral | 725
        """,
        venue=lots_of(1, min_notional=800),
        long_only=True,
    )
    assert result.sides.tolist() == [0, 1, 1, 0]


def test_a_refused_exit_lets_go_when_the_signal_returns():
    result = play(
        """
        100 100 +1 |                              | 1250
        100 100  0 | buy 12 @ 100 fee 300 entry   | 950
         80  80 +1 |                              | 770
        100 100 +1 |                              | 950
        """,
        venue=lots_of(1, min_notional=800),
        long_only=True,
    )
    assert rows(result) == ["long 9: 100 -> 100 gross 0 fees 300 net -300 3h open"]


# --- closes that jump ----------------------------------------------------------------------------------


def test_nothing_is_decided_on_a_close_that_jumps_but_what_was_decided_is_filled():
    result = play("""
        100 100 +1      |                             | 1250
        100 100 -1 jump | buy 10 @ 100 fee 250 entry  | 1000
        100 100 +1      |                             | 1000
        100 100  0      |                             | 1000
        110 110  0      | sell 10 @ 110 fee 275 neutral | 825
    """)
    assert result.target.tolist() == [1, 0, 1, 0, 0]


def test_protections_wait_for_the_bar_after_a_jump_and_act_at_its_quoted_close():
    play(
        """
        100 100 +1         |                               | 1250
        100 100 +1         | buy 10 @ 100 fee 250 entry    | 1000
        100 100 +1 jump    |                               | 1000
         70 100 +1 jump=70 |                               | 1000
         60  60 +1         | sell 10 @ 60 fee 150 stop_loss| 450
         60  60  0         |                               | 450
    """,
        stop_loss=0.2,
    )


def test_a_jump_upwards_makes_no_peak_from_which_a_drawdown_is_measured():
    result = play(
        """
        100 100 +1          |                            | 1250
        100 100 +1          | buy 10 @ 100 fee 250 entry | 1000
        100 100 +1 jump     |                            | 1000
        100 100 +1 jump=300 |                            | 1000
        100 100 +1          |                            | 1000
    """,
        max_drawdown=0.5,
    )
    assert result.halted_at is None


def test_a_drawdown_halts_at_the_second_bar_of_a_jump():
    result = play(
        """
        100 100 +1         |                            | 1250
        100 100 +1         | buy 10 @ 100 fee 250 entry | 1000
        100 100 +1 jump    |                            | 1000
        100 100 +1 jump=30 |                            | 1000
        100  30  0         |                            | 300
         30  30 +1         | sell 10 @ 30 fee 75 neutral| 225
         30  30 +1         |                            | 225
    """,
        max_drawdown=0.5,
    )
    assert result.halted_at == FIRST + 4


def test_what_an_exit_at_the_open_of_a_jump_earned_is_a_peak_from_the_next_close_on():
    result = play(
        """
        100 100 +1         |                             | 1250
        100 100 +1         | buy 10 @ 100 fee 250 entry  | 1000
        100 100  0         |                             | 1000
        200 200  0 jump    | sell 10 @ 200 fee 500 neutral | 1500
        200 200  0         |                             | 1500
        200 200  0         |                             | 1500
    """,
        max_drawdown=0.5,
    )
    assert result.account.peak_equity == 1500
