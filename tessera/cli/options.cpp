// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <map>

#include "kernels/isa.hpp"
#include "models/sentence/pooling_modes.hpp"
#include "runtime/plan/plan_file.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/say.hpp"

namespace tessera::cli {
namespace {

// The names of `values`, as name_of() spells them.
template <class Values, class NameOf>
std::vector<std::string> names_of(const Values& values, NameOf name_of) {
  std::vector<std::string> names;
  for (const auto value : values) names.emplace_back(name_of(value));
  return names;
}

// The value whose name is `wanted`.
template <class Values, class NameOf>
auto find_by_name(const Values& values, NameOf name_of, const std::string& wanted) {
  std::optional<std::decay_t<decltype(*std::begin(values))>> found;
  for (const auto value : values) {
    if (wanted == name_of(value)) found = value;
  }
  return found;
}

constexpr auto kNameOfOrder = [](LoopOrder order) { return option_name(order); };
constexpr auto kNameOfPrecision = [](PrecisionOption option) { return to_string(option); };
constexpr auto kNameOfDataflow = [](auto dataflow) { return to_string(dataflow); };

const std::vector<std::string> kStrategies{"longest_first", "only_first", "only_second", "none"};

text::TruncationStrategy strategy_of(const std::string& name) {
  using Strategy = text::TruncationStrategy;
  if (name == "only_first") return Strategy::only_first;
  if (name == "only_second") return Strategy::only_second;
  return name == "none" ? Strategy::do_not_truncate : Strategy::longest_first;
}

// "64K", "500M", "2G", or a number of bytes; nullopt for what is none of these, or no byte.
std::optional<std::size_t> parse_bytes(const std::string& text) {
  std::size_t value = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc{} || value == 0) return std::nullopt;
  const std::string_view unit(parsed.ptr, static_cast<std::size_t>(end - parsed.ptr));
  constexpr std::string_view kUnits = "KMG";
  const std::size_t at = unit.size() == 1 ? kUnits.find(unit.front()) : std::string_view::npos;
  if (unit.empty()) return value;
  const std::size_t shift = 10 * (at + 1);
  if (at == std::string_view::npos || value > (SIZE_MAX >> shift)) return std::nullopt;
  return value << shift;
}

CLI::Validator byte_count() {
  return CLI::Validator(
      [](const std::string& text) {
        if (parse_bytes(text)) return std::string();
        return fmt::format("got '{}', expected bytes as 500000000, 64K, 500M or 2G", text);
      },
      "");
}

CLI::Validator row_count_or_word() {
  return CLI::Validator(
      [](const std::string& text) {
        std::string number = text;
        const std::string error = integer_between(1, (std::int64_t{1} << 31) - 1)(number);
        const bool is_word = text == "off" || text == "least";
        return is_word || error.empty() ? std::string() : error + ", off or least";
      },
      "");
}

// The reference's names too: `--truncation` alone (its "true") and do_not_truncate.
CLI::Validator strategy_name() {
  CLI::Validator names = one_of(kStrategies);
  return CLI::Validator(
      [names](std::string& text) {
        if (text.empty() || text == "{}" || text == "true") text = "longest_first";
        if (text == "do_not_truncate" || text == "false") text = "none";
        return names(text);
      },
      "", names.get_name());
}

// Flags of embeddings, where something else is computed.
void require_no_embedding_flags(const ModelFlags& flags, const std::string& output) {
  const auto refuse = [&](const std::string& flag, const char* why) {
    throw UsageError(fmt::format("{} where {} is computed, expected none: {}", flag, output, why));
  };
  if (flags.dims != 0) {
    refuse(fmt::format("--dims: got {}", flags.dims), "columns are left out of embeddings");
  }
  if (!flags.pooling.empty()) {
    refuse(fmt::format("--pooling: got {}", flags.pooling), "tokens are pooled for embeddings");
  }
  if (flags.normalize) refuse("--normalize: got it", "embeddings are normalised");
}

}  // namespace

CLI::Option* add_output(CLI::App& command, std::string& path) {
  return add_option(command, "-o,--output", path, "FILE",
                    "Write to FILE, which appears when it is complete");
}

