"""Plug-ins: files of the user's that add indicators, conditions, networks and exits.

A plug-in is code that runs with your rights: nothing is loaded that was not named.
"""

from crypto_refactor.arrays import FloatArray
from crypto_refactor.market.bars import Bars
from crypto_refactor.plugins.declarations import (
    Condition,
    Exit,
    Indicator,
    Network,
    NetworkBuilder,
    Origin,
    Sides,
    SidesTest,
    Values,
    require_new_names,
    running,
)
from crypto_refactor.plugins.files import (
    AnyPlugin,
    PluginFile,
    all_conditions,
    all_exits,
    all_indicators,
    all_networks,
    load,
    load_anew,
    plugin_hashes,
    read_plugins,
)
from crypto_refactor.plugins.plugin import MAX_WARMUP, Plugin

__all__ = [
    "MAX_WARMUP",
    "AnyPlugin",
    "Bars",
    "Condition",
    "Exit",
    "FloatArray",
    "Indicator",
    "Network",
    "NetworkBuilder",
    "Origin",
    "Plugin",
    "PluginFile",
    "Sides",
    "SidesTest",
    "Values",
    "all_conditions",
    "all_exits",
    "all_indicators",
    "all_networks",
    "load",
    "load_anew",
    "plugin_hashes",
    "read_plugins",
    "require_new_names",
    "running",
]
