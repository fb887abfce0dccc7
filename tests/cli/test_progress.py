"""What people see while models are trained: played steps, a played clock, terminals of several sizes."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from crypto_refactor.cli.progress import (
    TrainingBars,
    TrainingProgress,
    duration_text,
    rough_text,
    training_lines,
)
from crypto_refactor.model.training.parallel import Progress, TrainingObserver
from crypto_refactor.model.training.phases import Phase

NAMES = [f"T{number:02}/USD through 2024-05-01" for number in range(26)]


class Played:
    """Some fits and the clock they run by."""

    def __init__(self, fits=3, max_epochs=12):
        self.now = 100.0
        self.training = TrainingProgress(NAMES[:fits], max_epochs, self.now)

    def step(self, job, phase, epoch=0, *, after=0.0):
        self.now += after
        self.training.fits[job].advance(Progress(job=job, phase=phase, epoch=epoch), self.now)

    def epochs(self, job, seconds, first, last):
        for epoch in range(first, last + 1):
            self.step(job, Phase.FITTING, epoch, after=seconds)

    def end(self, job, *, failed=False):
        self.training.finish(job, self.now, failed=failed)

    @property
    def total(self):
        return self.training.total_text(self.now)

    def lines(self, width=80, height=24):
        out = io.StringIO()
        console = Console(file=out, width=width, height=height, force_terminal=True, no_color=True)
        console.print(training_lines(self.training, self.now, width, height))
        return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("seconds", "passed", "rough"),
    [
        (0, "0:00", "5 s"),
        (41.9, "0:41", "45 s"),
        (56, "0:56", "1 min"),
        (72, "1:12", "2 min"),
        (541, "9:01", "10 min"),
        (3600, "1:00:00", "1 h"),
        (7801, "2:10:01", "2 h 20 min"),
    ],
)
def test_times_are_read_at_a_glance(seconds, passed, rough):
    assert (duration_text(seconds), rough_text(seconds)) == (passed, rough)


class TestEstimate:
    def test_nothing_is_promised_before_a_second_epoch_has_shown_the_pace(self):
        played = Played()
        assert played.total == "3 models to train: starting, 0:00 so far"
        played.step(0, Phase.LOADING, after=2)
        played.step(0, Phase.FITTING, after=5)
        played.epochs(0, 30, 1, 1)
        assert played.total == "0 of 3 trained, 1 running, 0:37 so far"
        played.epochs(0, 20, 2, 2)
        assert "at most about" in played.total

    def test_epochs_far_longer_than_half_a_minute_have_one(self):
        played = Played(fits=1)
        played.step(0, Phase.FITTING)
        played.epochs(0, 100, 1, 2)
        assert played.training.seconds_left(played.now) == pytest.approx(1000)
        assert played.total == "Training 1 model, at most about 17 min left, 3:20 so far"
        played.now += 90
        assert played.training.seconds_left(played.now) == pytest.approx(910)

    def test_early_stopping_of_the_first_counts_for_the_rest(self):
        played = Played(fits=3)
        played.step(0, Phase.FITTING)
        played.epochs(0, 10, 1, 4)
        played.end(0)
        played.step(1, Phase.FITTING)
        # One that runs and one that waits, 40 seconds each.
        assert played.training.seconds_left(played.now) == pytest.approx(80)
        assert played.total == "1 of 3 trained, 1 running, about 2 min left, 0:40 so far"

    def test_two_at_a_time_share_those_that_wait(self):
        played = Played(fits=6)
        for job in (0, 1):
            played.step(job, Phase.FITTING)
        for epoch in range(1, 5):
            played.step(0, Phase.FITTING, epoch, after=10)
            played.step(1, Phase.FITTING, epoch)
        for job in (0, 1):
            played.end(job)
        for job in (2, 3):
            played.step(job, Phase.FITTING)
        assert played.training.seconds_left(played.now) == pytest.approx(80)

    def test_it_never_falls_below_nothing(self):
        played = Played(fits=2)
        played.step(0, Phase.FITTING)
        played.epochs(0, 10, 1, 4)
        played.end(0)
        played.step(1, Phase.FITTING)
        played.epochs(1, 10, 1, 9)
        played.step(1, Phase.CHECKING, after=60)
        assert played.training.seconds_left(played.now) == 0
        assert "about 5 s left" in played.total

    def test_machines_that_tell_nothing_before_the_end_are_known_by_what_they_have_finished(self):
        played = Played(fits=4)
        played.now += 30
        played.end(2)
        assert played.total == "1 of 4 trained, 0 running, about 2 min left, 0:30 so far"

    def test_a_failed_fit_is_no_pattern_for_the_others(self):
        played = Played(fits=2, max_epochs=0)
        played.step(0, Phase.FITTING)
        played.now += 1
        played.end(0, failed=True)
        assert played.total == "0 of 2 trained, 1 failed, 0 running, 0:01 so far"


class TestLines:
    def test_each_fit_that_runs_has_one_with_ticker_cut_off_and_phase(self):
        played = Played(fits=4)
        played.step(0, Phase.LOADING)
        played.step(1, Phase.FITTING)
        played.epochs(1, 5, 1, 2)
        played.step(2, Phase.CHECKING)
        lines = played.lines()
        assert [line[:26] for line in lines[:3]] == NAMES[:3]
        assert lines[0].endswith("loading TensorFlow")
        assert lines[1].endswith("epoch 3 of at most 12")
        assert lines[2].endswith("checking the model")
        assert lines[3].startswith("0 of 4 trained, 3 running, at most about ")
        assert len(lines) == 4

    def test_those_that_wait_or_have_ended_have_none(self):
        played = Played(fits=26)
        for job in (0, 1, 2):
            played.step(job, Phase.FITTING)
        played.end(0)
        assert len(played.lines()) == 3

    def test_after_the_last_epoch_no_later_one_is_promised(self):
        played = Played(fits=1)
        played.step(0, Phase.FITTING)
        played.epochs(0, 1, 1, 12)
        assert "epoch 12 of at most 12" in played.lines()[0]

    def test_a_fit_without_a_network_counts_no_epochs(self):
        played = Played(fits=1, max_epochs=0)
        played.step(0, Phase.FITTING)
        assert played.lines()[0] == f"{NAMES[0]} fitting"

    @pytest.mark.parametrize(("width", "height"), [(60, 24), (80, 24), (120, 24), (200, 50), (80, 6)])
    def test_a_machine_of_many_cores_fits_any_terminal(self, width, height):
        played = Played(fits=26)
        for job in range(26):
            played.step(job, Phase.FITTING)
        lines = played.lines(width, height)
        assert len(lines) < height
        assert max(map(len, lines)) <= width
        assert lines[-1].startswith("0 of 26 trained, 26 running")
        shown = sum("epoch 1 of at most 12" in line for line in lines)
        assert shown == 26 or f"and {26 - shown} more" in lines[-2]


@pytest.fixture
def played():
    """Return a clock and training that is followed with it, as in a pipe."""

    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    clock = Clock()
    return clock, TrainingBars(console=Console(file=io.StringIO(), force_terminal=False), clock=clock)


class TestPipe:
    def test_training_says_how_many_and_each_model_as_it_ends(self, played, capsys):
        clock, bars = played
        bars.begin(NAMES[:2], 12)
        for job in (0, 1):
            bars.progress(Progress(job=job, phase=Phase.FITTING))
            for epoch in (1, 2, 3):
                clock.now += 7
                bars.progress(Progress(job=job, phase=Phase.FITTING, epoch=epoch))
            bars.finished(job)
        bars.end()
        assert capsys.readouterr().err.splitlines() == [
            "Training 2 models …",
            f"{NAMES[0]}: trained in 0:21, 3 epochs (1 of 2, about 25 s left)",
            f"{NAMES[1]}: trained in 0:21, 3 epochs (2 of 2)",
        ]

    def test_a_failed_fit_is_called_one(self, played, capsys):
        clock, bars = played
        bars.begin(NAMES[:1], 12)
        clock.now = 5
        bars.finished(0, failed=True)
        bars.end()
        assert capsys.readouterr().err.splitlines()[1:] == [f"{NAMES[0]}: failed after 0:05"]

    def test_fits_of_a_moment_do_not_fill_the_log(self, played, capsys):
        clock, bars = played
        bars.begin(NAMES, 0)
        for job in range(26):
            clock.now += 0.5
            bars.finished(job)
        bars.end()
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 6
        assert "(6 of 26, about 10 s left)" in lines[1]
        assert lines[-1].endswith("(26 of 26)")

    def test_an_interruption_says_what_is_kept_and_how_to_go_on(self, played, capsys):
        clock, bars = played
        bars.begin(NAMES[:3], 12)
        clock.now = 5
        bars.finished(1)
        bars.end()
        last = capsys.readouterr().err.splitlines()[-1]
        assert last == "1 of 3 models are trained and kept: the same command trains the rest."

    def test_a_second_training_begins_from_nothing(self, played, capsys):
        _, bars = played
        for _ in range(2):
            bars.begin(NAMES[:1], 0)
            bars.finished(0)
            bars.end()
        assert capsys.readouterr().err.splitlines() == ["Training 1 model …"] * 2


class TestTerminal:
    def test_nothing_but_one_line_with_the_time_it_took_stays(self, capsys):
        out, now = io.StringIO(), [0.0]
        console = Console(file=out, width=80, height=24, force_terminal=True)
        bars = TrainingBars(console=console, clock=lambda: now[0])
        bars.begin(NAMES[:1], 12)
        bars.progress(Progress(job=0, phase=Phase.FITTING))
        now[0] = 107.0
        bars.finished(0)
        bars.end()
        assert capsys.readouterr().err == f"Trained {NAMES[0]} in 1:47.\n"
        assert out.getvalue().endswith("\x1b[2K")  # the moving lines are gone

    def test_what_is_printed_meanwhile_stays(self):
        out = io.StringIO()
        bars = TrainingBars(console=Console(file=out, width=80, force_terminal=True), clock=lambda: 0.0)
        bars.begin(NAMES[:1], 12)
        with bars.aside():
            out.write("a row\n")
        bars.end()
        before, after = out.getvalue().split("a row\n")
        assert before.endswith("\x1b[2K"), "the moving lines are out of the way"
        assert after.index("1 model to train") < after.index("\x1b[1A"), "and begin below it"
        with bars.aside():
            out.write("another row\n")
        assert out.getvalue().endswith("\x1b[2Kanother row\n")

    def test_several_models_are_counted(self, capsys):
        console = Console(file=io.StringIO(), width=80, force_terminal=True)
        bars = TrainingBars(console=console, clock=lambda: 0.0)
        bars.begin(NAMES[:2], 0)
        bars.finished(0)
        bars.finished(1)
        bars.end()
        assert capsys.readouterr().err == "Trained 2 models in 0:00.\n"


def test_who_does_not_listen_misses_nothing():
    silent = TrainingObserver()
    silent.begin(NAMES, 12)
    silent.progress(Progress(job=0, phase=Phase.LOADING))
    silent.finished(0, failed=True)
    silent.end()