void require_none(const CLI::App& command, std::initializer_list<const char*> flags,
                  const std::string& reason) {
  for (const char* flag : flags) {
    const CLI::Option* const option = command.get_option_no_throw(flag);
    if (option != nullptr && option->count() > 0) {
      throw UsageError(fmt::format("{}: {}", flag, reason));
    }
  }
}

void require_kind(const CLI::App& command, const models::Package& package) {
  if (package.program.images() != nullptr) {
    require_none(
        command,
        {"--max-length", "--truncation", "--truncation-side", "--prompt", "--prompt-name",
         "--jsonl", "--csv", "--tsv", "--ids", "--pairs", "--with-text", "--text-key", "--id-key",
         "--column", "--pair-column", "--header", "--no-quotes", "--encoding", "--resume"},
        package.similarity ? "applies to texts, this tower takes images (--tower text)"
                           : "applies to texts, the model takes images");
  } else {
    require_none(
        command,
        {"--interpolate-positions", "--skip-others", "--max-pixels", "--loaders", "--paths"},
        "applies to images, the model takes texts");
  }
}

void ModelFlags::add_to(CLI::App& command) {
  add_option(command, "MODEL", model, "DIR", "Directory of the checkpoint, as published")
      ->required();
  add_option(command, "--class", architecture, "NAME",
             "Use this class instead of config.json's, e.g. BertModel");
  add_count(command, "--threads", threads, "Worker threads (default: all that the process may use)",
            1024);
  const auto levels = names_of(kAllIsas, [](Isa level) { return to_string(level); });
  add_choice(command, "--isa", isa, "LEVEL", levels,
             fmt::format("Instruction set: {} (default: the best here)", fmt::join(levels, ", ")));
  const auto precisions = names_of(kPrecisionOptions, kNameOfPrecision);
  add_choice(command, "--precision", precision, "NAME", precisions,
             "What linears multiply: fp32 (default); bf16 elements, summed in fp32; auto: bf16 "
             "where it is "
             "measured faster and the checkpoint is stored in 16 bits; or int8: whole numbers of 8 "
             "bits with "
             "a scale for each row, summed exactly. "
             "Without it a terminal is told what auto would gain");
  add_count(command, "--batch-tokens", batch_tokens,
            "Most tokens computed together (default: 4096)", std::int64_t{1} << 20);
}

void ModelFlags::add_embedding_to(CLI::App& command) {
  add_count(command, "--dims", dims,
            "The first K columns of the embedding, of models that were trained for it "
            "(Matryoshka); normalised again where the embedding is (default: all)");
  add_choice(command, "--pooling", pooling, "MODE", models::pooling_modes(),
             fmt::format("One row of a text's tokens where the model's files do not say how: {} "
                         "(default: mean where there is no modules.json)",
                         fmt::join(models::pooling_modes(), ", ")));
  command.add_flag("--normalize", normalize,
                   "Embeddings of length 1, also where the model's files do not say so");
}

void ModelFlags::add_top_k_to(CLI::App& command) {
  add_count(command, "--top-k", top_k,
            "Sparse embeddings: the K heaviest tokens (default: all that are not 0). All columns "
            "are held meanwhile only where a Normalize reads them, or K tokens of each thread "
            "would take more");
}

void ModelFlags::add_memory_to(CLI::App& command) {
  add_option(command, "--packed-cache", packed_cache, "DIR",
             "Keep packed weights in the folder DIR: the next start maps them")
      ->check(not_empty());
  add_memory_cap_to(command, "--memory-cap",
                    "Most bytes of weights and arena together, e.g. 500M or 2G: batches become "
                    "smaller, and what does not fit is refused (default: none)");
}

void ModelFlags::add_memory_cap_to(CLI::App& command, const char* names, const char* help) {
  command
      .add_option_function<std::string>(
          names, [this](const std::string& text) { memory_cap = parse_bytes(text).value_or(0); },
          help)
      ->check(byte_count())
      ->type_name("BYTES");
}

