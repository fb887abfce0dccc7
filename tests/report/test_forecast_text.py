"""How a record of forecasts is told in a line, and what stands beside it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from crypto_refactor.report.forecast_text import outcome_lines, record_line, sentence, skill_remarks


def recent(n, stated, right, confidence=0.514):
    said = confidence if stated else None
    return SimpleNamespace(n=n, stated=stated, right=right, stated_confidence=said)


def series(last, *, evidence_at=None, alarmed_at=None):
    score = SimpleNamespace(stated=last.stated, evidence_at=evidence_at)
    return SimpleNamespace(recent=last, score=score, alarmed_at=alarmed_at)


@pytest.mark.parametrize(
    ("last", "evidence_at", "line"),
    [
        (recent(0, 0, 0), None, "no forecast has been scored yet"),
        (recent(1, 0, 0), None, "the last forecast gave no direction (confidence 0.50)"),
        (
            recent(1, 1, 0),
            None,
            "not yet better than a coin toss: the last forecast did not come true (the model said 51 %)",
        ),
        (
            recent(200, 132, 73),
            None,
            (
                "not yet better than a coin toss: of the last 200 forecasts 132 gave a direction, 73 came true "
                "(55 %; the model said 51 %)"
            ),
        ),
        (
            recent(200, 200, 120),
            470_000,
            "better than a coin toss so far: of the last 200 forecasts 120 came true (60 %; the model said 51 %)",
        ),
    ],
)
def test_a_record_begins_with_whether_it_shows_skill(last, evidence_at, line):
    assert record_line(series(last, evidence_at=evidence_at)) == line


def test_a_sentence_keeps_the_letters_of_an_alarm():
    shown = sentence(record_line(series(recent(20, 20, 5), alarmed_at=477_000)))
    assert shown.startswith("Not yet better")
    assert shown.endswith("; ALARM at 2024-06-01T00:00:00Z: stated confidence does not come true.")


@pytest.mark.parametrize(
    ("late", "of", "begins"),
    [
        (1, 5, "1 was made after its hour"),
        (2, 5, "2 were made after their hour"),
        (5, 5, "All 5 were made after their hour"),
        (1, 1, "1 was made after its hour"),
    ],
)
def test_late_forecasts_are_counted_in_the_grammar_of_their_number(late, of, begins):
    record = SimpleNamespace(waiting=0, unscored=1, after_the_fact=late, forecasts=(None,) * of)
    unscored, made = outcome_lines(record)
    assert unscored == "1 never scored: no bar is known for its hour, or its close jumps"
    assert made.startswith(begins)


@pytest.mark.parametrize(("error", "share"), [(0.0163, "51.5 ± 1.6 %"), (None, "51.5 %")])
def test_a_share_and_its_error_have_one_unit(error, share):
    model = SimpleNamespace(hit_rate=SimpleNamespace(value=0.515, se=error))
    skill = SimpleNamespace(model=model, long=300, short=420, beyond_threshold=0.1, unbeaten=())
    assert f"its direction was right in {share} of 720 hours" in skill_remarks(skill)[0]
