// SPDX-License-Identifier: Apache-2.0
//
// oneDNN's product of whole numbers, C (M,N) = scale[n] · A (M,K) Wᵀ with A and W in s8 and C in f32, on the
// calling thread: what it has in place of Precision::s8. It has no scale for each row of A.
#pragma once

#include <dlfcn.h>

#include <dnnl.hpp>
#include <unordered_map>
#include <vector>

#include "bench/support/gemm_cell.hpp"

namespace tessera::bench {

class OneDnnWhole {
 public:
  /// w (N,K); `scales` (N).
  OneDnnWhole(LinearShape shape, const std::int8_t* w, const std::vector<float>& scales, bool cold)
      : shape_(shape) {
    use_one_thread();
    const auto [M, N, K] = shape;
    using dnnl::memory;
    constexpr auto kS8 = memory::data_type::s8;
    dnnl::primitive_attr attributes;
    attributes.set_output_scales(1 << 1, scales);
    const dnnl::matmul::primitive_desc described(
        {memory::desc({M, K}, kS8, memory::format_tag::ab),
         memory::desc({K, N}, kS8, memory::format_tag::any),
         memory::desc({M, N}, memory::data_type::f32, memory::format_tag::ab)},
        attributes, engine_);
    primitive_ = dnnl::matmul(described);
    a_ = memory(described.src_desc(), engine_, nullptr);
    c_ = memory(described.dst_desc(), engine_, nullptr);
    packed_ = memory(described.weights_desc(), engine_, nullptr);
    weights_ =
        std::make_unique<Copies>(static_cast<Index>(described.weights_desc().get_size()), cold);
    // As it is stored: (K,N) with steps (1,K).
    memory stored({{K, N}, kS8, memory::dims{1, K}}, engine_, const_cast<std::int8_t*>(w));
    packed_.set_data_handle(weights_->first());
    dnnl::reorder(stored, packed_).execute(stream_, stored, packed_);
    stream_.wait();
    weights_->replicate();
    arguments_ = {{DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, packed_}, {DNNL_ARG_DST, c_}};
  }

  /// a (M,K), c (M,N).
  void run(const std::int8_t* a, float* c) {
    a_.set_data_handle(const_cast<std::int8_t*>(a));
    c_.set_data_handle(c);
    packed_.set_data_handle(const_cast<float*>(weights_->next()));
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  static void use_one_thread() noexcept {
    if (void* const set = dlsym(RTLD_DEFAULT, "omp_set_num_threads"); set != nullptr) {
      reinterpret_cast<void (*)(int)>(set)(1);
    }
  }

  LinearShape shape_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::matmul primitive_{};
  dnnl::memory a_{}, c_{}, packed_{};
  std::unique_ptr<Copies> weights_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

}  // namespace tessera::bench