void ModelFlags::add_plan_to(CLI::App& command) {
  command.add_flag("--allow-onednn", allow_onednn,
                   "Let oneDNN run linears where it measures faster: last bits then depend on the "
                   "batch");
  auto* file =
      add_option(command, "--plan", plan, "FILE", "Run this plan, saved by `tessera plan --save`")
          ->check(not_empty());
  const auto orders = names_of(kLoopOrders, kNameOfOrder);
  add_choice(
      command, "--loop-order", loop_order, "ORDER", orders,
      fmt::format("Every linear in this order instead of the best: {}", fmt::join(orders, ", ")))
      ->excludes(file);
  const auto dataflows = names_of(kAllDataflows, kNameOfDataflow);
  add_choice(command, "--attention", attention, "NAME", dataflows,
             fmt::format("Every attention in this dataflow instead of the best: {}",
                         fmt::join(dataflows, ", ")))
      ->excludes(file);
  add_option(
      command, "--row-blocks", row_blocks, "N",
      "Chains of ops on blocks of N rows instead of what is best (whole layers where N is the "
      "longest sequence or more); off: each op on all rows; least: K and V of all rows first, all "
      "else in blocks of rows: less memory for one long input")
      ->check(row_count_or_word())
      ->excludes(file);
}

void ModelFlags::add_tower_to(CLI::App& command) {
  add_choice(command, "--tower", tower, "TOWER", {"text", "image"},
             "Models with two (CLIP, SigLIP): which one (default: image)");
}

std::shared_ptr<const models::Package> ModelFlags::open_package(models::Tower otherwise,
                                                                models::Route route) const {
  const models::Tower asked = tower.empty()     ? otherwise
                              : tower == "text" ? models::Tower::text
                                                : models::Tower::image;
  auto package = std::make_shared<const models::Package>(
      models::open_package(model, {.tower = asked,
                                   .route = route,
                                   .architecture = architecture,
                                   .dims = dims,
                                   .top_k = top_k,
                                   .pooling = models::pooling_from_name(pooling),
                                   .normalize = normalize}));
  if (tower.empty() || package->similarity) return package;
  throw UsageError(
      fmt::format("--tower: got {}, which has no two towers, expected a model of texts "
                  "and images (CLIP, SigLIP)",
                  model));
}

void ModelFlags::require_sparse_for_top_k(const models::Package& package,
                                          const std::vector<std::string>& outputs) const {
  if (top_k == 0 || std::any_of(outputs.begin(), outputs.end(),
                                [&](const std::string& name) { return package.is_sparse(name); })) {
    return;
  }
  throw UsageError(
      fmt::format("--top-k: the output {} is not sparse, expected the embedding of a model with "
                  "SpladePooling, or lexical_weights of BGE-M3",
                  fmt::join(outputs, ", ")));
}

EncoderOptions ModelFlags::encoder_options(std::vector<std::string> outputs) const {
  if (!outputs.empty() && std::find(outputs.begin(), outputs.end(), "embedding") == outputs.end()) {
    require_no_embedding_flags(*this, outputs.front());
  }
  EncoderOptions options;
  if (batch_tokens != 0) options.batch_tokens = batch_tokens;
  options.model.packed_cache = packed_cache;
  options.session.memory_cap_bytes = memory_cap;
  options.split_to_cap = memory_cap != 0;
  if (!isa.empty()) {
    options.model.isa = isa_from_string(isa);
    const int error = options.model.isa ? enable(*options.model.isa) : EOPNOTSUPP;
    if (error != 0) {
      throw UsageError(
          fmt::format("--isa: got '{}', expected one that this CPU supports, up to '{}'{}", isa,
                      to_string(best_isa()), error == EOPNOTSUPP ? "" : "; " + refusal(error)));
    }
  }
  options.precision =
      find_by_name(kPrecisionOptions, kNameOfPrecision, precision).value_or(PrecisionOption::fp32);
  SessionOptions& session = options.session;
  session.threads = threads;
  session.outputs = std::move(outputs);
  session.allow_onednn = allow_onednn;
  if (!plan.empty()) session.plan = std::make_shared<const Plan>(load_plan(plan));
  session.loop_order = find_by_name(kLoopOrders, kNameOfOrder, loop_order);
  session.attention = find_by_name(kAllDataflows, kNameOfDataflow, attention);
  if (row_blocks == "least") {
    session.least_memory = true;
  } else if (!row_blocks.empty()) {
    session.row_blocks = row_blocks == "off" ? 0 : std::stoll(row_blocks);
  }
  return options;
}

