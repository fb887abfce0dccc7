from __future__ import annotations

from pathlib import Path

from crypto_refactor.config import EnvironmentSettings, checkout_root


def test_a_relative_folder_is_the_same_from_wherever_a_command_is_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRYPTO_MODEL_DIR", "elsewhere/models")
    monkeypatch.setenv("CRYPTO_STATE_DIR", "~/state")
    chosen = EnvironmentSettings()
    assert chosen.model_dir == checkout_root() / "elsewhere" / "models"
    assert chosen.state_dir == Path.home() / "state"


def test_folders_are_anchored_at_the_checkout(monkeypatch):
    for name in ("CRYPTO_MODEL_DIR", "CRYPTO_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    chosen = EnvironmentSettings()
    assert (chosen.model_dir, chosen.state_dir) == (
        checkout_root() / "models/data",
        checkout_root() / "state",
    )


def test_keys_do_not_show_in_the_settings(monkeypatch):
    monkeypatch.setenv("ALPACA_SECRET_KEY", "not-for-anyone")
    assert "not-for-anyone" not in repr(EnvironmentSettings())
