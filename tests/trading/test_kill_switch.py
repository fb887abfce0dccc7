from __future__ import annotations

import json

import pytest

from crypto_refactor.errors import BrokerError
from crypto_refactor.trading.kill_switch import halt, halt_reason, lift_halt


def test_nothing_is_halted_until_somebody_halts(tmp_path):
    assert halt_reason(tmp_path / "no such folder") is None
    halt(tmp_path / "state", at="2024-06-10T12:00:00Z", why="holidays")
    assert halt_reason(tmp_path / "state") == "HALTED since 2024-06-10T12:00:00Z (holidays)"


def test_a_halt_needs_no_reason(tmp_path):
    halt(tmp_path, at="2024-06-10T12:00:00Z", why="")
    assert halt_reason(tmp_path) == "HALTED since 2024-06-10T12:00:00Z"


def test_a_halt_is_lifted_once(tmp_path):
    halt(tmp_path, at="now", why="")
    assert (lift_halt(tmp_path), lift_halt(tmp_path)) == (True, False)
    assert halt_reason(tmp_path) is None


def test_the_last_halt_is_the_one_that_is_told(tmp_path):
    halt(tmp_path, at="at one", why="first")
    halt(tmp_path, at="at two", why="second")
    assert halt_reason(tmp_path) == "HALTED since at two (second)"
    assert [file.name for file in tmp_path.iterdir()] == ["halt.json"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b"7", b'"halt"', b"{}", b'{"at": "now"}', b"\xff\xfe", b"\x00" * 10],
)
def test_a_halt_that_cannot_be_read_halts(tmp_path, content):
    (tmp_path / "halt.json").write_bytes(content)
    assert "cannot be read" in halt_reason(tmp_path)


def test_a_file_made_by_hand_halts_and_is_lifted(tmp_path):
    (tmp_path / "halt.json").touch()
    assert halt_reason(tmp_path) is not None
    assert lift_halt(tmp_path)
    assert halt_reason(tmp_path) is None


def test_a_halt_in_a_folder_that_is_none_halts(tmp_path):
    (tmp_path / "state").write_text("a file")
    assert "cannot be read" in halt_reason(tmp_path / "state")
    (tmp_path / "halt.json").mkdir()
    assert "cannot be read" in halt_reason(tmp_path)


@pytest.mark.parametrize("command", [lambda state: halt(state, at="now", why=""), lift_halt])
def test_a_state_folder_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path, command):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(BrokerError, match="cannot be written") as caught:
        command(tmp_path / "state")
    assert "--state-dir" in caught.value.remedy


def test_a_halt_is_written_as_a_person_can_read_it(tmp_path):
    halt(tmp_path, at="2024-06-10T12:00:00Z", why='quotes " and ümläuts')
    assert json.loads((tmp_path / "halt.json").read_text()) == {
        "at": "2024-06-10T12:00:00Z",
        "why": 'quotes " and ümläuts',
    }
