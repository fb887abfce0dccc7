from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from functools import partial

import h5py
import numpy as np
import pytest
from support.trained_models import (
    LOOKBACK,
    SETTINGS,
    later_windows,
    once,
    real_frame,
    sample_frame,
    tampered,
    training_data,
)

from crypto_refactor.correlation import spearman
from crypto_refactor.errors import ModelError
from crypto_refactor.features.catalogue import indicator_names
from crypto_refactor.model import evidence as ev
from crypto_refactor.model import forecaster
from crypto_refactor.model.artifact import KEPT, ResidualDecision, TrainedModel
from crypto_refactor.model.dataset import robust_scale, split
from crypto_refactor.model.recipe import RECIPE, Recipe
from crypto_refactor.model.skip import chained_forecasts, fit_skip
from crypto_refactor.model.training.compiled_network import batch_shape
from crypto_refactor.model.training.dask_worker import run_in_process
from crypto_refactor.model.training.parallel import fit_all
from crypto_refactor.model.training.phases import Phase
from crypto_refactor.model.training.trainer import train

pytestmark = pytest.mark.slow  # trains networks in a process of its own


@pytest.fixture(scope="session")
def side_by_side(shared_dir):
    """The same training set, and one that differs after its fit slice, each in a process of its own."""

    def fit():
        data, heard = training_data(), []
        found = dict(fit_all([data, tampered(data)], SETTINGS, heard.append, workers=2))
        return found[0], found[1], heard

    return once(shared_dir, "side_by_side", fit)


def served(trained):
    return forecaster.load(
        trained.onnx,
        network="small",
        lookback=LOOKBACK,
        volatility_floor=trained.volatility_floor,
        name="trained",
    )


def layers(trained):
    """Return the layers' settings from the .keras file, by name."""
    with zipfile.ZipFile(io.BytesIO(trained.keras)) as file:
        network = json.loads(file.read("config.json"))["config"]
    return {layer["config"]["name"]: layer["config"] for layer in network["layers"]}


def targets(data, trained, part):
    volatility = np.maximum(data.volatility, trained.volatility_floor)
    return (data.returns / volatility)[part]


def train_alone(data):
    """Train the skip alone, in a process of its own."""
    return run_in_process(partial(train, data, replace(SETTINGS, network="linear", residual="auto")))


def huber(difference):
    size = np.abs(difference)
    return float(np.mean(np.where(size <= 0.5, size**2 / 2, (size - 0.25) / 2)))


class TestTheSameWeights:
    def test_in_a_fresh_process_and_in_one_that_has_fitted_others_before(self, lab, side_by_side):
        # `lab.trained` was the fourth fit of its process, after one that ended in no numbers and one of another
        # shape; `alone` was the first of a joblib worker.
        alone, _, _ = side_by_side
        assert alone.weights == lab.trained.weights
        assert alone.evidence == lab.trained.evidence
        windows, _ = later_windows(sample_frame())
        assert served(alone).raw(windows).tobytes() == served(lab.trained).raw(windows).tobytes()
        for name in ("volatility_floor", "threshold_scale", "epochs", "stop_loss"):
            assert getattr(alone, name) == getattr(lab.trained, name)

    def test_but_others_for_another_seed(self, lab):
        assert lab.other.weights != lab.trained.weights
        assert lab.other.evidence != lab.trained.evidence

    def test_and_others_where_the_stop_slice_says_something_else(self, side_by_side):
        alone, other, _ = side_by_side
        assert alone.weights != other.weights


@pytest.mark.parametrize(
    ("rows", "batch", "expected"),
    [(503, 64, (64, True)), (512, 64, (64, False)), (64, 64, (64, False)), (22, 64, (22, False))],
)
def test_fits_share_a_graph_only_where_their_batches_look_alike(rows, batch, expected):
    assert batch_shape(rows, batch) == expected


