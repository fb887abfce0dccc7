"""Networks for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.lab import open_lab
from support.planted import PlantedFits


@pytest.fixture(scope="session")
def shared_dir(tmp_path_factory, request):
    """A folder that the workers of pytest-xdist share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if hasattr(request.config, "workerinput") else own


@pytest.fixture(scope="session")
def lab(shared_dir, request):
    """Small networks trained in a process of their own."""
    top = request.config.pluginmanager.get_plugin(str(Path(__file__).parent.parent / "conftest.py"))
    return open_lab(shared_dir, top.REAL_BARS)


@pytest.fixture
def fits(monkeypatch):
    """Put planted networks in the place of training, and count them."""
    planted = PlantedFits()
    monkeypatch.setattr("crypto_refactor.model.shelf.fit_all", planted)
    return planted
