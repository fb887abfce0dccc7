"""The findings of `doctor` as the documented JSON."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from crypto_refactor.trading.health.finding import Finding, State


def health_json(
    account: str | None, findings: Sequence[Finding], code: int, *, simulated: bool
) -> dict[str, Any]:
    """Return every finding, how many there are of each state, and the exit code."""
    counts = Counter(finding.state for finding in findings)
    return {
        "schema": 1,
        "account": account,
        "simulated": simulated,
        "code": code,
        "counts": {str(state): counts[state] for state in State},
        "findings": [
            {
                "check": finding.check,
                "state": str(finding.state),
                "text": finding.text,
                "remedy": finding.remedy,
                "code": finding.code,
            }
            for finding in findings
        ],
    }
