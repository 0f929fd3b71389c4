#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of the Python package: tests/python and the examples of the docstrings.

    TESSERA_LIBRARY=.../libtessera.so.0 tests/python/run.py [PYTEST ARGUMENTS]

Without pytest or NumPy it says so and ends with 77 (skipped), in CI (environment CI) with 1.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    for name, package in (("numpy", "python3-numpy"), ("pytest", "python3-pytest")):
        try:
            __import__(name)
        except ImportError:
            print(
                f"tests/python: {sys.executable} has no module {name}, expected {package}: skipped"
            )
            return 1 if os.environ.get("CI") else 77
    folder = ROOT / "tessera/python"
    paths = [str(folder)] + [p for p in [os.environ.get("PYTHONPATH")] if p]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    given = sys.argv[1:]
    what = (
        []
        if any(not part.startswith("-") for part in given)
        else ["tests/python", "tessera/python/tessera"]
    )
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--doctest-modules",
        "--ignore=tests/python/run.py", "--ignore=tessera/python/tessera/adapters", *given, *what,
    ]  # fmt: skip
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
