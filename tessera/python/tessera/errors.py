# SPDX-License-Identifier: Apache-2.0
"""What goes wrong: an exception for each status of the library, and for what is refused before it.

Every one is a TesseraError, and also what Python calls it, so that ``except ValueError`` and
``except FileNotFoundError`` work. Messages have four parts: where, what, got, expected.
"""

from __future__ import annotations

import errno
from typing import Any

from ._enums import Status


class TesseraError(Exception):
    """A status that is not OK. ``status`` is its number, ``str()`` the message of the library."""

    status: int = Status.INTERNAL


class InvalidArgumentError(TesseraError, ValueError):
    """The caller passed something that the documentation excludes."""

    status = Status.INVALID_ARGUMENT


class ArgumentTypeError(InvalidArgumentError, TypeError):
    """As InvalidArgumentError, of an argument of another type, dtype or device than expected."""


class NotFoundError(TesseraError, LookupError):
    """A tensor, output, prompt or option that was named is not there."""

    status = Status.NOT_FOUND


class MissingFileError(NotFoundError, FileNotFoundError):
    """A file or directory that was named is not there."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.errno = errno.ENOENT


class CorruptFileError(TesseraError, ValueError):
    """A file contradicts itself or its format."""

    status = Status.CORRUPT_FILE


class UnsupportedModelError(TesseraError, NotImplementedError):
    """Well-formed, but not computed by this version, or not by this class."""

    status = Status.UNSUPPORTED_MODEL


class OutOfMemoryError(TesseraError, MemoryError):
    """Memory was refused, or a cap is too small."""

    status = Status.OUT_OF_MEMORY


class IoError(TesseraError, OSError):
    """The operating system refused a read or a write."""

    status = Status.IO_ERROR


class CancelledError(TesseraError):
    """Ended by its caller; nothing is wrong."""

    status = Status.CANCELLED


class DeadlineError(CancelledError, TimeoutError):
    """Ended by the timeout that the call was given."""


class InternalError(TesseraError, RuntimeError):
    """A bug in Tessera."""

    status = Status.INTERNAL


_OF_STATUS: dict[int, type[TesseraError]] = {
    int(kind.status): kind
    for kind in (
        InvalidArgumentError,
        NotFoundError,
        CorruptFileError,
        UnsupportedModelError,
        OutOfMemoryError,
        IoError,
        CancelledError,
        InternalError,
    )
}


def from_status(status: int, message: str, *, names_a_file: bool = False) -> TesseraError:
    """The exception of a status; ``names_a_file``: what is not found is a file."""
    if names_a_file and status == Status.NOT_FOUND:
        return MissingFileError(message)
    kind = _OF_STATUS.get(status, TesseraError)
    error = kind(message)
    error.status = status
    return error


def shown(value: Any) -> str:
    """``value`` for a message: its repr, of 60 characters at most."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def kind_of(value: Any) -> str:
    """What ``value`` is, for a message: "a list", "an int", "None", "bytes"."""
    name = type(value).__name__
    if value is None or name == "bytes":
        return str(value) if value is None else name
    return ("an " if name[:1].lower() in "aeiou" else "a ") + name


def described(value: Any) -> str:
    """What ``value`` is, and what it holds: "an int, 3"."""
    return "None" if value is None else f"{kind_of(value)}, {shown(value)}"
