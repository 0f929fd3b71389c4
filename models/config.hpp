// SPDX-License-Identifier: Apache-2.0
//
// One JSON object of a checkpoint directory (config.json, 1_Pooling/config.json, …), read with
// checks: every getter knows the type and range that it wants, and says file, key, got and expected
// when it finds something else. An absent key and an explicit null both give the fallback, which is
// the default of the reference's class.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/types.hpp"
#include "runtime/base/error.hpp"

namespace tessera::json {
class Document;
struct Node;
}  // namespace tessera::json

namespace tessera::models {

/// A size and the config key that it comes from, so that an error can name both.
struct Dim {
  Index size = 0;
  std::string key;  ///< "hidden_size"; empty if the size does not come from a config
};

class Config {
 public:
  /// The object in `file`. `shown_as` is how errors call the file ("config.json").
  /// Errors  not_found (no file), io_error, corrupt_file (no JSON, or no object).
  static Config read(const std::filesystem::path& file, const std::string& shown_as);
  /// As read(), from text.
  static Config parse(std::string_view json, const std::string& shown_as);
  /// The objects of an array in `file`, each shown as "modules.json[1]".
  static std::vector<Config> read_list(const std::filesystem::path& file,
                                       const std::string& shown_as);

  /// Is the key there, and not null?
  bool has(std::string_view key) const;
  bool is_null(std::string_view key) const;

  /// A whole number in [min, max]; corrupt_file otherwise.
  Index integer(std::string_view key, Index fallback, Index min = 0,
                Index max = std::numeric_limits<std::int32_t>::max()) const;
  /// As integer(), with the key remembered.
  Dim dim(std::string_view key, Index fallback, Index min = 1) const;
  /// `alias`, another spelling of `key`, if it is there; else `key`.
  const char* spelled(const char* key, const char* alias) const { return has(alias) ? alias : key; }
  /// An array of whole numbers in [min, max]; `fallback` if absent.
  std::vector<Index> integers(std::string_view key, const std::vector<Index>& fallback, Index min,
                              Index max) const;
  /// As integer(), for a size that is one number or [height, width].
  struct Pair {
    Index height, width;
  };
  Pair pair(std::string_view key, Index fallback) const;
  /// The object at `key`, shown as "config.json vision_config"; an empty one if absent.
  Config object(std::string_view key) const;
  /// A finite number ≥ min.
  double number(std::string_view key, double fallback, double min) const;
  bool boolean(std::string_view key, bool fallback) const;
  std::string string(std::string_view key, std::string_view fallback) const;
  /// An array of strings, or one string; empty if absent.
  std::vector<std::string> strings(std::string_view key) const;
  /// An array of finite numbers; empty if absent.
  std::vector<double> numbers(std::string_view key) const;
  /// An object whose values are strings (id2label, prompts); empty if absent.
  std::map<std::string, std::string> string_map(std::string_view key) const;
  /// The members of this object in order, each value as JSON for a message.
  std::vector<std::pair<std::string, std::string>> shown_members() const;
  /// Number of elements of an array or object; 0 if absent.
  std::size_t size_of(std::string_view key) const;

  /// `hidden_act` and its like: the activation that the reference's table gives this name.
  /// Throws unsupported_model listing the names that are understood.
  Activation activation(std::string_view key, std::string_view fallback) const;

  /// How errors call the file.
  const std::string& name() const noexcept { return name_; }

  /// Throws corrupt_file: `config.json: "key" is <got>, expected <expected>`.
  [[noreturn]] void wrong(std::string_view key, const std::string& expected) const;
  /// Throws unsupported_model in the same form.
  [[noreturn]] void unsupported(std::string_view key, const std::string& expected) const;

 private:
  struct Json;  // keeps the JSON library out of this header
  Config(const json::Document& document, const json::Node& object, std::string name);
  [[noreturn]] void complain(ErrorCode code, std::string_view key, std::string_view why,
                             const std::string& expected) const;

  std::shared_ptr<const Json> json_;
  std::string name_;
};

}  // namespace tessera::models
