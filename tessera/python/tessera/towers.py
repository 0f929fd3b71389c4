# SPDX-License-Identifier: Apache-2.0
"""What a model of two towers (CLIP, SigLIP) says of images and texts."""

from __future__ import annotations

from ctypes import byref
from typing import Any, NamedTuple

import numpy as np

from . import _arrays
from ._library import check, lib
from .model import Model


class TowerScores(NamedTuple):
    """Of each image with each text, (images, texts) float32."""

    logits: np.ndarray
    probabilities: np.ndarray


def compare_towers(model: Model, images: Any, texts: Any) -> TowerScores:
    """logit = exp(logit_scale)·⟨image, text⟩ + logit_bias, and its softmax over the texts or its sigmoid.

    Shapes    images (N,D), texts (M,D) float32: embeddings of each tower
    Errors    UnsupportedModelError: the model compares nothing; InvalidArgumentError: widths
    """
    x, _ = _arrays.rows_of("images", images)
    y, _ = _arrays.rows_of("texts", texts)
    logits = np.empty((len(x), len(y)), np.float32)
    probabilities = np.empty_like(logits)
    if logits.size:
        a, b = _arrays.matrix(x), _arrays.matrix(y)
        check(
            lib.tessera_model_compare(
                model.handle,
                byref(a),
                byref(b),
                logits.ctypes.data,
                probabilities.ctypes.data,
                logits.size,
            )
        )
    return TowerScores(logits, probabilities)
