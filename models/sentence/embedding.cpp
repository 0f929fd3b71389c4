// SPDX-License-Identifier: Apache-2.0
#include "models/sentence/embedding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "models/builder.hpp"
#include "models/sentence/layer_pooling.hpp"
#include "models/sentence/pooling_modes.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"

namespace tessera::models {
namespace {

namespace fs = std::filesystem;
using Kind = SentenceModule::Kind;

/// nn.LayerNorm has it as default, and the module leaves it there.
constexpr float kLayerNormEps = 1e-5F;

struct DenseActivation {
  const char* torch_class;
  Activation activation;
};
constexpr std::array kDenseActivations{
    DenseActivation{"torch.nn.modules.activation.Tanh", Activation::tanh},
    DenseActivation{"torch.nn.modules.linear.Identity", Activation::none},
    DenseActivation{"torch.nn.modules.activation.ReLU", Activation::relu},
    DenseActivation{"torch.nn.modules.activation.GELU", Activation::gelu_erf},
    DenseActivation{"torch.nn.modules.activation.Sigmoid", Activation::sigmoid},
    DenseActivation{"torch.nn.modules.activation.SiLU", Activation::silu},
};

/// The class by its last part: "torch.nn.Tanh" names the same class.
Activation read_dense_activation(const Config& config) {
  const std::string name =
      config.string("activation_function", config.is_null("activation_function")
                                               ? "torch.nn.modules.linear.Identity"
                                               : "torch.nn.modules.activation.Tanh");
  std::string known;
  for (const DenseActivation& entry : kDenseActivations) {
    const std::string_view full = entry.torch_class;
    const std::string_view last = full.substr(full.rfind('.') + 1);
    if (name == full || name == fmt::format("torch.nn.{}", last)) return entry.activation;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", full);
  }
  config.unsupported("activation_function", "one of " + known);
}

/// Walks the modules with the value that the next one reads.
class EmbeddingBuilder {
 public:
  /// `value`: what the first module reads where there is an embedding already (CLIP), else kNone.
  /// `of_tokens`: it is of tokens (late interaction), and stays so.
  EmbeddingBuilder(const fs::path& directory, const Checkpoint& checkpoint, Package& package,
                   ValueId value, bool of_tokens = false)
      : directory_(directory),
        checkpoint_(checkpoint),
        package_(package),
        value_(value),
        kind_(of_tokens ? kTokenVectors : "sentence_embedding"),
        name_(of_tokens ? kTokenVectors : "embedding") {}

  void pooling(const SentenceModule& module, ValueId last_hidden_state) {
    std::vector<Pooling> modes{module.pooling};
    const Index hidden = package_.hidden;
    if (!module.path.empty()) {
      const Config config = read(module);
      modes = read_pooling_modes(config);
      const char* key =
          config.has("embedding_dimension") ? "embedding_dimension" : "word_embedding_dimension";
      if (config.integer(key, hidden) != hidden) {
        config.wrong(key, fmt::format("the hidden size {}", hidden));
      }
      package_.pools_prompts = config.boolean("include_prompt", true);
    }
    const WeightMap weights(checkpoint_, "sentence-transformers", "", "");
    Builder b(package_.program, weights);
    std::vector<ValueId> pooled;
    std::string names;
    for (const Pooling mode : modes) {
      const std::string name = mode_name(mode);
      pooled.push_back(b.pool("embedding." + name, last_hidden_state, mode));  // (S,H)
      names += (names.empty() ? "" : "+") + name;
    }
    value_ = pooled.size() == 1 ? pooled[0] : b.concat("embedding.pooled", pooled);
    describe(names + (package_.pools_prompts ? " pooling" : " pooling without the prompt"));
  }

  /// The vocabulary of the masked language model, pooled; its logits are never held.
  void splade_pooling(const SentenceModule& module) {
    // max or sum over the tokens of log1p(relu(logits)), log1p once more for "log1p_relu"
    //                                   sentence_transformers/sparse_encoder/models/SpladePooling.py
    const Config config = read(module);
    const std::string strategy = config.string("pooling_strategy", "max"),
                      activation = config.string("activation_function", "relu");
    if (strategy != "max" && strategy != "sum")
      config.unsupported("pooling_strategy", "max or sum");
    if (activation != "relu" && activation != "log1p_relu") {
      config.unsupported("activation_function", "relu or log1p_relu");
    }
    const LinearOp* const decoder = decoder_of_logits();
    if (decoder == nullptr) {
      throw Error(
          ErrorCode::unsupported_model,
          fmt::format("modules.json: \"{}\" is a SpladePooling over a {}, expected a masked "
                      "language model, which has logits",
                      module.path, package_.architecture));
    }
    const WeightMap weights(checkpoint_, "sentence-transformers", "", "");
    Builder b(package_.program, weights);
    value_ =
        b.pooled_linear("embedding.splade", *decoder,
                        activation == "relu" ? Activation::log1p_relu : Activation::log1p2_relu,
                        strategy == "max" ? RowReduction::max : RowReduction::sum);
    const Index vocabulary = b_width();
    for (const char* key : {"embedding_dimension", "word_embedding_dimension"}) {
      if (config.has(key) && config.integer(key, vocabulary) != vocabulary) {
        config.wrong(key, fmt::format("the vocabulary's size {}", vocabulary));
      }
    }
    package_.embedding_is_sparse = true;
    describe(fmt::format("{} over the tokens of log(1 + {}relu(logits){})", strategy,
                         activation == "relu" ? "" : "log(1 + ", activation == "relu" ? "" : ")"));
  }

