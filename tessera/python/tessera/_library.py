# SPDX-License-Identifier: Apache-2.0
"""Finds libtessera.so.0, checks that it is the one of this package, and calls it.

Looked for, in this order: the file that TESSERA_LIBRARY names, and nothing else if that is set;
``lib/libtessera.so.0`` beside this file (the wheel); where the system looks (LD_LIBRARY_PATH,
/etc/ld.so.conf: a Debian package, ``cmake --install``).
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

from . import errors
from ._functions import FUNCTIONS
from ._version import __version__

SONAME = "libtessera.so.0"


def _candidates() -> list[str]:
    named = os.environ.get("TESSERA_LIBRARY")
    if named:
        return [named]
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib", SONAME)
    return [beside, SONAME] if os.path.exists(beside) else [SONAME]


def _open() -> tuple[ctypes.CDLL, str]:
    refused = []
    for path in _candidates():
        try:
            return ctypes.CDLL(path), path
        except OSError as error:
            refused.append(str(error))
    raise ImportError(
        f"tessera: {SONAME} cannot be loaded ({'; '.join(refused)}), expected the library of "
        f"version {__version__}: set TESSERA_LIBRARY to its path, or install the wheel or libtessera0"
    )


def _same_minor(version: str) -> bool:
    return version.split(".")[:2] == __version__.split(".")[:2]


def _checked(library: ctypes.CDLL, path: str) -> ctypes.CDLL:
    """Functions with their prototypes; ImportError for another ABI than that of this package."""
    advice = f"expected {__version__} as this package is: install both of one version"
    try:
        library.tessera_version.restype = ctypes.c_char_p
        version = library.tessera_version().decode()
    except AttributeError:
        raise ImportError(
            f"tessera: {path} has no function tessera_version, {advice}, or unset TESSERA_LIBRARY"
        ) from None
    if not _same_minor(version):
        parts = [int(part) if part.isdigit() else 0 for part in version.split(".")[:2]]
        mine = [int(part) for part in __version__.split(".")[:2]]
        age = "newer" if parts > mine else "older"
        raise ImportError(f"tessera: {path} is {version}, which is {age}, {advice}")
    for name, (result, arguments) in FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise ImportError(
                f"tessera: {path} is {version}, but has no function {name}: it is older, {advice}"
            ) from None
        function.restype = result
        function.argtypes = arguments
    return library


class NotCopied:
    """What has a handle of the library: it has one owner, and means nothing in another process."""

    def __reduce__(self) -> Any:
        name = type(self).__name__
        raise errors.ArgumentTypeError(
            f"{name}: got one to be pickled or copied, expected an Encoder, a Reranker, ...: they open "
            f"their directory again; a {name} is shared by threads and kept by fork()"
        )


_opened, PATH = _open()
lib: Any = _checked(_opened, PATH)


def last_error() -> str:
    """What the last function that failed on this thread had to say."""
    return lib.tessera_last_error().decode("utf-8", "replace")


def check(status: int, *, names_a_file: bool = False) -> None:
    """Raises the TesseraError of a status that is not OK."""
    if status:
        raise errors.from_status(status, last_error(), names_a_file=names_a_file)


def library_version() -> str:
    """The version of the library in use, "0.1.0"."""
    return lib.tessera_version().decode()


def build_info() -> str:
    """Lines of "name: value": version, compiler, instruction set in use and of the CPU, optional parts."""
    return lib.tessera_build_info().decode()
