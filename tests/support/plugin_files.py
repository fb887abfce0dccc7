"""Plug-ins as their users write them."""

from __future__ import annotations

from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "plugin.py"
HEAD = """
import numpy as np
import pandas as pd
from crypto_refactor.plugins import Plugin

plugin = Plugin()
"""


def written(folder, body, name="idea"):
    """Write a plug-in whose imports and `plugin` are there already, and return its path."""
    path = folder / f"{name}.py"
    path.write_text(HEAD + body, encoding="utf-8")
    return path
