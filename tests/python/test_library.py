# SPDX-License-Identifier: Apache-2.0
"""Which library is loaded, and what is said of one that does not fit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tessera
from tessera import _functions

COMPILER = shutil.which("cc")


def import_with(library: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TESSERA_LIBRARY": library}
    return subprocess.run(
        [sys.executable, "-c", "import tessera"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def stand_in(folder: Path, version: str, *, left_out: str = "") -> str:
    """A library that has every function by name, but one, and another version."""
    lines = [f'const char* tessera_version(void) {{ return "{version}"; }}']
    for name in _functions.FUNCTIONS:
        if name not in ("tessera_version", left_out):
            lines.append(f"int {name}(void) {{ return 0; }}")
    source, library = folder / "stand_in.c", folder / "libtessera.so.0"
    source.write_text("\n".join(lines))
    assert COMPILER is not None
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", library, source], check=True)
    return str(library)


def test_a_missing_library_says_what_to_set() -> None:
    result = import_with("/nowhere/libtessera.so.0")
    assert result.returncode == 1
    assert "ImportError: tessera: libtessera.so.0 cannot be loaded (/nowhere/" in result.stderr
    assert "set TESSERA_LIBRARY to its path, or install" in result.stderr


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
@pytest.mark.parametrize(
    "version, age", [("0.0.9", "older"), ("0.99.0", "newer"), ("7.1.0", "newer"), ("0", "older")]
)
def test_another_version_is_an_import_error(tmp_path: Path, version: str, age: str) -> None:
    library = stand_in(tmp_path, version)
    result = import_with(library)
    assert result.returncode == 1
    assert (
        f"ImportError: tessera: {library} is {version}, which is {age}, expected" in result.stderr
    )
    assert tessera.__version__ in result.stderr


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
def test_a_function_that_is_not_there_is_an_import_error(tmp_path: Path) -> None:
    library = stand_in(tmp_path, tessera.__version__, left_out="tessera_rank_texts")
    result = import_with(library)
    assert result.returncode == 1
    assert "has no function tessera_rank_texts: it is older, expected" in result.stderr


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
def test_a_library_of_something_else_is_an_import_error(tmp_path: Path) -> None:
    source, library = tmp_path / "other.c", tmp_path / "libother.so"
    source.write_text("int other(void) { return 1; }")
    assert COMPILER is not None
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", library, source], check=True)
    result = import_with(str(library))
    assert "has no function tessera_version" in result.stderr


def test_a_patch_release_fits() -> None:
    from tessera._library import _same_minor

    major, minor, _ = tessera.__version__.split(".")
    assert _same_minor(f"{major}.{minor}.99")
    assert not _same_minor(f"{major}.{int(minor) + 1}.0")


def test_the_library_says_what_it_is() -> None:
    assert "version: " + tessera.library_version() in tessera.build_info()


def test_warnings_reach_the_log() -> None:
    import checkpoints

    messages: list[tuple[str, str]] = []
    tessera.set_log(lambda level, message: messages.append((level, message)))
    try:
        with tessera.Encoder(checkpoints.DEMO, precision="int8", isa="baseline") as encoder:
            encoder.encode("tea")
    finally:
        tessera.set_log(None)
    count = len(messages)
    assert all(level in ("debug", "info", "warning") and text for level, text in messages)
    with tessera.Encoder(checkpoints.DEMO, precision="int8", isa="baseline") as encoder:
        encoder.encode("tea")
    assert len(messages) == count


@pytest.mark.skipif(COMPILER is None, reason="no C compiler")
def test_a_plugin_of_something_else_is_an_error_that_names_it(tmp_path: Path) -> None:
    import checkpoints

    (tmp_path / "other.c").write_text("int other;")
    assert COMPILER is not None
    plugin = tmp_path / "tessera_openmp.so"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", plugin, tmp_path / "other.c"], check=True)
    environment = {**os.environ, "TESSERA_THREADS": "openmp", "TESSERA_PLUGIN_DIR": str(tmp_path)}
    code = "import sys, tessera; tessera.Encoder(sys.argv[1]).encode('x')"
    result = subprocess.run(
        [sys.executable, "-c", code, str(checkpoints.DEMO)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "tessera.errors." in result.stderr and str(plugin) in result.stderr
