# SPDX-License-Identifier: Apache-2.0
"""The functions of tessera.h for ctypes: name, result, arguments.

tests/python/test_abi.py compares every prototype with tests/abi/abi.txt. Pointers to arrays are
c_void_p, so that addresses of NumPy arrays are taken as they are.
"""

from __future__ import annotations

from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_void_p
from typing import Any

from ._abi import (
    AnswerOptions,
    File,
    IndexInfo,
    Matrix,
    Memory,
    ModelInfo,
    ModelOptions,
    Output,
    OutputInfo,
    RunOptions,
    SessionOptions,
    Texts,
    Tokens,
)

LogCallback = CFUNCTYPE(None, c_void_p, c_int, c_char_p)
TextCallback = CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)

FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "tessera_status_name": (c_char_p, [c_int]),
    "tessera_last_error": (c_char_p, []),
    "tessera_version": (c_char_p, []),
    "tessera_build_info": (c_char_p, []),
    "tessera_set_log_callback": (c_int, [LogCallback, c_void_p]),
    "tessera_set_fallback_log_callback": (c_int, [LogCallback, c_void_p]),
    "tessera_model_open": (c_int, [c_char_p, POINTER(ModelOptions), POINTER(c_void_p)]),
    "tessera_model_open_memory": (
        c_int,
        [POINTER(File), c_size_t, POINTER(ModelOptions), POINTER(c_void_p)],
    ),
    "tessera_model_prepare": (c_int, [c_void_p]),
    "tessera_model_close": (c_int, [c_void_p]),
    "tessera_model_get_info": (c_int, [c_void_p, POINTER(ModelInfo)]),
    "tessera_model_get_label": (c_int, [c_void_p, c_size_t, POINTER(c_char_p)]),
    "tessera_model_get_prompt": (c_int, [c_void_p, c_size_t, POINTER(c_char_p), POINTER(c_char_p)]),
    "tessera_model_get_output": (c_int, [c_void_p, c_size_t, POINTER(OutputInfo)]),
    "tessera_model_find_output": (c_int, [c_void_p, c_char_p, POINTER(OutputInfo)]),
    "tessera_tokenize": (c_int, [c_void_p, POINTER(Texts), c_void_p, c_void_p, c_size_t, c_void_p]),
    "tessera_model_get_token": (c_int, [c_void_p, c_int64, c_char_p, c_size_t, c_void_p]),
    "tessera_memory_bytes": (c_int, [c_void_p, POINTER(SessionOptions), POINTER(Memory)]),
    "tessera_session_create": (c_int, [c_void_p, POINTER(SessionOptions), POINTER(c_void_p)]),
    "tessera_session_close": (c_int, [c_void_p]),
    "tessera_session_get_memory": (c_int, [c_void_p, POINTER(Memory)]),
    "tessera_session_trim": (c_int, [c_void_p]),
    "tessera_session_describe_plan": (
        c_int,
        [c_void_p, c_int64, c_int64, c_int, TextCallback, c_void_p],
    ),
    "tessera_measure_machine": (c_int, [c_char_p]),
    "tessera_cancel_create": (c_int, [POINTER(c_void_p)]),
    "tessera_cancel_request": (c_int, [c_void_p]),
    "tessera_cancel_reset": (c_int, [c_void_p]),
    "tessera_cancel_close": (c_int, [c_void_p]),
    "tessera_encode_ids": (
        c_int,
        [c_void_p, POINTER(Tokens), POINTER(RunOptions), POINTER(Output), c_size_t],
    ),
    "tessera_encode_texts": (
        c_int,
        [c_void_p, POINTER(Texts), POINTER(RunOptions), POINTER(Output), c_size_t, c_void_p],
    ),
    "tessera_encode_pixels": (
        c_int,
        [c_void_p, c_void_p, c_size_t, POINTER(RunOptions), POINTER(Output), c_size_t, c_void_p],
    ),
    "tessera_encode_images": (
        c_int,
        [
            c_void_p,
            POINTER(File),
            c_size_t,
            POINTER(RunOptions),
            POINTER(Output),
            c_size_t,
            c_void_p,
        ],
    ),
    "tessera_encode_image_files": (
        c_int,
        [
            c_void_p,
            POINTER(c_char_p),
            c_size_t,
            POINTER(RunOptions),
            POINTER(Output),
            c_size_t,
            c_void_p,
        ],
    ),
    "tessera_rank_texts": (
        c_int,
        [
            c_void_p,
            POINTER(Texts),
            POINTER(Texts),
            POINTER(RunOptions),
            c_size_t,
            c_void_p,
            c_void_p,
            c_void_p,
            c_size_t,
        ],
    ),
    "tessera_find_answers": (
        c_int,
        [
            c_void_p,
            POINTER(Texts),
            POINTER(RunOptions),
            POINTER(AnswerOptions),
            c_size_t,
            c_void_p,
            c_size_t,
        ],
    ),
    "tessera_find_entities": (
        c_int,
        [
            c_void_p,
            POINTER(Texts),
            POINTER(RunOptions),
            c_int,
            c_int64,
            c_void_p,
            c_size_t,
            c_void_p,
        ],
    ),
    "tessera_classify_texts": (
        c_int,
        [
            c_void_p,
            POINTER(Texts),
            POINTER(RunOptions),
            POINTER(c_char_p),
            c_size_t,
            c_char_p,
            c_uint32,
            c_void_p,
            c_size_t,
        ],
    ),
    "tessera_compare": (c_int, [POINTER(Matrix), POINTER(Matrix), c_int, c_void_p, c_size_t]),
    "tessera_model_compare": (
        c_int,
        [c_void_p, POINTER(Matrix), POINTER(Matrix), c_void_p, c_void_p, c_size_t],
    ),
    "tessera_quantize": (c_int, [POINTER(Matrix), c_int, c_void_p, c_void_p, c_size_t]),
    "tessera_sparse_elements": (c_int, [c_void_p, c_int64, c_void_p, c_size_t, c_void_p]),
    "tessera_index_create": (c_int, [POINTER(Matrix), POINTER(c_void_p)]),
    "tessera_index_open": (c_int, [c_char_p, POINTER(c_void_p)]),
    "tessera_index_save": (c_int, [c_void_p, c_char_p]),
    "tessera_index_get_info": (c_int, [c_void_p, POINTER(IndexInfo)]),
    "tessera_index_search": (
        c_int,
        [c_void_p, POINTER(Matrix), c_size_t, c_void_p, c_void_p, c_size_t],
    ),
    "tessera_index_close": (c_int, [c_void_p]),
}
