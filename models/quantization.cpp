// SPDX-License-Identifier: Apache-2.0
#include "models/quantization.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "runtime/weights/whole_panels.hpp"

namespace tessera::models {
namespace {

struct Method {
  const char* name;  ///< quant_method
  Quantization (*read)(const Config& config);
};

constexpr Method kMethods[] = {
    {kCompressedTensors,
     [](const Config& config) {
       CompressedTensors layout = read_compressed_tensors(config);
       if (layout.with_factors) {
         config.unsupported("input_factors",
                            fmt::format("none, or quant_method \"{}\"", kWithFactors));
       }
       return Quantization(std::move(layout));
     }},
    {kWithFactors,
     [](const Config& config) {
       CompressedTensors layout = read_compressed_tensors(config);
       layout.has_factors = true;
       return Quantization(std::move(layout));
     }},
    {kBitnet, [](const Config& config) { return Quantization(read_bitnet(config)); }},
};

std::string known_methods() {
  std::string names;
  for (const Method& method : kMethods) {
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", method.name);
  }
  return names;
}

/// What a compressor of linears looks at: X.weight (N,K).
bool is_weight_of_linear(const StoredTensor& tensor) {
  return tensor.name.ends_with(kWeight) && tensor.shape.size() == 2;
}

bool stores_floats(const Checkpoint& checkpoint, const Source& source) {
  const StoredTensor* const tensor = checkpoint.find(source.tensor);
  return tensor != nullptr && is_weight_of_linear(*tensor) &&
         checkpoint.scales(source.tensor).empty();
}

/// A row of a table is taken as it is: nothing would multiply it with factors.
void refuse_factors(const Checkpoint& checkpoint, const Parameter& table) {
  for (const Source& source : table.sources) {
    if (checkpoint.factors(source.tensor).empty()) continue;
    refuse_tensor(ErrorCode::corrupt_file, checkpoint, source.tensor,
                  "has input_factors and is read as a table, expected factors of linears alone");
  }
}

}  // namespace

std::optional<Quantization> read_quantization(const Config& config) {
  for (const char* of : {"text_config", "vision_config"}) {  // of a tower alone
    if (!config.has(of)) continue;
    const Config tower = config.object(of);
    if (tower.has("quantization_config")) {
      tower.unsupported("quantization_config", "none, or one for the whole model in config.json");
    }
  }
  //                                        vllm/config.py, ModelConfig._parse_quant_hf_config
  const char* const key =
      config.has("quantization_config") ? "quantization_config" : "compression_config";
  if (!config.has(key)) return std::nullopt;
  const Config described = config.object(key);
  const std::string name = described.string("quant_method", "");
  const auto* const method = std::find_if(std::begin(kMethods), std::end(kMethods),
                                          [&](const Method& each) { return name == each.name; });
  if (method == std::end(kMethods)) described.unsupported("quant_method", known_methods());
  return method->read(described);
}

void find_scales(const Quantization& quantization, Checkpoint& checkpoint) {
  std::visit([&](const auto& layout) { find_scales(layout, checkpoint); }, quantization);
}

void say_how_stored(const Checkpoint& checkpoint, Program& program) {
  const std::set<std::string_view> at_load = quantized_at_load(checkpoint);
  const bool clips = checkpoint.files().front().metadata().contains(kClips);
  const auto keeps = [&](const Source& source) {
    return stores_floats(checkpoint, source) && !at_load.contains(source.tensor);
  };
  for (Parameter& p : program.parameters) {
    if (p.kind == ParameterKind::table) refuse_factors(checkpoint, p);
    if (p.kind != ParameterKind::matrix) continue;
    p.keeps_floats = std::any_of(p.sources.begin(), p.sources.end(), keeps);
    p.is_ternary = is_stored_ternary(checkpoint, p);
    p.clips = clips;
  }
}

std::string describe_stored(const Checkpoint& checkpoint, const Program& program) {
  const auto of_type = [&](const Source& source, StoredType type) {
    const StoredTensor* const tensor = checkpoint.find(source.tensor);
    return tensor != nullptr && tensor->type == type && !checkpoint.scales(source.tensor).empty();
  };
  const auto has_factors = [&](const Source& source) {
    return !checkpoint.factors(source.tensor).empty();
  };
  std::size_t matrices = 0, whole = 0, ternary = 0, tables = 0, with_factors = 0;
  for (const Parameter& p : program.parameters) {
    const auto is = [&](StoredType type) {
      return std::any_of(p.sources.begin(), p.sources.end(),
                         [&](const Source& source) { return of_type(source, type); });
    };
    if (p.kind == ParameterKind::table) tables += is(StoredType::i8);
    if (p.kind != ParameterKind::matrix) continue;
    ++matrices;
    whole += is(StoredType::i8);
    ternary += is(StoredType::ternary);
    with_factors +=
        is(StoredType::i8) && std::any_of(p.sources.begin(), p.sources.end(), has_factors);
  }
  if (ternary > 0) {
    return fmt::format(
        "{} of {} matrices as -1, 0 and 1, four in a byte, a scale for each row ({}){}: int8 takes "
        "them as they are, fp32 and bf16 multiply them with their scales",
        ternary, matrices, kBitnet, tables > 0 ? "; words as whole numbers of 8 bits" : "");
  }
  return fmt::format(
      "{} of {} matrices as whole numbers of 8 bits, a scale for each row{} ({}): int8 takes them "
      "as "
      "they are, fp32 and bf16 multiply them with their scales{}",
      whole, matrices,
      with_factors > 0
          ? fmt::format(", {} of them with factors for the columns of their input", with_factors)
          : "",
      with_factors > 0 ? kWithFactors : kCompressedTensors,
      tables > 0 ? "; words as whole numbers of 8 bits" : "");
}

}  // namespace tessera::models
