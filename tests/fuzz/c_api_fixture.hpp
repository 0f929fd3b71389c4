// SPDX-License-Identifier: Apache-2.0
// What the calls of c_api_fuzz are made with: models that are opened once, each with a session of
// all its outputs, and a picture.
#pragma once

#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tessera/tessera.h"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/temporary.hpp"
#include "tests/tessera/tiny_directory.hpp"

namespace tessera::fuzz {

using Contents = std::map<std::string, std::string>;

struct OpenModel {
  Contents contents;
  tessera_model* model = nullptr;
  tessera_session* session = nullptr;  // of all outputs

  explicit OpenModel(Contents of) : contents(std::move(of)) {
    const std::vector<tessera_file> list = files();
    tessera_model_options options = TESSERA_MODEL_OPTIONS_INIT;
    options.isa = "baseline";
    require(tessera_model_open_memory(list.data(), list.size(), &options, &model) == TESSERA_OK,
            tessera_last_error());
    tessera_model_info info = TESSERA_MODEL_INFO_INIT;
    require(tessera_model_get_info(model, &info) == TESSERA_OK, "a model has its info");
    std::vector<const char*> names;
    for (std::size_t i = 0; i < info.output_count; ++i) {
      tessera_output_info output = TESSERA_OUTPUT_INFO_INIT;
      require(tessera_model_get_output(model, i, &output) == TESSERA_OK, "an output is there");
      names.push_back(output.name);
    }
    tessera_session_options wanted = TESSERA_SESSION_OPTIONS_INIT;
    wanted.threads = 1;
    wanted.max_rows = 64;
    wanted.outputs = names.data();
    wanted.output_count = names.size();
    require(tessera_session_create(model, &wanted, &session) == TESSERA_OK, tessera_last_error());
  }

  std::vector<tessera_file> files() const {
    std::vector<tessera_file> list;
    for (const auto& [name, bytes] : contents) {
      list.push_back({.struct_size = sizeof(tessera_file),
                      .reserved = 0,
                      .name = name.c_str(),
                      .data = bytes.data(),
                      .size = bytes.size()});
    }
    return list;
  }
};

inline Contents read_folder(const std::filesystem::path& folder) {
  Contents all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    all[std::filesystem::relative(entry.path(), folder)] = {std::istreambuf_iterator<char>(in),
                                                            std::istreambuf_iterator<char>()};
  }
  return all;
}

inline Contents text_contents(const test::TinyDirectory& kind = {}) {
  const test::TemporaryDirectory directory;
  test::write_model(directory.path(), kind);
  return read_folder(directory.path());
}

/// A class with a head, of the labels.
inline Contents with_head(const char* architecture, const std::vector<std::string>& labels) {
  test::TinyDirectory kind;
  kind.architecture = architecture;
  kind.labels = static_cast<int>(labels.size());
  kind.has_sentence_files = false;
  kind.label_names = labels;
  return text_contents(kind);
}

inline Contents image_contents() {
  const std::string folder = "tests/golden/data/vit-imgcls/";
  return {
      {"config.json", read_committed(folder + "config.json")},
      {"model.safetensors", read_committed(folder + "model.safetensors")},
      {"preprocessor_config.json",
       R"({"image_processor_type": "ViTImageProcessor", "size": {"height": 28, "width": 28}})"}};
}

inline Contents two_towers() {
  const std::string folder = "tests/golden/data/clip-full/";
  return {{"config.json", read_committed(folder + "config.json")},
          {"model.safetensors", read_committed(folder + "model.safetensors")}};
}

struct Fixture {
  OpenModel text{text_contents()}, image{image_contents()}, both{two_towers()},
      answers{with_head("BertForQuestionAnswering", {})},
      tokens{with_head("BertForTokenClassification", {"O", "B-X", "I-X"})},
      labels{with_head("BertForSequenceClassification", {"contradiction", "entailment"})};
  std::string photo = read_committed("tests/data/images/decode/grey-8.png");
  tessera_cancel* cancel = nullptr;
  Fixture() { require(tessera_cancel_create(&cancel) == TESSERA_OK, "there is a cancel"); }
};

inline Fixture& fixture() {
  static Fixture it;
  return it;
}

}  // namespace tessera::fuzz
