from __future__ import annotations

from importlib import import_module

import pytest

ROOMS = ("trading", "trading.brokers", "trading.ledger", "trading.historical", "trading.realtime")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_every_name_on_its_door_and_no_other(room):
    door = import_module(f"crypto_refactor.{room}")
    assert all(getattr(door, name) is not None for name in door.__all__)
    with pytest.raises(AttributeError):
        door.Nothing  # noqa: B018