void BatchFlags::add_to(CLI::App& command) {
  add_count(command, "--rows", rows,
            "Token rows of the batch (default: 128); images: as many as fit, one at least",
            std::int64_t{1} << 20);
  add_count(command, "--sequences", sequences,
            "... in N sequences (default: as few as the model takes); images: N of them",
            std::int64_t{1} << 20);
}

BatchShape BatchFlags::shape(const Program& program) const {
  try {
    return batch_shape(program, rows, sequences);
  } catch (const Error& e) {
    throw UsageError(fmt::format("--{}", e.what()));
  }
}

void TextFlags::add_truncation_to(CLI::App& command) {
  add_count(command, "--max-length", max_length, "Cut texts to N tokens, special tokens included");
  command
      .add_option_function<std::string>(
          "--truncation", [this](const std::string& name) { truncation = strategy_of(name); },
          fmt::format("What to cut: {} (default: as the model's files say)",
                      fmt::join(kStrategies, ", ")))
      ->transform(strategy_name())
      ->expected(0, 1)
      ->type_name("STRATEGY");
  command
      .add_option_function<std::string>(
          "--truncation-side",
          [this](const std::string& name) {
            truncation_side = name == "left" ? text::Side::left : text::Side::right;
          },
          "Which end to cut off: right, left")
      ->check(one_of({"right", "left"}))
      ->type_name("SIDE");
}

void DocumentPromptFlags::add_to(CLI::App& command, const std::string& flag,
                                 const std::string& of) {
  auto* given = add_option(command, flag.c_str(), prompt, "TEXT",
                           fmt::format("Put TEXT before {} (--prompt: before queries)", of));
  add_option(command, (flag + "-name").c_str(), prompt_name, "NAME",
             "The same, by its name in the model's files")
      ->excludes(given);
}

TextOptions DocumentPromptFlags::options(TextOptions text) const {
  text.prompt = prompt;
  text.prompt_name = prompt_name;
  return text;
}

void TextFlags::add_to(CLI::App& command) {
  add_truncation_to(command);
  auto* text = add_option(command, "--prompt", prompt, "TEXT", "Put TEXT before every input");
  add_option(command, "--prompt-name", prompt_name, "NAME",
             "Put the prompt that the model's files call NAME before every input")
      ->excludes(text);
}

Preparer make_preparer(const CLI::App& command, const models::Package& package,
                       const InputFlags& input, const TextFlags& text) {
  const LineFormat format = input.is_ids ? LineFormat::ids : LineFormat::text;
  if (format == LineFormat::ids) {
    require_none(command,
                 {"--max-length", "--truncation", "--truncation-side", "--prompt", "--prompt-name"},
                 "applies to text, got --ids");
  }
  try {
    return {package, format, text};
  } catch (const Error& e) {
    if (package.tokenizer) throw;
    throw Error(e.code(), std::string(e.what()) + "; --ids takes token ids");
  }
}

void say_what_was_cut(std::string_view command, const TextInputs& texts) {
  say_what_was_cut(command, texts, texts.cut(), texts.encoded());
}

void say_what_was_cut(std::string_view command, const TextInputs& texts, std::size_t cut,
                      std::size_t count) {
  if (cut == 0) return;
  say("tessera {}: {} of {} texts were cut to {} tokens ({})\n", command, cut, count,
      texts.max_tokens(), texts.limit_reason());
}

void require_embedding(const models::Package& package) {
  if (package.program.find_output("embedding") != kNone) return;
  if (package.embedding_from_files && !package.multi_vector) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}: modules.json of this {} has no Pooling, so that there is no "
                            "embedding, expected one, or --pooling, which says how",
                            package.directory.string(), package.architecture));
  }
  throw Error(
      ErrorCode::unsupported_model,
      fmt::format("{}: {} computes no embedding, expected an encoder without a head or "
                  "sentence-transformers files; --class can name the class without the head",
                  package.directory.string(), package.architecture));
}

}  // namespace tessera::cli
