# SPDX-License-Identifier: Apache-2.0
"""The enumerations of tessera.h, under the same names without TESSERA_; compared with it by
tests/python/test_abi.py."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """tessera_status."""

    OK = 0
    INVALID_ARGUMENT = 1
    NOT_FOUND = 2
    CORRUPT_FILE = 3
    UNSUPPORTED_MODEL = 4
    OUT_OF_MEMORY = 5
    IO_ERROR = 6
    CANCELLED = 7
    INTERNAL = 8


class LogLevel(IntEnum):
    """tessera_log_level."""

    LOG_DEBUG = 0
    LOG_INFO = 1
    LOG_WARNING = 2


class Tower(IntEnum):
    """tessera_tower."""

    TOWER_AUTOMATIC = 0
    TOWER_TEXT = 1
    TOWER_IMAGE = 2


class Route(IntEnum):
    """tessera_route."""

    ROUTE_AUTOMATIC = 0
    ROUTE_QUERY = 1
    ROUTE_DOCUMENT = 2


class Precision(IntEnum):
    """tessera_precision."""

    PRECISION_FP32 = 0
    PRECISION_BF16 = 1
    PRECISION_AUTOMATIC = 2
    PRECISION_INT8 = 3


class Pooling(IntEnum):
    """tessera_pooling."""

    POOLING_AUTOMATIC = 0
    POOLING_CLS = 1
    POOLING_MAX = 2
    POOLING_MEAN = 3
    POOLING_MEAN_SQRT_LEN_TOKENS = 4
    POOLING_WEIGHTEDMEAN = 5
    POOLING_LASTTOKEN = 6


class Input(IntEnum):
    """tessera_input."""

    INPUT_TOKENS = 0
    INPUT_IMAGES = 1


class Similarity(IntEnum):
    """tessera_similarity."""

    SIMILARITY_NONE = 0
    SIMILARITY_SOFTMAX = 1
    SIMILARITY_SIGMOID = 2


class Truncation(IntEnum):
    """tessera_truncation."""

    TRUNCATE_AS_PUBLISHED = 0
    TRUNCATE = 1
    DO_NOT_TRUNCATE = 2


class LimitPolicy(IntEnum):
    """tessera_limit_policy."""

    LIMIT_SPLIT = 0
    LIMIT_REFUSE = 1


class BusyPolicy(IntEnum):
    """tessera_busy_policy."""

    BUSY_REFUSE = 0
    BUSY_WAIT = 1


class PlanFormat(IntEnum):
    """tessera_plan_format."""

    PLAN_TEXT = 0
    PLAN_JSON = 1


class PixelFormat(IntEnum):
    """tessera_pixel_format."""

    PIXELS_RGB = 0
    PIXELS_BGR = 1
    PIXELS_PLANES = 2


class Grouping(IntEnum):
    """tessera_grouping."""

    GROUP_NONE = 0
    GROUP_SIMPLE = 1
    GROUP_FIRST = 2
    GROUP_AVERAGE = 3
    GROUP_MAX = 4


class Measure(IntEnum):
    """tessera_measure."""

    MEASURE_COSINE = 0
    MEASURE_DOT = 1


class VectorType(IntEnum):
    """tessera_vector_type."""

    VECTOR_F32 = 0
    VECTOR_F16 = 1
    VECTOR_INT8 = 2
    VECTOR_UINT8 = 3
    VECTOR_BINARY = 4
    VECTOR_UBINARY = 5
