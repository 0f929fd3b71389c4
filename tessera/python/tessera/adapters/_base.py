# SPDX-License-Identifier: Apache-2.0
"""Base classes of libraries that may be absent."""

from __future__ import annotations

import importlib
from typing import Any


class Fields:
    """In the place of a base class of pydantic: fields become attributes."""

    def __init__(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self, name, value)


def base_class(name: str, *modules: str) -> Any:
    """Class ``name`` of the first of ``modules`` that has it; else Fields, which has the same methods'
    names and no type."""
    for module in modules:
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    return Fields
