"""`--cluster`: who takes it, what it changes (nothing but where training runs), and how it fails."""

from __future__ import annotations

import json
import signal
import time
from types import SimpleNamespace

import pytest
from support.cli_runner import PATIENCE, Home, imported, one_document
from support.dask_cluster import dask_cluster
from support.stub_models import PlantedFits

from crypto_refactor.cli.commands import trade
from crypto_refactor.cli.commands.audit import command as audit
from crypto_refactor.cli.commands.backtest import command as backtest
from crypto_refactor.cli.commands.compare import command as compare
from crypto_refactor.model.training.cluster import Cluster

ADDRESS = "tcp://127.0.0.1:8786"
NOBODY = "tcp://127.0.0.1:9"
SHORT = "--source sample --network small --train-hours 240"
DASK = ("distributed", "dask", "tensorflow")


class Noted(PlantedFits):
    """Planted networks, and where they were to be trained."""

    def __init__(self):
        super().__init__()
        self.clusters = []

    def __call__(self, jobs, settings, on_progress, *, workers=None, cluster=None):
        self.clusters.append(cluster)
        return super().__call__(jobs, settings, on_progress, workers=workers, cluster=cluster)


@pytest.fixture
def noted(monkeypatch):
    fits = Noted()
    monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", fits)
    return fits


TRAINING = [
    pytest.param(backtest, "--hours 48", id="backtest"),
    pytest.param(audit, "--hours 48", id="audit"),
    pytest.param(compare, "--hours 48 --ticker BTC/USD --ticker ETH/USD", id="compare"),
    pytest.param(trade.trade, "--demo --once", id="trade once"),
    pytest.param(trade.trade, "--demo --replay-hours 24", id="replay"),
    pytest.param(trade.multi, "--ticker BTC/USD", id="sequential"),
    pytest.param(trade.multi, "--mode parallel --ticker BTC/USD --ticker ETH/USD", id="parallel"),
    pytest.param(trade.multi, "--mode demo --replay-hours 24 --ticker BTC/USD", id="replay of many"),
]


class TestWhoTakesIt:
    @pytest.mark.parametrize(("command", "line"), TRAINING)
    def test_every_command_that_trains_walk_forward_models(self, invoke, noted, command, line):
        done = invoke(command, f"{line} {SHORT} --cluster {ADDRESS}")
        assert done.code == 0, done.err
        assert set(noted.clusters) == {Cluster(ADDRESS)}

    def test_nobody_who_is_not_told_to(self, invoke, noted):
        assert invoke(backtest, f"--hours 48 {SHORT}").code == 0
        assert set(noted.clusters) == {None}

    def test_the_environment_names_one_too_and_the_option_comes_first(self, invoke, noted, monkeypatch):
        monkeypatch.setenv("CRYPTO_CLUSTER", ADDRESS)
        assert invoke(backtest, f"--hours 48 {SHORT}").code == 0
        assert invoke(backtest, f"--hours 48 --seed 1 {SHORT} --cluster {NOBODY}").code == 0
        assert noted.clusters == [Cluster(ADDRESS), Cluster(NOBODY)]

    def test_the_refits_of_a_loop_until_stopped(self, invoke, monkeypatch):
        trained = {}

        class Trainer:
            def __init__(self, models, *, workers):
                trained["cluster"] = models.cluster

            def stop(self):
                trained["stopped"] = True

        room = "crypto_refactor.trading.realtime"
        monkeypatch.setattr(f"{room}.background_training.BackgroundTrainer", Trainer)
        loop = SimpleNamespace(run=lambda: None, dropped={})
        monkeypatch.setattr(f"{room}.loop.TradingLoop", lambda _hourly_pass, **_: loop)
        done = invoke(trade.trade, f"--demo --source alpaca --cluster {ADDRESS}")
        assert done.code == 3, "a loop that ends by itself has no ticker left"
        assert trained == {"cluster": Cluster(ADDRESS), "stopped": True}


class TestRefusals:
    def test_what_is_no_address_is_a_usage_error(self, invoke, noted):
        done = invoke(backtest, f"--hours 48 {SHORT} --cluster 10.0.0.7:8786 --json")
        assert done.code == 2
        assert "10.0.0.7:8786" in one_document(done.out)["error"]["message"]
        assert noted.clusters == []

    def test_without_the_extra_it_names_the_extra(self, invoke, noted, monkeypatch):
        monkeypatch.setattr("crypto_refactor.model.training.cluster.find_spec", lambda _name: None)
        done = invoke(backtest, f"--hours 48 {SHORT} --cluster {ADDRESS} --json")
        assert done.code == 2
        assert "pip install 'crypto-refactor[cluster]'" in one_document(done.out)["error"]["remedy"]
        assert noted.clusters == []

    @pytest.mark.slow
    def test_a_scheduler_that_cannot_be_reached_is_a_model_error_after_ten_seconds(self, home):
        began = time.monotonic()
        done = home.run(f"app_backtester --hours 48 {SHORT} --cluster {NOBODY} --json", code=4)
        assert time.monotonic() - began > 10
        problem = one_document(done.stdout)["error"]
        assert f"The cluster {NOBODY} cannot be reached" in problem["message"]
        assert done.stderr == "Training 1 model …\n"

    @pytest.mark.slow
    def test_every_ticker_of_many_ends_with_that_error(self, home):
        line = (
            f"run_multi_ticker --mode parallel --ticker BTC/USD --ticker ETH/USD {SHORT} --cluster {NOBODY}"
        )
        document = home.json(line, code=4)
        assert [ticker["error"]["code"] for ticker in document["tickers"]] == [4, 4]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_a_signal_ends_a_run_that_waits_for_workers(home, tmp_path, number):
    with dask_cluster(tmp_path / "dask") as running:
        process = home.start(f"app_backtester --hours 48 {SHORT} --cluster {running.address}")
        assert process.stderr.readline() == "Training 1 model …\n"
        deadline = time.monotonic() + PATIENCE
        while "Receive client connection" not in running.log():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert err.strip() == {signal.SIGINT: "Interrupted.", signal.SIGTERM: "Terminated."}[number]


def test_a_warm_run_asks_no_cluster_and_imports_nothing_of_one(warm):
    out, found = imported(warm.home, f"{warm.backtest_line} --json --cluster {NOBODY}", DASK)
    assert json.loads(out)["metrics"] == warm.backtest["metrics"]
    assert found == []


@pytest.mark.slow
def test_a_backtest_on_a_cluster_is_the_backtest_at_home(tmp_path):
    line = f"crypto-refactor backtest --hours 120 --refit-every 72 {SHORT}"
    here, there = Home(tmp_path / "here"), Home(tmp_path / "there")
    with dask_cluster(tmp_path / "dask", workers=2) as running:
        spread = there.json(f"{line} --cluster {running.address}")
        again, found = imported(there, f"app_backtester {line.split(maxsplit=2)[2]} --json", DASK)
    assert spread == here.json(line)
    assert json.loads(again) == spread, "what the cluster has trained is used again at home"
    assert found == []


@pytest.mark.slow
def test_where_a_cluster_trains_this_process_does_not(tmp_path):
    home = Home(tmp_path / "home")
    with dask_cluster(tmp_path / "dask", workers=1) as running:
        _, found = imported(
            home, f"app_backtester --hours 48 {SHORT} --json --cluster {running.address}", DASK
        )
    assert sorted(found) == ["dask", "distributed"]
