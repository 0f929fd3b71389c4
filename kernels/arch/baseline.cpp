// SPDX-License-Identifier: Apache-2.0
// What the level "baseline" adds or beats.
#include "kernels/arch/tables.hpp"
#include "kernels/simd.inl.hpp"

namespace tessera::kernels {
namespace {
using A = xsimd::sse4_2;
}  // namespace

constinit const KernelTable kBaseline{
    .isa = Isa::baseline,
};

}  // namespace tessera::kernels
