"""Wheels and sdists, built and installed into environments of their own, without a network."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from support.cli_runner import ROOT


def run(words, folder, **environment):
    """Run a command in `folder` with nothing of this process's environment."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": "", "HOME": str(folder), **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def build(folder):
    """Build a wheel and an sdist of the checkout, and return both by their kinds."""
    run([sys.executable, "-m", "hatchling", "build", "-d", folder], ROOT, PATH=os.environ["PATH"])
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


def install(archive, folder):
    """Return the Python of a new environment that holds the package of `archive`, and sees the libraries of this one."""
    venv.create(folder, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    libraries = [path for path in sys.path if "site-packages" in path]
    (site / "libraries.pth").write_text("\n".join(libraries), encoding="utf-8")
    python = folder / "bin" / "python"
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed", "--quiet"]
    run([python, "-m", "pip", "install", *options, archive], folder)
    assert (site / "crypto_refactor" / "__init__.py").is_file()
    return python
