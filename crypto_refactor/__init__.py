"""Hourly crypto research and trading: bars, 14 indicators, an LSTM signal, an honest backtest."""

import os

__version__ = "0.1.0"

# Set here because every process imports this module before any other of the package: a command, a script that uses the
# package, a fit beside it, a worker of a cluster.  The libraries look once, when they are imported.
#
# onnxruntime looks up a host of its maker and leaves a device id in the user's cache folder; its own call to stop that
# comes after both have happened.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# Keras writes its settings into the home folder, and takes what it finds there into every fit.  Where its folder is no
# folder it does neither.
if not os.environ.get("KERAS_HOME"):
    os.environ["KERAS_HOME"] = os.devnull