class TestScaling:
    def test_with_a_residual_it_is_the_fit_slices_median_and_interquartile_range(self, lab):
        data = training_data()
        median, iqr = robust_scale(data.last_inputs[split(len(data)).fit])
        scale = layers(lab.trained)["robust_scale"]
        # The clip at +-5 is a clip at +-1 between two scales.
        np.testing.assert_allclose(scale["scale"], 1 / (5 * iqr), rtol=1e-12)
        np.testing.assert_allclose(np.array(scale["offset"]) * 5, -median / iqr, rtol=1e-12)
        assert layers(lab.trained)["unclip_scale"]["scale"] == 5

    def test_a_skip_alone_takes_that_of_all_rows(self, lab):
        _, iqr = robust_scale(training_data().last_inputs)
        np.testing.assert_allclose(
            layers(lab.alone["linear"])["robust_scale"]["scale"], 1 / (5 * iqr), rtol=1e-12
        )

    def test_nothing_after_the_fit_slice_has_any_part_in_it(self, side_by_side):
        alone, other, _ = side_by_side
        assert layers(alone)["robust_scale"] == layers(other)["robust_scale"]

    def test_a_constant_column_is_divided_by_the_floor(self):
        _, iqr = robust_scale(np.full((10, 14), 3, np.float32))
        assert iqr.tolist() == [1e-6] * 14

    def test_the_floor_of_volatility_is_a_tenth_of_its_median(self, lab):
        data = training_data()
        expected = 0.1 * np.median(data.volatility)
        assert lab.trained.volatility_floor == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("side", [-1, 1])
    def test_inputs_are_clipped_at_five_interquartile_ranges(self, lab, side):
        data = training_data()
        median, iqr = robust_scale(data.last_inputs[split(len(data)).fit])

        def answer(distance):
            window = np.tile(median, (1, LOOKBACK, 1))
            window += side * distance * iqr
            return served(lab.trained).raw(window.astype(np.float32))[0]

        assert answer(5.001) == answer(50) == answer(1e6)
        assert answer(5.001) != answer(4)


class TestStopping:
    def test_the_loss_that_is_watched_leaves_the_penalty_out_and_its_best_weights_stay(self, lab):
        data = training_data()
        stop = split(len(data)).stop
        loss = huber(served(lab.trained).raw(data.windows(stop)) - targets(data, lab.trained, stop))
        assert loss == pytest.approx(lab.trained.stop_loss, rel=1e-5)
        assert lab.trained.stop_loss == pytest.approx(min(lab.losses), rel=1e-5)

    def test_every_epoch_is_reported(self, lab):
        assert len(lab.losses) == lab.trained.epochs <= RECIPE.max_epochs

    def test_a_loss_that_is_no_number_is_an_error(self, lab):
        assert lab.diverged.startswith("Training diverged")
        assert "Remedy" in lab.diverged


class TestEvidence:
    def test_it_comes_from_the_calibration_slice_alone(self, lab):
        data = training_data()
        rows = split(len(data)).calibrate
        forecast = served(lab.trained).forecast(data.windows(rows), data.volatility[rows])
        known = lab.trained.evidence
        assert known.n == rows.stop - rows.start == 23
        a = data.atr[rows] / data.close[rows]
        again = ev.calibrate(forecast, data.returns[rows], a, {})
        assert replace(again, baselines=known.baselines) == known
        unit = ev.threshold_unit(data.atr[rows], data.volatility[rows], data.close[rows])
        assert lab.trained.threshold_scale == ev.threshold_scale(forecast, data.close[rows], unit)

    def test_the_baselines_are_scored_on_the_same_rows(self, lab):
        data, parts = training_data(), split(150)
        skip = fit_skip(data.last_inputs[parts.fit], data.target[parts.fit])
        rows = parts.calibrate
        ridge = (
            skip.forecast(data.last_inputs[rows]) * np.maximum(data.volatility, data.volatility_floor)[rows]
        )
        known = lab.trained.evidence.baselines
        assert list(known) == ["minus_last_return", "minus_ema_20_distance", "ridge"]
        expected = spearman(ridge, data.returns[rows])
        assert known["ridge"].rank_correlation == pytest.approx(expected, abs=1e-12)
        last = -data.last_inputs[rows][:, indicator_names().index("log_return")].astype(float)
        expected = spearman(last, data.returns[rows])
        assert known["minus_last_return"].rank_correlation == pytest.approx(expected, abs=1e-12)

    @pytest.mark.parametrize("name", ["linear", "never", "auto"])
    def test_a_skip_alone_is_measured_on_its_chained_forecasts(self, lab, name):
        data, known = training_data(), lab.alone[name].evidence
        part, chained = chained_forecasts(data.last_inputs, data.target)
        assert known.n == 113
        forecasts = chained * np.maximum(data.volatility, data.volatility_floor)[part]
        if lab.alone[name].stop_loss_ratio == 1:
            forecasts = forecasts * 0
        again = ev.calibrate(forecasts, data.returns[part], (data.atr / data.close)[part], {})
        assert replace(again, baselines=known.baselines) == known


