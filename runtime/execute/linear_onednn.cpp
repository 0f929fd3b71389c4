// SPDX-License-Identifier: Apache-2.0
#include "runtime/execute/linear_onednn.hpp"

#include <fmt/format.h>

#include <array>

#include "runtime/base/error.hpp"
#include "runtime/plugins/plugin.hpp"

namespace tessera::execute {
namespace {

void check_extents(Index N, Index K, OneDnnRows rows) {
  if (N < 1 || K < 1 || rows.M < 1 || rows.lda < K || rows.ldc < N) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("oneDNN linear: N = {}, K = {}, M = {}, lda = {}, ldc = {}, expected extents "
                    "of at least 1 and strides of at least K and N",
                    N, K, rows.M, rows.lda, rows.ldc));
  }
}

void check(const plugins::Failure& failure) {
  if (failure.code == 0) return;
  throw Error(failure.code == 1 ? ErrorCode::out_of_memory : ErrorCode::internal,
              fmt::format("oneDNN linear: {}", failure.text));
}

plugins::OneDnnShape shape_of(OneDnnRows rows) {
  return {rows.M, rows.lda, rows.ldc};
}

}  // namespace

struct OneDnnLinear::Impl {
  const plugins::OneDnn& plugin;
  Index N;
  void* linear = nullptr;

  Impl(const plugins::OneDnn& of, Index n) : plugin(of), N(n) {}
  ~Impl() {
    if (linear != nullptr) plugin.destroy(linear);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
};

bool OneDnnLinear::is_available(std::string* why) {
  std::string unwanted;
  return plugins::onednn(why == nullptr ? unwanted : *why) != nullptr;
}

OneDnnLinear::OneDnnLinear(Index N, Index K, const float* bias, OneDnnRows rows,
                           Precision precision) {
  check_extents(N, K, rows);
  std::string why;
  const plugins::OneDnn* const plugin = plugins::onednn(why);
  if (plugin == nullptr) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("oneDNN linear: {}, expected the plugin tessera_onednn.so, which a "
                            "build with TESSERA_WITH_ONEDNN=ON and libdnnl has",
                            why));
  }
  impl_ = std::make_unique<Impl>(*plugin, N);
  plugins::Failure failure;
  impl_->linear = plugin->create(N, K, bias, shape_of(rows), precision == Precision::bf16, failure);
  check(failure);
}

OneDnnLinear::~OneDnnLinear() = default;
OneDnnLinear::OneDnnLinear(OneDnnLinear&&) noexcept = default;
OneDnnLinear& OneDnnLinear::operator=(OneDnnLinear&&) noexcept = default;

bool OneDnnLinear::supports(const OneDnnCall& call) noexcept {
  return call.residual != call.c || call.activation == Activation::none;
}

std::size_t OneDnnLinear::weight_bytes() const noexcept {
  return impl_->plugin.weight_bytes(impl_->linear);
}

void OneDnnLinear::load(const void* w, Index ldw, float* storage) {
  plugins::Failure failure;
  impl_->plugin.load(impl_->linear, w, ldw, storage, failure);
  check(failure);
}

void OneDnnLinear::use(const float* storage) noexcept {
  impl_->plugin.use(impl_->linear, storage);
}

bool OneDnnLinear::run(const OneDnnCall& call, const kernels::KernelTable& kernels) noexcept {
  if (!supports(call)) return false;
  const bool adds = call.residual != nullptr && call.residual == call.c;
  if (!impl_->plugin.run(impl_->linear, call.a, call.c, {call.M, call.lda, call.ldc}, adds)) {
    return false;
  }
  const Index N = impl_->N;
  if (call.activation != Activation::none) {
    kernels.activation(call.activation, call.c, call.ldc, call.c, call.ldc, call.M, N);
  }
  if (call.residual != nullptr && !adds) {
    kernels.add(call.c, call.ldc, call.residual, call.ldr, call.c, call.ldc, call.M, N);
  }
  return true;
}

std::string OneDnnLinear::implementation(OneDnnRows rows) {
  std::array<char, 128> name{};
  const bool is_known =
      impl_->plugin.implementation(impl_->linear, shape_of(rows), name.data(), name.size());
  return is_known ? name.data() : "none";
}

}  // namespace tessera::execute
