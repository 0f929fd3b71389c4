# SPDX-License-Identifier: Apache-2.0
"""Arrays of numbers: what they must be for the library, and what is said where they are not."""

from __future__ import annotations

import operator
from ctypes import sizeof
from typing import Any, Optional

import numpy as np

from . import errors
from ._abi import Matrix

_CPU_DEVICES = (1, 3)  # kDLCPU, kDLCUDAHost (pinned) of DLPack


def integer(where: str, value: Any, least: int, most: int) -> int:
    """``value`` as an int from ``least`` to ``most``."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise errors.ArgumentTypeError(
            f"{where}: got {errors.described(value)}, expected an int from {least}"
        ) from None
    if not least <= number <= most:
        raise errors.InvalidArgumentError(f"{where}: got {number}, expected {least} to {most}")
    return number


def one_of(where: str, value: Any, choices: Any) -> Any:
    """What ``choices`` has for ``value``."""
    try:
        if value in choices:
            return choices[value]
    except TypeError:  # not hashable
        pass
    raise errors.InvalidArgumentError(
        f"{where}: got {errors.shown(value)}, expected one of {', '.join(map(repr, choices))}"
    )


def on_cpu(where: str, value: Any) -> Any:
    """``value`` as a NumPy array, without a copy where that can be. Errors: ArgumentTypeError."""
    if isinstance(value, np.ndarray):
        return value
    device = getattr(value, "__dlpack_device__", None)
    try:
        is_elsewhere = device is not None and int(device()[0]) not in _CPU_DEVICES
    except Exception:  # pylint: disable=broad-except  # a tensor that DLPack does not take
        is_elsewhere = False
    if is_elsewhere or hasattr(value, "__cuda_array_interface__"):
        raise errors.ArgumentTypeError(
            f"{where}: got {errors.kind_of(value)} on device {getattr(value, 'device', 'cuda')}, "
            "expected an array in the memory of the CPU, such as .cpu() gives"
        )
    if hasattr(value, "detach"):  # a tensor that keeps gradients
        value = value.detach()
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise errors.ArgumentTypeError(
            f"{where}: got {errors.kind_of(value)} that is no array ({error}), expected an array of numbers"
        ) from None


def rows_of(where: str, value: Any, width: Optional[int] = None) -> tuple[np.ndarray, bool]:
    """Rows of float32 that the library can read, (N,D), and whether ``value`` was one row, (D).

    Floats of other sizes and whole numbers are converted; rows may lie apart, their numbers not.
    Errors    ArgumentTypeError: objects, texts, complex numbers; another device.
              InvalidArgumentError: another number of dimensions, or of columns than ``width``
    """
    if isinstance(value, (list, tuple)) and len(value) == 0:
        return np.empty((0, width or 1), np.float32), False
    array = on_cpu(where, value)
    if array.dtype.kind not in "fiu":
        raise errors.ArgumentTypeError(
            f"{where}: got an array of {array.dtype} {array.shape}, expected numbers (float32)"
        )
    if array.ndim not in (1, 2):
        raise errors.InvalidArgumentError(
            f"{where}: got an array of shape {array.shape}, expected (N, D), or (D,) for one"
        )
    is_one = array.ndim == 1
    if is_one:
        array = array[np.newaxis]
    if width is not None and array.shape[1] != width:
        raise errors.InvalidArgumentError(
            f"{where}: got {array.shape[1]} columns, expected {width}"
        )
    if array.dtype != np.float32:
        array = array.astype(np.float32)
    step, inner = array.strides
    rows, columns = array.shape
    is_readable = (
        (columns <= 1 or inner == 4)
        and (rows <= 1 or (step >= 4 * columns and step % 4 == 0))
        and array.ctypes.data % 4 == 0
    )
    return (array if is_readable else np.require(array, np.float32, ["C", "A"])), is_one


def matrix(array: np.ndarray) -> Matrix:
    """tessera_matrix of what rows_of() gave, which must live as long as it."""
    result = Matrix(sizeof(Matrix), 0, array.ctypes.data)
    result.rows, result.width = array.shape
    result.row_stride = array.strides[0] // 4 if array.shape[0] > 1 else array.shape[1]
    return result


def writable(where: str, out: Any, shape: tuple[int, ...]) -> np.ndarray:
    """``out`` where the library can write float32 of this shape, its rows apart or not.

    Errors    ArgumentTypeError: no NumPy array, another dtype; InvalidArgumentError: another shape,
              read-only, another order
    """
    if not isinstance(out, np.ndarray) or out.dtype != np.float32:
        kind = f"an array of {out.dtype}" if isinstance(out, np.ndarray) else errors.kind_of(out)
        raise errors.ArgumentTypeError(f"{where}: got {kind}, expected a NumPy array of float32")
    if out.shape != shape:
        raise errors.InvalidArgumentError(f"{where}: got shape {out.shape}, expected {shape}")
    is_ordered = out.size == 0 or (
        out.strides[-1] == 4 and (out.ndim == 1 or out.strides[0] >= 4 * shape[-1])
    )
    if not out.flags.writeable or not out.flags.aligned or not is_ordered:
        raise errors.InvalidArgumentError(
            f"{where}: got an array with strides {out.strides}, writeable: {out.flags.writeable}; "
            "expected rows of adjacent floats that can be written (order='C')"
        )
    return out
