// SPDX-License-Identifier: Apache-2.0
// Rates as a file: JSON with the key of the machine beside the figures; a strict reader.
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <system_error>

#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"
#include "runtime/base/fnv.hpp"
#include "runtime/base/json.hpp"
#include "runtime/base/json_text.hpp"
#include "runtime/base/replaced_file.hpp"
#include "runtime/machine/rates.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;
/// Of the format and of what the probes measure: a change of either makes old files foreign.
constexpr std::int64_t kVersion = 3;
constexpr std::uintmax_t kMaxFileBytes = 64 * 1024;

/// One figure: its name in the file and what a core can have at all.
struct Field {
  const char* name;
  double& (*of)(MachineRates&);
  double least, most;
};
constexpr std::array kFields = {
    Field{"flops", [](MachineRates& r) -> double& { return r.flops[Precision::f32]; }, 1e8, 1e14},
    Field{"l1_bytes", [](MachineRates& r) -> double& { return r.l1_bytes; }, 1e8, 1e14},
    Field{"l2_bytes", [](MachineRates& r) -> double& { return r.l2_bytes; }, 1e8, 1e14},
    Field{"l3_bytes", [](MachineRates& r) -> double& { return r.l3_bytes; }, 1e8, 1e14},
    Field{"memory_bytes", [](MachineRates& r) -> double& { return r.memory_bytes; }, 1e7, 1e14},
    Field{"exps", [](MachineRates& r) -> double& { return r.exps; }, 1e6, 1e13},
    Field{"flops_bf16", [](MachineRates& r) -> double& { return r.flops[Precision::bf16]; }, 1e7,
          1e15},
    Field{"flops_s8", [](MachineRates& r) -> double& { return r.flops[Precision::s8]; }, 1e7, 1e15},
};

/// The levels of memory among them, from the nearest on.
constexpr std::size_t kNearest = 1, kFarthest = 4;
static_assert(std::string_view(kFields[kNearest].name) == "l1_bytes" &&
              std::string_view(kFields[kFarthest].name) == "memory_bytes");

class Reader {
 public:
  Reader(const fs::path& file, json::Object root) : where_(file.string()), root_(root) {}

  /// The figure or text `name`, or an Error that says what is there instead.
  template <class T>
  T get(const char* name, const char* expected) const {
    const std::optional<json::Value> value = root_.find(name);
    if (!value) {
      fail(ErrorCode::corrupt_file, fmt::format("has no \"{}\", expected {}", name, expected));
    }
    T result{};
    if (!value->get(result)) {
      fail(ErrorCode::corrupt_file,
           fmt::format("{} is {}, expected {}", name, detail::shortened(*value), expected));
    }
    return result;
  }

  void expect(const char* name, std::int64_t expected, const char* what) const {
    const auto got = get<std::int64_t>(name, "an integer");
    if (got != expected) foreign(name, fmt::format("{}", got), fmt::format("{}", expected), what);
  }
  void expect(const char* name, std::string_view expected, const char* what) const {
    const auto got = get<std::string_view>(name, "a string");
    if (got != expected) foreign(name, detail::in_quotes(got), detail::in_quotes(expected), what);
  }

  [[noreturn]] void fail(ErrorCode code, std::string_view problem) const {
    throw Error(code, fmt::format("{}: {}", where_, problem));
  }

 private:
  [[noreturn]] void foreign(const char* name, std::string_view got, std::string_view expected,
                            const char* what) const {
    fail(ErrorCode::invalid_argument,
         fmt::format("rates of another {}: {} is {}, expected {}", what, name, got, expected));
  }

  std::string where_;
  json::Object root_;
};

/// Levels of memory from near to far; each at least half as fast as the next.
void check_order(const Reader& reader, MachineRates& rates) {
  for (std::size_t i = kNearest; i < kFarthest; ++i) {
    const Field &near = kFields[i], &far = kFields[i + 1];
    if (near.of(rates) < 0.5 * far.of(rates)) {
      reader.fail(ErrorCode::corrupt_file,
                  fmt::format("{} is {:g}, expected at least half of {} = {:g}", near.name,
                              near.of(rates), far.name, far.of(rates)));
    }
  }
}

}  // namespace

fs::path rates_cache_file(const fs::path& directory, const Machine& machine, Isa isa) {
  // Of this version: what an older one measured stays for it.
  const std::string key = fmt::format("{}|{}|{}|{}|{}", kVersion, machine.cpu_name,
                                      machine.l1d.bytes, machine.l2.bytes, machine.l3.bytes);
  return directory / fmt::format("rates-{}-{:016x}.json", to_string(isa), fnv1a(kFnvSeed, key));
}

std::string rates_to_json(const MachineRates& rates, const Machine& machine, Isa isa) {
  std::string text = fmt::format(
      "{{\n  \"tessera_machine_rates\": {},\n  \"cpu\": {},\n  \"isa\": \"{}\",\n"
      "  \"l1d_size\": {},\n  \"l2_size\": {},\n  \"l3_size\": {}",
      kVersion, detail::json_string(machine.cpu_name), to_string(isa), machine.l1d.bytes,
      machine.l2.bytes, machine.l3.bytes);
  MachineRates copy = rates;
  for (const Field& field : kFields) {
    text += fmt::format(",\n  \"{}\": {:.6g}", field.name, field.of(copy));
  }
  return text + "\n}\n";
}

void save_rates(const fs::path& file, const MachineRates& rates, const Machine& machine, Isa isa) {
  std::error_code error;
  if (file.has_parent_path()) fs::create_directories(file.parent_path(), error);
  if (error) {
    throw Error(ErrorCode::io_error,
                fmt::format("{}: cannot make the folder: {}", file.string(), error.message()));
  }
  replace_file(file, rates_to_json(rates, machine, isa));
}

MachineRates load_rates(const fs::path& file, const Machine& machine, Isa isa) {
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  if (!fs::exists(status)) {
    throw Error(ErrorCode::not_found,
                fmt::format("{}: no such file, expected machine rates", file.string()));
  }
  const std::uintmax_t bytes = fs::is_regular_file(status) ? fs::file_size(file, error) : 0;
  if (!fs::is_regular_file(status) || error || bytes > kMaxFileBytes) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: not a regular file of at most {} bytes, expected machine rates",
                            file.string(), kMaxFileBytes));
  }
  const json::Tree tree = json::Tree::parse(read_file(file));
  json::Object root;
  if (!tree.root().get(root)) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: {}, expected a JSON object of machine rates", file.string(),
                            tree ? "another JSON value" : tree.message()));
  }
  const Reader reader(file, root);
  reader.expect("tessera_machine_rates", kVersion, "version");
  reader.expect("cpu", machine.cpu_name, "machine");
  reader.expect("l1d_size", machine.l1d.bytes, "machine");
  reader.expect("l2_size", machine.l2.bytes, "machine");
  reader.expect("l3_size", machine.l3.bytes, "machine");
  reader.expect("isa", to_string(isa), "ISA level");

  MachineRates rates{.source = file.string()};
  for (const Field& field : kFields) {
    const auto value = reader.get<double>(field.name, "a number");
    if (!(value >= field.least && value <= field.most)) {  // NaN too
      reader.fail(ErrorCode::corrupt_file,
                  fmt::format("{} is {:g}, expected {:g} to {:g} per second", field.name, value,
                              field.least, field.most));
    }
    field.of(rates) = value;
  }
  check_order(reader, rates);
  return rates;
}

}  // namespace tessera
