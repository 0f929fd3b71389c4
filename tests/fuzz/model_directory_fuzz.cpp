// SPDX-License-Identifier: Apache-2.0
// Model directories in memory: config.json of every family, the files of sentence-transformers, the index
// of shards. The first byte names the checkpoint, the second which of its files the rest of the input
// is. What can be opened is packed, and runs.
#include <array>
#include <map>
#include <span>
#include <vector>

#include "models/package.hpp"
#include "runtime/base/files.hpp"
#include "runtime/session/session.hpp"
#include "runtime/weights/checkpoint.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/temporary.hpp"
#include "tests/support/tensors.hpp"

namespace tessera::fuzz {
namespace {

// Of tests/golden/data. '!' is 33: choices stand in printable bytes from there on.
constexpr std::array kCheckpoints = {"bert-model",
                                     "bert-mlm-legacy",
                                     "bert-seqcls",
                                     "bert-tokcls",
                                     "albert-model",
                                     "electra-model",
                                     "distilbert-model-sharded",
                                     "mpnet-model",
                                     "roberta-model",
                                     "xlm-roberta-reranker",
                                     "clip-full",
                                     "siglip-full",
                                     "vit-imgcls",
                                     "deit-teacher",
                                     "beit-model",
                                     "dinov2-imgcls",
                                     "dinov2-registers-swiglu",
                                     "dinov3-vit-model-gated",
                                     "colbert-bert"};
constexpr std::array kFiles = {"config.json",
                               "modules.json",
                               "sentence_bert_config.json",
                               "1_Pooling/config.json",
                               "2_Dense/config.json",
                               "3_LayerNorm/config.json",
                               "config_sentence_transformers.json",
                               "model.safetensors.index.json",
                               "artifact.metadata"};
constexpr char kFirst = '!';
constexpr Index kMostRows = 64;  // what takes more is not run

constexpr std::string_view kModules = R"([
  {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
  {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
  {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
  {"idx": 3, "name": "3", "path": "3_LayerNorm", "type": "sentence_transformers.models.LayerNorm"},
  {"idx": 4, "name": "4", "path": "4_Normalize", "type": "sentence_transformers.models.Normalize"}])";

using Contents = std::map<std::string, std::string>;

std::string tensors(const test::Tensors& all) {
  const test::TemporaryFile file(".safetensors");
  test::write_tensors(file.path(), all);
  std::ifstream in(file.path(), std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// config.json says how wide it is.
Index hidden_of(const std::string& config) {
  for (const char* key : {"\"hidden_size\": ", "\"dim\": "}) {
    const std::size_t at = config.find(key);
    if (at != std::string::npos) return std::stol(config.substr(at + std::string_view(key).size()));
  }
  return 32;
}

Contents read_checkpoint(const char* name) {
  const std::filesystem::path folder = std::filesystem::path("tests/golden/data") / name;
  Contents all;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(TESSERA_SOURCE_DIR) / folder)) {
    const std::string file = entry.path().filename();
    if (file == "config.json" || file.starts_with("model")) {
      all[file] = read_committed(folder / file);
    }
  }
  all["artifact.metadata"] = R"({"query_maxlen": 8, "doc_maxlen": 20, "mask_punctuation": true,
    "attend_to_mask_tokens": false, "query_token_id": "[unused0]", "similarity": "cosine"})";
  all["vocab.txt"] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n[unused0]\n[unused1]\n.\n";
  if (std::string_view(name) == "colbert-bert") return all;  // Stanford's layout has no modules
  const Index hidden = hidden_of(all.at("config.json"));
  const std::string width = std::to_string(hidden);
  all["modules.json"] = kModules;
  all["sentence_bert_config.json"] = R"({"max_seq_length": 12, "do_lower_case": true})";
  all["1_Pooling/config.json"] = R"({"word_embedding_dimension": )" + width +
                                 R"(, "pooling_mode_mean_tokens": true, "include_prompt": true})";
  all["2_Dense/config.json"] =
      R"({"in_features": )" + width +
      R"(, "out_features": 6, "bias": true, "activation_function": "torch.nn.modules.activation.Tanh"})";
  all["3_LayerNorm/config.json"] = R"({"dimension": 6})";
  all["config_sentence_transformers.json"] = R"({"prompts": {"query": "q: ", "document": ""},
    "default_prompt_name": "query", "similarity_fn_name": "dot"})";
  test::Tensors dense, norm;
  test::add_random_linear(dense, "linear", 6, hidden);
  test::add_random_norm(norm, "norm", 6);
  all["2_Dense/model.safetensors"] = tensors(dense);
  all["3_LayerNorm/model.safetensors"] = tensors(norm);
  return all;
}

