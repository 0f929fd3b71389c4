# SPDX-License-Identifier: Apache-2.0
"""The ctypes structs, enumerations and prototypes against tests/abi/abi.txt, which scripts/check_abi.sh
compares with the header and the library."""

from __future__ import annotations

import ctypes
import re

import pytest

import checkpoints
import tessera
from tessera import _abi, _enums, _functions

ANNOUNCED = (checkpoints.ROOT / "tests/abi/abi.txt").read_text()
DECLARATIONS, LAYOUT = ANNOUNCED.split("== Declarations\n")[1].split("== Layout")
STRUCTS = re.findall(r"^struct tessera_(\w+): size (\d+).*\n((?:  .*\n)*)", LAYOUT, re.M)
# Enumerators that only say how large an enumeration may become.
VALUES = [
    (name, int(value))
    for name, value in re.findall(r"^TESSERA_(\w+) = (\d+)$", LAYOUT, re.M)
    if int(value) != 0x7FFFFFFF
]
FUNCTIONS = re.findall(
    r"^(?:__attribute__.*?\)\)\) )(.*?)(tessera_\w+)\((.*)\);$", DECLARATIONS, re.M
)

SCALARS = {
    "uint32_t": ctypes.c_uint32,
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
    "float": ctypes.c_float,
}
CALLBACKS = {
    "tessera_log_callback": _functions.LogCallback,
    "tessera_text_callback": _functions.TextCallback,
}
ENUMS = {name for name in re.findall(r"typedef enum (tessera_\w+)", DECLARATIONS)}


def python_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.replace("tessera_", "").split("_"))


def struct_classes() -> dict[str, type]:
    return {
        name: kind
        for name, kind in vars(_abi).items()
        if isinstance(kind, type)
        and issubclass(kind, ctypes.Structure)
        and kind is not ctypes.Structure
    }


@pytest.mark.parametrize("name, size, fields", STRUCTS, ids=[s[0] for s in STRUCTS])
def test_structs_are_laid_out_as_announced(name: str, size: str, fields: str) -> None:
    kind = struct_classes()[python_name(name)]
    assert ctypes.sizeof(kind) == int(size)
    announced = re.findall(r"  (\w+): offset (\d+), size (\d+)", fields)
    ours = [
        (n, str(getattr(kind, n).offset), str(getattr(kind, n).size)) for n, *_ in kind._fields_
    ]
    assert ours == announced


def test_there_are_no_other_structs() -> None:
    assert sorted(struct_classes()) == sorted(python_name(name) for name, *_ in STRUCTS)


def test_enumerators_are_those_announced() -> None:
    ours = [
        (member.name, int(member))
        for kind in vars(_enums).values()
        if isinstance(kind, type)
        and issubclass(kind, _enums.IntEnum)
        and kind is not _enums.IntEnum
        for member in kind
    ]
    assert sorted(ours) == sorted(VALUES)


def takes(declared: str, kind: object) -> bool:
    """Whether ``kind`` may stand for a C type."""
    text = declared.replace("const", "").replace(" ", "")
    if text in SCALARS:
        return kind is SCALARS[text]
    if text in ENUMS:
        return kind is ctypes.c_int
    if text in CALLBACKS:
        return kind is CALLBACKS[text]
    if text == "char*":
        return kind is ctypes.c_char_p
    if text == "char**":
        return kind is ctypes.POINTER(ctypes.c_char_p)
    if re.fullmatch(r"tessera_\w+\*\*", text):
        return kind is ctypes.POINTER(ctypes.c_void_p)
    if not text.endswith("*"):
        return False
    struct = struct_classes().get(python_name(text[:-1]))
    return kind is ctypes.c_void_p or (struct is not None and kind is ctypes.POINTER(struct))


def type_of(parameter: str) -> str:
    """The type of "const char* directory", of "tessera_model*"."""
    match = re.fullmatch(r"(.*[ *])(\w+)", parameter.strip())
    is_type_alone = match is None or match[1].replace("const", "").strip() == ""
    return parameter if is_type_alone else match[1].strip()


@pytest.mark.parametrize("result, name, parameters", FUNCTIONS, ids=[f[1] for f in FUNCTIONS])
def test_functions_have_the_prototypes_announced(result: str, name: str, parameters: str) -> None:
    assert name in _functions.FUNCTIONS
    ours, arguments = _functions.FUNCTIONS[name]
    assert takes(result, ours), result
    declared = [] if parameters.strip() == "void" else parameters.split(",")
    assert len(declared) == len(arguments)
    for parameter, kind in zip(declared, arguments):
        assert takes(type_of(parameter), kind), parameter


def test_every_exported_function_is_there() -> None:
    symbols = re.findall(r"^T (tessera_\w+)@@", ANNOUNCED, re.M)
    assert sorted(_functions.FUNCTIONS) == sorted(symbols)
    assert len(FUNCTIONS) == len(symbols)


def test_versions_are_one() -> None:
    project = re.search(
        r"project\(tessera VERSION ([\d.]+)", (checkpoints.ROOT / "CMakeLists.txt").read_text()
    )
    assert project is not None
    assert tessera.__version__ == project[1] == tessera.library_version()