  void dense(const SentenceModule& module) {
    // x = act(self.linear(x)) [+ residual(x)]                                          Dense
    const Config config = read(module);
    for (const char* key : {"module_input_name", "module_output_name"}) {
      if (config.string(key, kind_) != kind_) config.unsupported(key, '"' + kind_ + '"');
    }
    if (!config.has("in_features")) config.wrong("in_features", "a whole number");
    if (!config.has("out_features")) config.wrong("out_features", "a whole number");
    const Dim in = config.dim("in_features", 0), out = config.dim("out_features", 0);
    check_width(config, in);
    const Activation activation = read_dense_activation(config);
    const WeightMap weights(checkpoint_, "sentence-transformers", "", config.name());
    Builder b(package_.program, weights);
    const std::string name = name_ + "." + module.path;
    ValueId x = b.linear(name, value_, module.path + "/linear", out, in,
                         {.has_bias = config.boolean("bias", true)});
    x = b.activation(name + ".act", x, activation);  // (S,out)
    if (config.boolean("use_residual", false)) {
      const ValueId residual = in.size == out.size
                                   ? value_
                                   : b.linear(name + ".residual", value_, module.path + "/residual",
                                              out, in, {.has_bias = false});
      x = b.add(name + ".sum", x, residual);
    }
    value_ = x;
    describe(fmt::format("dense {} to {}{}{}", in.size, out.size,
                         activation == Activation::none ? "" : ", ",
                         activation == Activation::none ? "" : to_string(activation)));
  }

  void layer_norm(const SentenceModule& module) {
    const Config config = read(module);
    const Dim width = config.dim("dimension", b_width());
    check_width(config, width);
    const WeightMap weights(checkpoint_, "sentence-transformers", "", config.name());
    Builder b(package_.program, weights);
    value_ = b.layer_norm(name_ + "." + module.path, value_, module.path + "/norm", width,
                          kLayerNormEps);
    describe("layer norm");
  }

  void normalize(std::size_t position) {
    const WeightMap weights(checkpoint_, "sentence-transformers", "", "");
    Builder b(package_.program, weights);
    value_ =
        b.l2_normalize(fmt::format("{}.normalized.{}", name_, position), value_, kNormalizeEps);
    describe("normalised");
  }

  /// Stanford's ColBERT has its projection beside the encoder.
  void stanford_projection() {
    const StoredTensor& weight = checkpoint_.at("linear.weight");
    if (weight.shape.size() != 2 || weight.shape[0] < 1 || weight.shape[1] != package_.hidden) {
      throw Error(ErrorCode::corrupt_file,
                  fmt::format("tensor \"linear.weight\" has shape {}, expected (1 or more, {})",
                              shape_to_string(weight.shape), package_.hidden));
    }
    const WeightMap weights(checkpoint_, "ColBERT", "", "");
    Builder b(package_.program, weights);
    const auto width = static_cast<Index>(weight.shape[0]);
    value_ = b.linear(name_ + ".linear", value_, "linear", {width, ""},
                      {package_.hidden, "hidden_size"}, {.has_bias = false});
    describe(fmt::format("dense {} to {}", package_.hidden, width));
  }

  ValueId value() const noexcept { return value_; }

 private:
  /// The linear that "logits" of a masked language model are; null: there is none.
  const LinearOp* decoder_of_logits() const {
    const std::int32_t logits = package_.program.find_output("logits");
    if (package_.task != Task::masked_lm || logits == kNone) return nullptr;
    const ValueId value = package_.program.outputs[static_cast<std::size_t>(logits)].value;
    for (const Op& op : package_.program.ops) {
      const auto* linear = std::get_if<LinearOp>(&op);
      if (linear != nullptr && linear->out == value) return linear;
    }
    return nullptr;
  }
  Config read(const SentenceModule& module) const {
    return Config::read(directory_ / module.path / "config.json", module.path + "/config.json");
  }
  Index b_width() const { return package_.program.values[static_cast<std::size_t>(value_)].width; }
  void check_width(const Config& config, const Dim& in) const {
    if (in.size == b_width()) return;
    config.wrong(in.key, fmt::format("{}, the width of what comes before", b_width()));
  }
  void describe(const std::string& text) {
    std::string& all = package_.embedding_description;
    all += (all.empty() ? "" : ", ") + text;
  }