class TestServedFunction:
    """What is served is what was trained."""

    def test_served_forecasts_agree_with_those_of_batch_statistics(self, lab):
        assert lab.agreement >= 0.95

    def test_batch_normalisation_serves_with_the_statistics_of_the_fit_slice(self, lab):
        assert len(lab.statistics) == 4
        for kept, expected in lab.statistics:
            np.testing.assert_allclose(kept, expected, rtol=2e-3, atol=2e-5)

    def test_normalisation_comes_between_an_lstm_and_its_dropout(self, lab):
        kinds = [name.rstrip("_0123456789") for name in layers(lab.trained)]
        for position in (at for at, kind in enumerate(kinds) if kind == "lstm"):
            assert kinds[position + 1 : position + 3] == ["batch_normalization", "dropout"]
        assert kinds.count("lstm") == 3


class TestSkipAndResidual:
    @pytest.mark.parametrize("name", ["linear", "never", "auto"])
    def test_without_a_kept_residual_the_skip_of_all_rows_is_served(self, lab, name):
        data, trained = training_data(), lab.alone[name]
        skip = fit_skip(data.last_inputs, data.target)
        windows, _ = later_windows(sample_frame())
        expected = skip.forecast(windows[:, -1]) * (trained.stop_loss_ratio != 1)
        np.testing.assert_allclose(served(trained).raw(windows), expected, rtol=1e-4, atol=1e-6)

    def test_too_few_days_keep_no_residual_unless_always_is_asked_for(self, lab):
        assert lab.alone["auto"].residual_decision.decision == "dropped"
        assert lab.trained.residual_decision.decision == "kept"
        assert lab.alone["never"].residual_decision == lab.alone["linear"].residual_decision
        assert lab.alone["linear"].residual_decision == ResidualDecision(decision="none", t=None)

    def test_the_file_of_a_dropped_residual_holds_the_network_all_the_same(self, lab):
        assert sum(name.startswith("lstm") for name in layers(lab.alone["auto"])) == 3
        assert not any(name.startswith("lstm") for name in layers(lab.alone["linear"]))

    def test_no_model_has_a_larger_stop_loss_than_a_forecast_of_no_move(self, lab):
        data = training_data()
        zero = huber(data.target[split(len(data)).stop])
        for trained in (lab.trained, lab.other, *lab.alone.values()):
            assert trained.stop_loss <= zero * (1 + 1e-12)
            assert trained.stop_loss_ratio == pytest.approx(trained.stop_loss / zero)

    def test_a_skip_that_does_worse_than_no_forecast_is_left_out(self):
        data = training_data()
        after = split(len(data)).stop.start
        returns = data.returns.copy()
        # What the fit slice teaches is wrong from then on.
        returns[after:] = (
            -np.sign(fit_skip(data.last_inputs[:after], data.target[:after]).forecast(data.last_inputs))[
                after:
            ]
            * data.volatility[after:]
        )
        trained = train_alone(replace(data, returns=returns))
        assert trained.stop_loss_ratio == 1
        assert trained.evidence.shrink == 0
        windows, volatility = later_windows(sample_frame())
        assert (served(trained).forecast(windows, volatility) == 0).all()


