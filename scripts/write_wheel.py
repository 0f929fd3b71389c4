#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the wheel of build_wheel.sh: a zip as the binary distribution format says
(packaging.python.org, version 1.0), with the standard library alone.

    scripts/write_wheel.py --library libtessera.so.0 --tool tessera --version 0.1.0 --out FOLDER

The same files give the same bytes: entries in order, one timestamp (SOURCE_DATE_EPOCH, else 1980), fixed
permissions. Prints the wheel's path.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOL = "tessera/bin/tessera"
TAG = "py3-none-manylinux_2_36_x86_64"
# What is linked into the library and the tool, whose licences want their text beside it: Debian's packages.
LINKED = (
    "libcli11-dev libdeflate-dev libfmt-dev libgif-dev libjpeg62-turbo-dev liblzma-dev libpcre2-dev "
    "libpfm4-dev libpng-dev libtiff-dev libutf8proc-dev libwebp-dev libxsimd-dev libzstd-dev "
    "rapidjson-dev zlib1g-dev"
).split()


def metadata(version: str) -> str:
    head = [
        "Metadata-Version: 2.1",
        "Name: tessera",
        f"Version: {version}",
        "Summary: Transformer encoders on CPUs: embeddings, labels and scores of texts and images",
        "License: Apache-2.0",
        "Platform: manylinux_2_36_x86_64",
        "Classifier: License :: OSI Approved :: Apache Software License",
        "Classifier: Operating System :: POSIX :: Linux",
        "Classifier: Programming Language :: Python :: 3",
        "Classifier: Typing :: Typed",
        "Requires-Python: >=3.9",
        "Requires-Dist: numpy",
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join(head) + "\n\n" + (ROOT / "tessera/python/README.md").read_text("utf-8")


def entries(library: Path, tool: Path, version: str) -> dict[str, bytes]:
    """Name to content, of everything but RECORD."""
    package = ROOT / "tessera/python/tessera"
    files = {
        f"tessera/{path.relative_to(package).as_posix()}": path.read_bytes()
        for path in package.rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    files["tessera/lib/libtessera.so.0"] = library.read_bytes()
    files[TOOL] = tool.read_bytes()
    info = f"tessera-{version}.dist-info"
    files[f"{info}/entry_points.txt"] = b"[console_scripts]\ntessera = tessera._tool:main\n"
    files[f"{info}/METADATA"] = metadata(version).encode()
    wheel = f"Wheel-Version: 1.0\nGenerator: tessera\nRoot-Is-Purelib: false\nTag: {TAG}\n"
    files[f"{info}/WHEEL"] = wheel.encode()
    files[f"{info}/licenses/LICENSE"] = (ROOT / "LICENSE").read_bytes()
    for name in LINKED:
        text = Path("/usr/share/doc") / name / "copyright"
        if text.exists():
            files[f"{info}/licenses/{name}.txt"] = text.read_bytes()
    return files


def record(files: dict[str, bytes], name: str) -> bytes:
    lines = []
    for path, content in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content)}")
    return "\n".join([*lines, f"{name},,", ""]).encode()


def write(path: Path, files: dict[str, bytes]) -> None:
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    stamp = max(time.gmtime(epoch)[:6], (1980, 1, 1, 0, 0, 0))
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(files, key=lambda name: (".dist-info/" in name, name)):  # metadata last
            entry = zipfile.ZipInfo(name, stamp)
            entry.create_system = 3  # Unix, so that permissions count
            is_program = ".so" in name or name == TOOL
            entry.external_attr = (0o100755 if is_program else 0o100644) << 16
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED, 9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--tool", type=Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    files = entries(options.library, options.tool, options.version)
    name = f"tessera-{options.version}.dist-info/RECORD"
    files[name] = record(files, name)
    options.out.mkdir(parents=True, exist_ok=True)
    wheel = options.out / f"tessera-{options.version}-{TAG}.whl"
    made = wheel.with_suffix(".part")
    write(made, files)
    made.replace(wheel)
    print(wheel)


if __name__ == "__main__":
    main()
