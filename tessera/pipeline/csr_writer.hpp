// SPDX-License-Identifier: Apache-2.0
// Sparse rows as one file: what scipy.sparse.save_npz() writes of a csr_matrix, uncompressed.
//
//   indices.npy  int32 (nnz)     the column of each element that is not 0, rising within a row
//   indptr.npy   int64 (n + 1)   the elements of row i are [indptr[i], indptr[i + 1])
//   format.npy   "csr"
//   shape.npy    int64 (2)       rows and columns
//   data.npy     float32 (nnz)
//
// The numbers of elements come first in the file and are known last: the elements wait in memory, 8
// bytes each. Source: scipy/sparse/_matrix_io.py; PKWARE's APPNOTE.TXT, 4.3.
#pragma once

#include <memory>

#include "tessera/pipeline/embedding_writer.hpp"

namespace tessera {

/// `vocabulary` as in SparseText. finish() throws Error{invalid_argument} for 4 GiB and more, which this
/// form of the format has no numbers for; nothing is written then.
std::unique_ptr<MatrixWriter> csr_writer(ByteSink& output, Index width, Index vocabulary);

}  // namespace tessera
