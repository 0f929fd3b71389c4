# SPDX-License-Identifier: Apache-2.0
"""The command-line tool, which the wheel carries: it measures, which the library does not.

Looked for, in this order: the file that TESSERA_TOOL names, and nothing else if that is set;
``bin/tessera`` beside this file (the wheel); PATH (a Debian package, ``cmake --install``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Sequence

from . import errors

_LOADER = "/lib64/ld-linux-x86-64.so.2"  # runs a file without its x bit: zipfile -e drops that


def command() -> list[str]:
    """The words that start the tool. Errors: NotFoundError, which says where was looked."""
    named = os.environ.get("TESSERA_TOOL")
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", "tessera")
    path = named or (beside if os.path.exists(beside) else shutil.which("tessera"))
    if path is None or not os.path.exists(path):
        looked = f"TESSERA_TOOL={named}" if named else f"{beside} and PATH"
        raise errors.NotFoundError(
            f"tool: got no program tessera ({looked}), expected one: install the wheel or the Debian "
            "package tessera, or set TESSERA_TOOL to its path"
        )
    return [path] if os.access(path, os.X_OK) else [_LOADER, path]


def output_of(arguments: Sequence[str]) -> str:
    """What ``tessera ARGUMENTS`` prints. Errors: the tool's own words, as an InvalidArgumentError where
    the arguments are wrong (status 2), else as a TesseraError."""
    done = subprocess.run([*command(), *arguments], capture_output=True, check=False)
    if done.returncode != 0:
        message = done.stderr.decode("utf-8", "replace").strip().splitlines()
        kind = errors.InvalidArgumentError if done.returncode == 2 else errors.TesseraError
        raise kind(message[0] if message else f"tessera {arguments[0]}: status {done.returncode}")
    return done.stdout.decode("utf-8")


def main() -> None:
    """The console command of the wheel: becomes the tool."""
    words = command()
    os.execv(words[0], [*words, *sys.argv[1:]])
