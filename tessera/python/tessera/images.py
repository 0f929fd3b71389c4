# SPDX-License-Identifier: Apache-2.0
"""Images for the library: files by path, files in memory, PIL images, arrays.

A path or bytes is a JPEG, PNG, WebP, GIF, BMP or TIFF file, decoded by the library and turned upright as
its EXIF data say. A PIL image is taken as it is shown, in RGB, and not turned. An array is (H,W), (H,W,1),
(H,W,3) or (H,W,4) of uint8, RGB, whose fourth channel is dropped; or (1,H,W), (3,H,W) or (4,H,W) of floats
in [0, 1], as torchvision's to_tensor() gives. Nothing normalises beforehand: the model's
preprocessor_config.json says how.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from ctypes import byref, c_char_p, c_void_p, sizeof
from functools import partial
from typing import Any, Callable, Optional

import numpy as np

from . import _abi, _arrays, errors
from ._enums import PixelFormat
from ._library import lib
from ._run import Cancel
from .model import path_bytes
from .session import Session, output_struct

_CHANNELS = (1, 3, 4)
_UNITS = 1000  # of an image, beside the 6 of a token: only the ratio to itself matters


def is_image(value: Any) -> bool:
    """Whether ``value`` is one image that is not named by a str: a PIL image, an array, a path object."""
    return _is_pil(value) or isinstance(value, os.PathLike) or _is_array(value)


def _is_pil(value: Any) -> bool:
    return hasattr(value, "convert") and hasattr(value, "mode") and hasattr(value, "getbbox")


def _is_array(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fiub" and value.ndim >= 2
    return hasattr(value, "__dlpack__") or hasattr(value, "__cuda_array_interface__")


def listed(images: Any) -> tuple[list[Any], bool]:
    """The images of ``images``, and whether it was one. Errors: ArgumentTypeError"""
    if isinstance(images, np.ndarray) and images.ndim == 4:
        return list(images), False
    if isinstance(images, (list, tuple)):
        return list(images), False
    if isinstance(images, (str, bytes, bytearray, memoryview)) or is_image(images):
        return [images], True
    is_file = hasattr(images, "read")  # whose items are lines
    if images is None or isinstance(images, dict) or is_file or not hasattr(images, "__iter__"):
        hint = ": .read() gives the bytes" if is_file else ""
        raise errors.ArgumentTypeError(
            f"images: got {errors.kind_of(images)}, expected a path, bytes of a file, a PIL image, an "
            f"array, or a list of these{hint}"
        )
    return list(images), False


def _pixels(where: str, image: Any) -> tuple[_abi.Pixels, np.ndarray]:
    """tessera_pixels of a PIL image or an array, and the array that it points to."""
    array = np.asarray(image.convert("RGB")) if _is_pil(image) else _arrays.on_cpu(where, image)
    got = f"{where}: got an array of {array.dtype} {array.shape}"
    c = _abi.Pixels(sizeof(_abi.Pixels))
    if array.dtype == np.uint8:
        if array.ndim == 2:
            array = array[:, :, np.newaxis]
        if array.ndim != 3 or array.shape[2] not in _CHANNELS or not array.size:
            raise errors.InvalidArgumentError(
                f"{got}, expected uint8 (H, W, 3), (H, W, 4), (H, W, 1) or (H, W)"
            )
        height, width, channels = array.shape
        step = array.strides[0]
        if array.strides[1:] != (channels, 1) or step < width * channels:
            array = np.ascontiguousarray(array)
            step = array.strides[0]
        c.data, c.row_stride = array.ctypes.data, step if height > 1 else width * channels
    elif array.dtype.kind == "f":
        if array.ndim != 3 or array.shape[0] not in _CHANNELS or not array.size:
            raise errors.InvalidArgumentError(
                f"{got}, expected floats (3, H, W), (4, H, W) or (1, H, W) in [0, 1]"
            )
        array = np.require(array, np.float32, ["C", "A"])
        channels, height, width = array.shape
        c.format, c.planes = PixelFormat.PIXELS_PLANES, array.ctypes.data
    else:
        raise errors.ArgumentTypeError(
            f"{got}, expected uint8 (H, W, channels), or floats (channels, H, W) in [0, 1]"
        )
    c.channels, c.height, c.width = channels, height, width
    return c, array


# Each of these gives what calls the library for a list of images: (run, output) → status.
Call = Callable[[Any, Any], int]


def _call(function: Any, session: Session, images: Any, _kept: Any, run: Any, output: Any) -> int:
    """``_kept`` is what ``images`` points to, which lives as long as this is bound to it."""
    return function(session.handle, images, len(images), run, output, 1, None)


def _by_path(session: Session, items: list[tuple[str, Any]]) -> Call:
    paths = (c_char_p * len(items))(*(path_bytes(where, image) for where, image in items))
    return partial(_call, lib.tessera_encode_image_files, session, paths, None)


def _by_bytes(session: Session, items: list[tuple[str, Any]]) -> Call:
    data = [bytes(image) for _, image in items]
    files = (_abi.File * len(items))()
    for file, content, (where, _) in zip(files, data, items):
        file.struct_size = sizeof(_abi.File)
        file.name = where.encode()
        file.data = ctypes.cast(c_char_p(content), c_void_p).value
        file.size = len(content)
    return partial(_call, lib.tessera_encode_images, session, files, data)


def _by_pixels(session: Session, items: list[tuple[str, Any]]) -> Call:
    made = [_pixels(where, image) for where, image in items]
    images = (_abi.Pixels * len(made))(*(c for c, _ in made))
    return partial(_call, lib.tessera_encode_pixels, session, images, made)


def _door(where: str, image: Any) -> Callable[[Session, list[tuple[str, Any]]], Call]:
    if isinstance(image, (str, os.PathLike)):
        return _by_path
    if isinstance(image, (bytes, bytearray, memoryview)):
        return _by_bytes
    if _is_pil(image) or isinstance(image, np.ndarray) or _is_array(image):
        return _by_pixels
    raise errors.ArgumentTypeError(
        f"{where}: got {errors.described(image)}, expected a path, bytes of a file, "
        "a PIL image or an array"
    )


def _run(call: Call, output: Any, run: Any) -> int:
    return call(run, output)


def encode_into(
    session: Session,
    name: str,
    images: Sequence[Any],
    out: np.ndarray,
    *,
    first: int = 0,
    max_pixels: int = 0,
    cancel: Optional[Cancel] = None,
    timeout: Optional[float] = None,
) -> None:
    """One output with a row per image, written to ``out`` (N, width).

    first     the number of images[0], for messages
    Errors    ArgumentTypeError, MissingFileError, IoError, CorruptFileError, InvalidArgumentError: each
              names the image; NotFoundError: the checkpoint has no preprocessor_config.json
    """
    doors: dict[Any, list[int]] = {}
    items = [(f"images[{first + i}]", image) for i, image in enumerate(images)]
    for i, (where, image) in enumerate(items):
        doors.setdefault(_door(where, image), []).append(i)
    for door, places in doors.items():
        # Of one kind, as a rule: then the library writes to `out` itself.
        target = out if len(doors) == 1 else np.empty((len(places), out.shape[1]), np.float32)
        call = door(session, [items[i] for i in places])
        c = output_struct(name.encode(), target)
        session.run(
            partial(_run, call, byref(c)),
            _UNITS * len(places),
            cancel,
            timeout,
            max_pixels=max_pixels,
            names_a_file=door is _by_path,
        )
        if target is not out:
            out[places] = target
