# SPDX-License-Identifier: Apache-2.0
"""tessera.h for ctypes: its structs. _enums.py has the enumerations, _functions.py the functions.

tests/python/test_abi.py compares every offset and size with tests/abi/abi.txt, which
scripts/check_abi.sh compares with the header and the library. Pointers to arrays are c_void_p, so that
addresses of NumPy arrays are taken as they are.
"""

from __future__ import annotations

from ctypes import (
    Structure,
    c_char_p,
    c_float,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)


class ModelOptions(Structure):
    """tessera_model_options."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("copy_tables", c_uint32),
        ("isa", c_char_p),
        ("architecture", c_char_p),
        ("outputs", c_void_p),
        ("output_count", c_size_t),
        ("packed_cache", c_char_p),
        ("memory_cap_bytes", c_uint64),
        ("tower", c_int),
        ("precision", c_int),
        ("dims", c_int64),
        ("pooling", c_int),
        ("normalize", c_uint32),
        ("top_k", c_int64),
        ("route", c_int),
        ("reserved", c_uint32),
    ]


class File(Structure):
    """tessera_file."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("name", c_char_p),
        ("data", c_void_p),
        ("size", c_size_t),
    ]


class ModelInfo(Structure):
    """tessera_model_info."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("input", c_int),
        ("has_tokenizer", c_uint32),
        ("is_normalized", c_uint32),
        ("model_type", c_char_p),
        ("architecture", c_char_p),
        ("isa", c_char_p),
        ("main_output", c_char_p),
        ("embedding", c_char_p),
        ("problem_type", c_char_p),
        ("tokenizer_problem", c_char_p),
        ("layers", c_int64),
        ("hidden_size", c_int64),
        ("heads", c_int64),
        ("intermediate_size", c_int64),
        ("vocabulary_size", c_int64),
        ("token_types", c_int64),
        ("max_tokens", c_int64),
        ("position_limit", c_int64),
        ("image_height", c_int64),
        ("image_width", c_int64),
        ("label_count", c_uint32),
        ("output_count", c_uint32),
        ("similarity", c_int),
        ("logit_scale", c_float),
        ("logit_bias", c_float),
        ("precision", c_int),
        ("is_sparse", c_uint32),
        ("reserved", c_uint32),
        ("similarity_function", c_char_p),
        ("default_prompt_name", c_char_p),
        ("route", c_char_p),
        ("prompt_count", c_uint32),
        ("route_count", c_uint32),
        ("is_multi_vector", c_uint32),
        ("reserved_2", c_uint32),
    ]


class OutputInfo(Structure):
    """tessera_output_info."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("is_per_token", c_uint32),
        ("name", c_char_p),
        ("width", c_int64),
    ]


class Texts(Structure):
    """tessera_texts."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("truncation", c_int),
        ("texts", c_void_p),
        ("lengths", c_void_p),
        ("pairs", c_void_p),
        ("pair_lengths", c_void_p),
        ("count", c_size_t),
        ("max_tokens", c_int64),
        ("prompt", c_char_p),
        ("prompt_name", c_char_p),
        ("is_cut", c_void_p),
    ]


class SessionOptions(Structure):
    """tessera_session_options."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("threads", c_int32),
        ("max_rows", c_int64),
        ("max_sequences", c_int64),
        ("outputs", c_void_p),
        ("output_count", c_size_t),
        ("policy", c_int),
        ("reserved", c_uint32),
        ("memory_cap_bytes", c_uint64),
        ("parallel_for", c_void_p),
        ("parallel_for_context", c_void_p),
        ("concurrent_calls", c_uint32),
        ("busy", c_int),
    ]


class Memory(Structure):
    """tessera_memory."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("threads", c_uint32),
        ("weights_packed", c_uint64),
        ("weights_mapped", c_uint64),
        ("arena", c_uint64),
        ("total", c_uint64),
        ("max_rows", c_int64),
        ("max_sequences", c_int64),
    ]


class RunOptions(Structure):
    """tessera_run_options."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("interpolate_positions", c_uint32),
        ("cancel", c_void_p),
        ("timeout_ns", c_int64),
        ("item_status", c_void_p),
        ("max_pixels", c_int64),
    ]


class Output(Structure):
    """tessera_output."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("name", c_char_p),
        ("data", c_void_p),
        ("capacity", c_size_t),
        ("row_stride", c_int64),
    ]


class Tokens(Structure):
    """tessera_tokens."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("ids", c_void_p),
        ("types", c_void_p),
        ("offsets", c_void_p),
        ("count", c_size_t),
    ]


class Pixels(Structure):
    """tessera_pixels."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("channels", c_uint32),
        ("data", c_void_p),
        ("height", c_int64),
        ("width", c_int64),
        ("row_stride", c_int64),
        ("format", c_int),
        ("reserved", c_uint32),
        ("planes", c_void_p),
    ]


class Span(Structure):
    """tessera_span."""

    _fields_ = [
        ("begin", c_int64),
        ("end", c_int64),
        ("first_byte", c_int64),
        ("end_byte", c_int64),
        ("score", c_float),
        ("label", c_int32),
    ]


class AnswerOptions(Structure):
    """tessera_answer_options."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("may_be_none", c_uint32),
        ("max_answer_tokens", c_int64),
        ("stride", c_int64),
    ]


class Matrix(Structure):
    """tessera_matrix."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("data", c_void_p),
        ("rows", c_size_t),
        ("width", c_int64),
        ("row_stride", c_int64),
    ]


class Element(Structure):
    """tessera_element."""

    _fields_ = [
        ("column", c_int64),
        ("value", c_float),
        ("reserved", c_uint32),
    ]


class IndexInfo(Structure):
    """tessera_index_info."""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("rows", c_size_t),
        ("width", c_int64),
    ]
