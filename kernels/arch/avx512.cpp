// SPDX-License-Identifier: Apache-2.0
// What the level "avx512" adds or beats.
#include "kernels/arch/tables.hpp"
#include "kernels/simd.inl.hpp"

namespace tessera::kernels {
namespace {
using A = xsimd::avx512bw;
}  // namespace

constinit const KernelTable kAvx512{
    .isa = Isa::avx512,
};

}  // namespace tessera::kernels
