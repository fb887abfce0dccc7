"""Checks of plug-ins: whether their pieces keep the contracts that the built-in ones keep."""

from crypto_refactor.plugin_checks.checker import PluginReport, check_plugin
from crypto_refactor.plugin_checks.contract import Contract

__all__ = ["Contract", "PluginReport", "check_plugin"]