const Contents& checkpoint(std::size_t index) {
  static std::array<Contents, kCheckpoints.size()> all;
  if (all[index].empty()) all[index] = read_checkpoint(kCheckpoints[index]);
  return all[index];
}

/// Images of any but a small native size are not run; texts are.
bool fill_batch(const Program& program, std::vector<std::uint8_t>& pixels,
                std::vector<float>& values, std::vector<std::int32_t>& ids,
                std::vector<Image>& images, std::vector<std::int32_t>& offsets, Batch& batch) {
  if (const ImageSpec* spec = program.images()) {
    if (spec->native_rows() > kMostRows || spec->height > 512 || spec->width > 512) return false;
    pixels.assign(static_cast<std::size_t>(spec->height * spec->width * 3), 100);
    values.assign(std::size_t{3} * 256, 0.25F);
    images = {{.pixels = pixels.data(),
               .values = values.data(),
               .height = spec->height,
               .width = spec->width}};
    batch.images = images;
    return true;
  }
  const TokenSpec& spec = *program.tokens();
  const Index count = std::min<Index>({spec.max_tokens, 5, kMostRows});
  for (Index i = 0; i < count; ++i) {
    ids.push_back(static_cast<std::int32_t>((i + 2) % spec.vocab_size));
  }
  offsets = {0, static_cast<std::int32_t>(count)};
  batch.ids = ids;
  batch.offsets = offsets;
  return true;
}

void encode(const models::Package& package) {
  std::vector<std::uint8_t> pixels;
  std::vector<float> values;
  std::vector<std::int32_t> ids, offsets;
  std::vector<Image> images;
  Batch batch;
  if (!fill_batch(package.program, pixels, values, ids, images, offsets, batch)) return;
  const auto model = Model::create(package.program, package.checkpoint, {.isa = Isa::baseline});
  SessionOptions options{.max_rows = kMostRows, .max_sequences = 1, .threads = 1};
  options.rates = nominal_rates(machine(), Isa::baseline);
  const auto session = Session::create(model, options);
  session->run(batch);
  for (const Output& output : package.program.outputs) {
    require(session->output(output.name).rows >= 1, "an output has rows");
  }
}

}  // namespace

void run(std::string_view input) {
  if (input.size() < 2) return;
  const auto choose = [](char byte, std::size_t count) {
    return (static_cast<unsigned char>(byte) - static_cast<unsigned char>(kFirst)) % 256U % count;
  };
  const Contents& base = checkpoint(choose(input[0], kCheckpoints.size()));
  const std::string file = kFiles[choose(input[1], kFiles.size())];
  const bool has_modules = file != "config.json" && file != "model.safetensors.index.json";
  MemoryFiles::Map files;
  for (const auto& [name, bytes] : base) {
    const bool is_of_modules =
        !name.starts_with("model.") && !name.starts_with("model-") && name != "config.json";
    if (has_modules || !is_of_modules) files[name] = std::as_bytes(std::span(bytes));
  }
  files[file] = std::as_bytes(std::span(input.substr(2)));
  const MemoryFiles directory(std::move(files));
  encode(models::open_package(directory.directory()));
}

Seeds seeds() {
  Seeds out;
  for (std::size_t i = 0; i < kCheckpoints.size(); ++i) {
    const Contents& base = checkpoint(i);
    for (std::size_t f = 0; f < kFiles.size(); ++f) {
      const auto found = base.find(kFiles[f]);
      const bool is_of_all = f == 0 || f == kFiles.size() - 1;
      if (found == base.end() || (!is_of_all && i != 0 && i != 10)) continue;
      std::string name = std::string(kCheckpoints[i]) + "-" + kFiles[f];
      std::replace(name.begin(), name.end(), '/', '-');
      out.emplace_back(name, std::string{static_cast<char>(kFirst + static_cast<char>(i)),
                                         static_cast<char>(kFirst + static_cast<char>(f))} +
                                 found->second);
    }
  }
  return out;
}

}  // namespace tessera::fuzz
