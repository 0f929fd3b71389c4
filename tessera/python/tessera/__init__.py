# SPDX-License-Identifier: Apache-2.0
"""Tessera: texts and images to embeddings, labels and scores, with Transformer encoders on CPUs.

    from tessera import Encoder
    encoder = Encoder("all-MiniLM-L6-v2")          # a directory as published
    vectors = encoder.encode(["how do I brew tea", "a pot of tea"])   # (2,384) float32
    print(encoder.similarity(vectors, vectors))

Over libtessera.so.0 by ctypes; NumPy is the only dependency.

Threads   any thread may use any object; calls release the GIL. One object computes so many calls at once
          as its concurrent_calls, each on all its threads; others wait.
fork()    a child computes alone, with the same bits, on the objects that it has; not on one that was in
          a call of another thread meanwhile: that is an error there, and a new object works.
Ctrl-C    ends a call in the main thread at the next tile, with KeyboardInterrupt.
asyncio   aencode(), arank(), ..., or run_async(method, ...): cancelling the task ends the run.
Errors    TesseraError, of which each is also what Python calls it: ValueError, FileNotFoundError, ...
Texts     are str. One with a lone surrogate, which UTF-8 cannot express, is an error that names it.
"""

from ._library import build_info, library_version
from ._run import Cancel
from ._version import __version__
from .classifier import Classifier
from .encoder import Encoder
from .entities import EntityRecognizer, QuestionAnswerer
from .errors import (
    ArgumentTypeError,
    CancelledError,
    CorruptFileError,
    DeadlineError,
    InternalError,
    InvalidArgumentError,
    IoError,
    MissingFileError,
    NotFoundError,
    OutOfMemoryError,
    TesseraError,
    UnsupportedModelError,
)
from .log import set_log
from .model import Info, Model, Output
from .multi_vector import MultiVector, max_sim
from .plan import Plan, PlanRow, measure_machine
from .report import Report
from .reranker import Reranker
from .search import SearchIndex
from .session import Encoded, Memory, Session, memory_bytes
from .sparse import SparseEncoder, SparseVectors
from .task import run_async
from .tokens import Tokens
from .towers import TowerScores
from .vectors import quantize_embeddings, similarity, similarity_pairwise

__all__ = [
    "ArgumentTypeError",
    "Cancel",
    "CancelledError",
    "Classifier",
    "CorruptFileError",
    "DeadlineError",
    "Encoded",
    "Encoder",
    "EntityRecognizer",
    "Info",
    "InternalError",
    "InvalidArgumentError",
    "IoError",
    "Memory",
    "MissingFileError",
    "Model",
    "MultiVector",
    "NotFoundError",
    "OutOfMemoryError",
    "Output",
    "Plan",
    "PlanRow",
    "QuestionAnswerer",
    "Report",
    "Reranker",
    "SearchIndex",
    "Session",
    "SparseEncoder",
    "SparseVectors",
    "TesseraError",
    "Tokens",
    "TowerScores",
    "UnsupportedModelError",
    "__version__",
    "build_info",
    "library_version",
    "max_sim",
    "measure_machine",
    "memory_bytes",
    "quantize_embeddings",
    "run_async",
    "set_log",
    "similarity",
    "similarity_pairwise",
]
