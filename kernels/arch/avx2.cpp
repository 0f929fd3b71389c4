// SPDX-License-Identifier: Apache-2.0
// What the level "avx2" adds or beats.
#include "kernels/arch/tables.hpp"
#include "kernels/simd.inl.hpp"

namespace tessera::kernels {
namespace {
using A = xsimd::fma3<xsimd::avx2>;
}  // namespace

constinit const KernelTable kAvx2{
    .isa = Isa::avx2,
};

}  // namespace tessera::kernels
