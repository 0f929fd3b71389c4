// SPDX-License-Identifier: Apache-2.0
#include "runtime/execute/linear_onednn.hpp"

#include <fmt/format.h>

#include <utility>

#include "runtime/base/error.hpp"

#ifdef TESSERA_WITH_ONEDNN
#include <dlfcn.h>

#include <dnnl.hpp>
#include <string_view>
#include <unordered_map>
#include <vector>
#endif

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

}  // namespace

bool OneDnnLinear::supports(const OneDnnCall& call) noexcept {
  return call.residual != call.c || call.activation == Activation::none;
}

OneDnnLinear::~OneDnnLinear() = default;
OneDnnLinear::OneDnnLinear(OneDnnLinear&&) noexcept = default;
OneDnnLinear& OneDnnLinear::operator=(OneDnnLinear&&) noexcept = default;

#ifdef TESSERA_WITH_ONEDNN

namespace {

using dnnl::memory;
constexpr auto kF32 = memory::data_type::f32;

/// oneDNN's OpenMP team of the calling thread is that thread alone while this lives. By name, since
/// which OpenMP runtime is in the process is oneDNN's choice; none: oneDNN was built without.
class OneThread {
 public:
  OneThread() noexcept {
    if (symbols().get == nullptr || symbols().set == nullptr) return;
    before_ = symbols().get();
    symbols().set(1);
  }
  ~OneThread() {
    if (before_ > 0) symbols().set(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  struct Symbols {
    int (*get)();
    void (*set)(int);
  };
  static const Symbols& symbols() noexcept {
    static const Symbols found{
        reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads")),
        reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"))};
    return found;
  }
  int before_ = 0;
};

/// dnnl::error as Error.
template <class Body>
auto guarded(Body&& body) {
  try {
    return body();
  } catch (const dnnl::error& error) {
    throw Error(
        error.status == dnnl_out_of_memory ? ErrorCode::out_of_memory : ErrorCode::internal,
        fmt::format("oneDNN linear: {} (status {})", error.what(), static_cast<int>(error.status)));
  }
}

/// The primitive of one (M, lda, ldc), with or without adding to C.
struct Prepared {
  OneDnnRows rows;
  bool adds, is_reference;
  dnnl::matmul primitive;
  memory a, c;
  std::unordered_map<int, memory> arguments;
};

}  // namespace

struct OneDnnLinear::Impl {
  Index N, K;
  const float* bias;
  memory::data_type type;  // of A and W
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  memory::desc weight_layout{};
  memory weight{};
  std::vector<Prepared> prepared{};

  dnnl::matmul::primitive_desc describe(OneDnnRows rows, bool adds, const memory::desc& b) const {
    const auto [M, lda, ldc] = rows;
    const memory::desc a({M, K}, type, memory::dims{lda, 1});
    const memory::desc c({M, N}, kF32, memory::dims{ldc, 1});
    dnnl::primitive_attr attributes;
    if (adds) {
      dnnl::post_ops sum;
      sum.append_sum();
      attributes.set_post_ops(sum);
    }
    if (bias == nullptr) return {dnnl::matmul::desc(a, b, c), attributes, engine};
    const memory::desc bias_layout({1, N}, kF32, memory::format_tag::ab);
    return {dnnl::matmul::desc(a, b, bias_layout, c), attributes, engine};
  }

  Prepared& prepare(OneDnnRows rows, bool adds) {
    for (Prepared& p : prepared) {
      const bool same = p.rows.M == rows.M && p.rows.lda == rows.lda && p.rows.ldc == rows.ldc;
      if (same && p.adds == adds) return p;
    }
    constexpr std::size_t kMostPrepared = 16;  // batches of ever new sizes must not fill the memory
    if (prepared.size() == kMostPrepared) prepared.erase(prepared.begin());
    const dnnl::matmul::primitive_desc pd = describe(rows, adds, weight_layout);
    Prepared p{.rows = rows,
               .adds = adds,
               .is_reference = std::string_view(pd.impl_info_str()).starts_with("ref"),
               .primitive = dnnl::matmul(pd),
               .a = memory(pd.src_desc(), engine, nullptr),
               .c = memory(pd.dst_desc(), engine, nullptr),
               .arguments = {}};
    p.arguments = {{DNNL_ARG_SRC, p.a}, {DNNL_ARG_WEIGHTS, weight}, {DNNL_ARG_DST, p.c}};
    if (bias != nullptr) {
      p.arguments.emplace(DNNL_ARG_BIAS, memory(pd.bias_desc(), engine, const_cast<float*>(bias)));
    }
    prepared.push_back(std::move(p));
    return prepared.back();
  }
};

bool OneDnnLinear::is_available() noexcept {
  return true;
}

OneDnnLinear::OneDnnLinear(Index N, Index K, const float* bias, OneDnnRows rows,
                           Precision precision) {
  check_extents(N, K, rows);
  const OneThread alone;
  guarded([&] {
    const auto type = precision == Precision::bf16 ? memory::data_type::bf16 : kF32;
    impl_ = std::make_unique<Impl>(Impl{.N = N, .K = K, .bias = bias, .type = type});
    const memory::desc any({K, N}, type, memory::format_tag::any);
    impl_->weight_layout = impl_->describe(rows, false, any).weights_desc();
    impl_->weight = memory(impl_->weight_layout, impl_->engine, nullptr);
  });
}

std::size_t OneDnnLinear::weight_bytes() const noexcept {
  return impl_->weight_layout.get_size();
}

void OneDnnLinear::load(const void* w, Index ldw, float* storage) {
  const OneThread alone;
  guarded([&] {
    const memory::desc rows({impl_->K, impl_->N}, impl_->type, memory::dims{1, ldw});  // Wᵀ
    memory plain(rows, impl_->engine, const_cast<void*>(w));
    impl_->weight.set_data_handle(storage);
    dnnl::reorder(plain, impl_->weight).execute(impl_->stream, plain, impl_->weight);
    impl_->stream.wait();
  });
}

void OneDnnLinear::use(const float* storage) noexcept {
  // Fails for a null object only. oneDNN reads it.
  dnnl_memory_set_data_handle(impl_->weight.get(), const_cast<float*>(storage));
}

bool OneDnnLinear::run(const OneDnnCall& call, const kernels::KernelTable& kernels) noexcept {
  if (!supports(call)) return false;
  const bool adds = call.residual != nullptr && call.residual == call.c;
  try {
    const OneThread alone;
    Prepared& p = impl_->prepare({call.M, call.lda, call.ldc}, adds);
    if (p.is_reference) return false;
    p.a.set_data_handle(const_cast<void*>(call.a));
    p.c.set_data_handle(call.c);
    p.primitive.execute(impl_->stream, p.arguments);
    impl_->stream.wait();
  } catch (...) {  // dnnl::error, bad_alloc
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
  try {
    const OneThread alone;
    return impl_->describe(rows, false, impl_->weight_layout).impl_info_str();
  } catch (const dnnl::error&) {
    return "none";
  }
}

#else

struct OneDnnLinear::Impl {};

bool OneDnnLinear::is_available() noexcept {
  return false;
}
OneDnnLinear::OneDnnLinear(Index N, Index K, const float* /*bias*/, OneDnnRows rows,
                           Precision /*precision*/) {
  check_extents(N, K, rows);
  throw Error(
      ErrorCode::invalid_argument,
      "oneDNN linear: this build has no oneDNN, expected TESSERA_WITH_ONEDNN=ON and libdnnl");
}
std::size_t OneDnnLinear::weight_bytes() const noexcept {
  return 0;
}
void OneDnnLinear::load(const void* /*w*/, Index /*ldw*/, float* /*storage*/) {}
void OneDnnLinear::use(const float* /*storage*/) noexcept {}
bool OneDnnLinear::run(const OneDnnCall& /*call*/,
                       const kernels::KernelTable& /*kernels*/) noexcept {
  return false;
}
std::string OneDnnLinear::implementation(OneDnnRows /*rows*/) {
  return "none";
}

#endif

}  // namespace tessera::execute