class TestServing:
    @pytest.fixture(params=["sample", "real"])
    def compared(self, request, lab):
        """Return windows, volatility and what Keras computes from the saved file."""
        if request.param == "sample":
            frame = sample_frame()
        else:
            frame = real_frame(request.getfixturevalue("real_bars_dir"))
        return *later_windows(frame), lab.keras[request.param]

    def test_it_equals_keras_on_the_saved_file(self, lab, compared):
        windows, _, keras = compared
        difference = np.abs(served(lab.trained).raw(windows) - keras).max()
        assert difference <= 1e-4 * keras.std()

    def test_a_forecast_is_the_same_bits_in_any_company(self, lab, compared):
        windows, volatility, _ = compared
        serving = served(lab.trained)
        together = serving.forecast(windows, volatility)
        for size in (1, 2, 7, 63, 64, 65, 257):
            parts = [
                serving.forecast(windows[start : start + size], volatility[start : start + size])
                for start in range(0, len(windows), size)
            ]
            assert np.concatenate(parts).tobytes() == together.tobytes()

    def test_it_is_in_log_returns_of_the_volatility_at_hand(self, lab, compared):
        windows, volatility, _ = compared
        serving = served(lab.trained)
        floor = serving.volatility_floor
        calm = np.zeros(len(volatility))
        np.testing.assert_array_equal(serving.forecast(windows, calm), serving.raw(windows) * floor)
        np.testing.assert_array_equal(
            serving.forecast(windows, volatility + 1), serving.raw(windows) * (volatility + 1)
        )

    def test_no_windows_give_no_forecasts(self, lab):
        none = np.zeros((0, LOOKBACK, 14), np.float32)
        assert served(lab.trained).forecast(none, np.zeros(0)).shape == (0,)

    def test_what_is_no_graph_is_an_error(self):
        with pytest.raises(ModelError, match="this one cannot be loaded") as caught:
            forecaster.load(
                b"no graph", network="small", lookback=LOOKBACK, volatility_floor=1.0, name="this one"
            )
        assert caught.value.exit_code == 4


def test_progress_of_every_fit_is_relayed_in_order(side_by_side):
    alone, other, heard = side_by_side
    for job, trained in enumerate((alone, other)):
        mine = [progress for progress in heard if progress.job == job]
        entered = [progress.phase for progress in mine if not progress.epoch]
        assert entered == [Phase.LOADING, Phase.FITTING, Phase.CHECKING]
        epochs = [progress for progress in mine if progress.epoch]
        assert [progress.epoch for progress in epochs] == list(range(1, trained.epochs + 1))
        best = min(progress.stop_loss for progress in epochs)
        if trained.residual_decision.decision == KEPT:
            assert best == pytest.approx(trained.stop_loss, rel=1e-5)  # Keras counts in float32
        else:
            # A residual that is always wanted goes only with every forecast: none was better.
            assert trained.stop_loss_ratio == 1
            assert best >= trained.stop_loss


class TestFitAll:
    @pytest.fixture(autouse=True)
    def instant(self, monkeypatch):
        """Replace the fit itself: what it returns says what it was given."""

        def train(data, settings, report, enter):
            enter(Phase.FITTING)
            report(1, 0.5)
            return (data, settings.seed)

        monkeypatch.setattr("crypto_refactor.model.training.trainer.train", train)

    def test_a_single_fit_runs_here_and_reports(self):
        heard = []
        assert list(fit_all(["rows"], replace(SETTINGS, seed=4), heard.append)) == [(0, ("rows", 4))]
        assert [(progress.phase, progress.epoch) for progress in heard] == [
            (Phase.FITTING, 0),
            (Phase.FITTING, 1),
        ]

    def test_one_worker_fits_one_after_another(self):
        found = list(fit_all(["a", "b"], SETTINGS, lambda _progress: None, workers=1))
        assert found == [(0, ("a", 0)), (1, ("b", 0))]


class TestRecipe:
    def test_it_is_the_documented_one(self):
        assert (RECIPE.learning_rate, RECIPE.clip_value, RECIPE.l2) == (5e-4, 0.5, 1e-4)
        assert (RECIPE.max_epochs, RECIPE.patience, RECIPE.rate_patience) == (12, 3, 2)
        assert (RECIPE.target_clip, RECIPE.huber_delta, RECIPE.skip_penalty) == (0.5, 0.5, 2000)
        assert (RECIPE.batch_size(999), RECIPE.batch_size(1000)) == (64, 256)

    @pytest.mark.parametrize("name", Recipe.__dataclass_fields__)
    def test_any_change_changes_its_hash(self, name):
        assert replace(RECIPE, **{name: getattr(RECIPE, name) * 2}).hash() != RECIPE.hash()


def test_a_trained_model_survives_the_way_between_processes(lab):
    import pickle

    assert pickle.loads(pickle.dumps(lab.trained)) == lab.trained
    assert isinstance(lab.trained, TrainedModel)


def test_the_saved_network_holds_no_optimizer_state(lab, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(lab.trained.keras)
    with (
        zipfile.ZipFile(path) as archive,
        archive.open("model.weights.h5") as file,
        h5py.File(file) as weights,
    ):
        assert "layers" in weights
        assert "optimizer" not in weights
