// SPDX-License-Identifier: Apache-2.0
// tessera_onednn.so: the only product file that includes oneDNN.
#include <dlfcn.h>

#include <cstdio>
#include <dnnl.hpp>
#include <memory>
#include <new>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/plugins/plugin.hpp"

namespace {

using dnnl::memory;
using tessera::Index;
using tessera::plugins::Failure;
using tessera::plugins::OneDnnShape;
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

/// The primitive of one (M, lda, ldc), with or without adding to C.
struct Prepared {
  OneDnnShape rows;
  bool adds, is_reference;
  dnnl::matmul primitive;
  memory a, c;
  std::unordered_map<int, memory> arguments;
};

struct Linear {
  Index N, K;
  const float* bias;
  memory::data_type type;  // of A and W
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  memory::desc weight_layout{};
  memory weight{};
  std::vector<Prepared> prepared{};

  dnnl::matmul::primitive_desc describe(OneDnnShape rows, bool adds, const memory::desc& b) const {
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

  Prepared& prepare(OneDnnShape rows, bool adds) {
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

/// Runs `body`; what it throws becomes `failure`.
template <class Body>
void guarded(Failure& failure, Body&& body) noexcept {
  const auto say = [&](int code, const char* text, int status) {
    failure.code = code;
    std::snprintf(failure.text, sizeof failure.text, "%s (status %d)", text, status);
  };
  try {
    const OneThread alone;
    body();
  } catch (const dnnl::error& error) {
    say(error.status == dnnl_out_of_memory ? 1 : 2, error.what(), error.status);
  } catch (const std::bad_alloc&) {
    say(1, "no memory", dnnl_out_of_memory);
  } catch (...) {
    say(2, "an unknown exception", dnnl_runtime_error);
  }
}

Linear& of(void* linear) {
  return *static_cast<Linear*>(linear);
}

void* create(Index N, Index K, const float* bias, OneDnnShape typical, bool is_bf16,
             Failure& failure) {
  std::unique_ptr<Linear> made;
  guarded(failure, [&] {
    const auto type = is_bf16 ? memory::data_type::bf16 : kF32;
    made = std::make_unique<Linear>(Linear{.N = N, .K = K, .bias = bias, .type = type});
    const memory::desc any({K, N}, type, memory::format_tag::any);
    made->weight_layout = made->describe(typical, false, any).weights_desc();
    made->weight = memory(made->weight_layout, made->engine, nullptr);
  });
  return failure.code == 0 ? made.release() : nullptr;
}

void destroy(void* linear) {
  delete static_cast<Linear*>(linear);
}

std::size_t weight_bytes(void* linear) {
  return of(linear).weight_layout.get_size();
}

void load(void* linear, const void* w, Index ldw, float* storage, Failure& failure) {
  Linear& self = of(linear);
  guarded(failure, [&] {
    const memory::desc rows({self.K, self.N}, self.type, memory::dims{1, ldw});  // Wᵀ
    memory plain(rows, self.engine, const_cast<void*>(w));
    self.weight.set_data_handle(storage);
    dnnl::reorder(plain, self.weight).execute(self.stream, plain, self.weight);
    self.stream.wait();
  });
}

void use(void* linear, const float* storage) {
  // Fails for a null object only. oneDNN reads it.
  dnnl_memory_set_data_handle(of(linear).weight.get(), const_cast<float*>(storage));
}

bool run(void* linear, const void* a, float* c, OneDnnShape shape, bool adds) {
  Linear& self = of(linear);
  bool is_done = false;
  Failure failure;
  guarded(failure, [&] {
    Prepared& p = self.prepare(shape, adds);
    if (p.is_reference) return;
    p.a.set_data_handle(const_cast<void*>(a));
    p.c.set_data_handle(c);
    p.primitive.execute(self.stream, p.arguments);
    self.stream.wait();
    is_done = true;
  });
  return is_done;
}

bool implementation(void* linear, OneDnnShape shape, char* name, std::size_t bytes) {
  Failure failure;
  guarded(failure, [&] {
    const auto description = of(linear).describe(shape, false, of(linear).weight_layout);
    std::snprintf(name, bytes, "%s", description.impl_info_str());
  });
  return failure.code == 0;
}

constexpr tessera::plugins::OneDnn kTable{.stamp = {TESSERA_VERSION, "onednn"},
                                          .create = create,
                                          .destroy = destroy,
                                          .weight_bytes = weight_bytes,
                                          .load = load,
                                          .use = use,
                                          .run = run,
                                          .implementation = implementation};

}  // namespace

TESSERA_PLUGIN_EXPORT const void* tessera_plugin() {
  return &kTable;
}