  const fs::path& directory_;
  const Checkpoint& checkpoint_;
  Package& package_;
  ValueId value_;
  std::string kind_, name_;
};

/// The default of Normalize is the sentence embedding, of which there is none.
void require_tokens_normalized(const fs::path& directory, const SentenceModule& module) {
  const fs::path file = directory / module.path / "config.json";
  if (!path_exists(file)) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}/config.json: no such file, expected a Normalize whose "
                            "module_input_name is \"{}\"",
                            module.path, kTokenVectors));
  }
  const Config config = Config::read(file, module.path + "/config.json");
  if (config.string("module_input_name", "") == kTokenVectors) return;
  config.unsupported("module_input_name", fmt::format("\"{}\"", kTokenVectors));
}

}  // namespace

void add_token_vectors(const fs::path& directory, SentenceFiles& files,
                       const Checkpoint& checkpoint, ValueId last_hidden_state, Package& package) {
  EmbeddingBuilder builder(directory, checkpoint, package, last_hidden_state, true);
  if (files.multi_vector->is_stanford) builder.stanford_projection();
  for (std::size_t i = 0; i < files.modules.size(); ++i) {
    const SentenceModule& module = files.modules[i];
    switch (module.kind) {
      case Kind::dense:
        builder.dense(module);
        break;
      case Kind::normalize:
        require_tokens_normalized(directory, module);
        builder.normalize(i);
        break;
      case Kind::mask:
        read_mask(
            Config::read(directory / module.path / "config.json", module.path + "/config.json"),
            *files.multi_vector);
        break;
      default:
        throw Error(ErrorCode::unsupported_model,
                    fmt::format("modules.json: module {} (\"{}\") is of one vector per text, "
                                "expected Dense, MultiVectorMask and Normalize, of token vectors",
                                i + 1, module.path));
    }
  }
  const MultiVectorFiles& of_files = *files.multi_vector;
  if (of_files.is_stanford || !of_files.has_mask) builder.normalize(files.modules.size());
  package.program.outputs.push_back({kTokenVectors, builder.value()});
}

SentenceFiles plain_transformer_modules(SentenceFiles files) {
  files.modules = {{.kind = Kind::pooling, .path = "", .pooling = Pooling::mean}};
  return files;
}

void merge_module_weights(const fs::path& directory, const SentenceFiles& files,
                          Checkpoint& checkpoint) {
  for (const SentenceModule& module : files.modules) {
    const bool has_weights = module.kind == Kind::dense || module.kind == Kind::layer_norm ||
                             module.kind == Kind::layer_pooling;
    if (!has_weights) continue;
    checkpoint.merge(module.path + "/", directory / module.path);
  }
}

void add_embedding(const fs::path& directory, const SentenceFiles& files,
                   const Checkpoint& checkpoint, ValueId last_hidden_state, Package& package) {
  std::vector<Output>& outputs = package.program.outputs;
  const std::int32_t known = package.program.find_output("embedding");
  ValueId value = kNone;
  if (known != kNone) {
    value = outputs[static_cast<std::size_t>(known)].value;
    outputs.erase(outputs.begin() + known);
  }
  EmbeddingBuilder builder(directory, checkpoint, package, value);
  ValueId tokens = last_hidden_state;  // (ΣT,H)
  package.embedding_is_normalized = false;
  for (std::size_t i = 0; i < files.modules.size(); ++i) {
    const SentenceModule& module = files.modules[i];
    if (module.kind == Kind::layer_pooling && builder.value() == kNone) {
      tokens = pool_layers(directory, module, files, checkpoint, tokens, package);
      continue;
    }
    const bool pools = module.kind == Kind::pooling || module.kind == Kind::splade_pooling ||
                       module.kind == Kind::layer_pooling;
    if (pools != (builder.value() == kNone)) {
      throw Error(
          ErrorCode::unsupported_model,
          fmt::format("modules.json: module {} (\"{}\") {}, expected one Pooling right "
                      "after the Transformer",
                      i + 1, module.path, pools ? "pools again" : "comes before any Pooling"));
    }
    switch (module.kind) {
      case Kind::layer_pooling:
        break;  // above
      case Kind::pooling:
        builder.pooling(module, tokens);
        break;
      case Kind::splade_pooling:
        builder.splade_pooling(module);
        break;
      case Kind::dense:
        package.embedding_is_sparse = false;  // its columns are no tokens
        builder.dense(module);
        break;
      case Kind::layer_norm:
        package.embedding_is_sparse = false;  // nor is anything 0
        builder.layer_norm(module);
        break;
      case Kind::normalize:
        builder.normalize(i);
        break;
      case Kind::mask:         // of late interaction: add_token_vectors()
      case Kind::logit_score:  // of rerankers: answer_tokens.hpp
        break;
    }
    package.embedding_is_normalized = module.kind == Kind::normalize;
  }
  if (builder.value() != kNone) outputs.push_back({"embedding", builder.value()});
}

}  // namespace tessera::models
