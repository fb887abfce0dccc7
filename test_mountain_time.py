"""Check Mountain-Time conversion: ``python3 test_mountain_time.py``; pytest collects it too."""

import sys
from pathlib import Path

# Runs before the package is installed, and from any folder.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from crypto_refactor.launch import run


def test_mountain_time() -> None:
    from crypto_refactor.market.self_checks import mountain_time_checks

    assert [check for check in mountain_time_checks() if not check.holds] == []


if __name__ == "__main__":
    run("check-mountain-time", "test_mountain_time.py")
