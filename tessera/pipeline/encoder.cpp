// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/encoder.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/machine/machine.hpp"
#include "tessera/pipeline/batching.hpp"
#include "tessera/pipeline/precision_costs.hpp"

namespace tessera {
namespace {

const Value& output_value(const Program& program, const std::string& name) {
  const std::int32_t found = program.find_output(name);
  if (found == kNone) {
    std::vector<std::string> names;
    for (const Output& output : program.outputs) names.push_back(output.name);
    throw Error(ErrorCode::not_found, fmt::format("output: got \"{}\", expected one of {}", name,
                                                  fmt::join(names, ", ")));
  }
  const Output& output = program.outputs[static_cast<std::size_t>(found)];
  return program.values[static_cast<std::size_t>(output.value)];
}

ModelOptions model_options(const EncoderOptions& options, Precision precision) {
  ModelOptions model = options.model;
  model.precision = precision;
  model.outputs = options.session.outputs;
  model.memory_cap_bytes = options.session.memory_cap_bytes;
  return model;
}

SessionOptions session_options(const EncoderOptions& options, Index rows, Index sequences) {
  SessionOptions session = options.session;
  session.max_rows = rows;
  session.max_sequences = sequences;
  return session;
}

/// For batches up to the budget and sequences of up to `longest` tokens.
SessionOptions largest_session(const EncoderOptions& options, Index longest) {
  const Index rows = std::max(options.batch_tokens, longest);
  return session_options(options, rows,
                         std::min(options.batch_sequences, rows));  // each has a row at least
}

}  // namespace

// The logits of a head, else the embedding, else the states.
std::string main_output(const Program& program) {
  const bool pools_logits = std::any_of(program.ops.begin(), program.ops.end(), [](const Op& op) {
    return std::holds_alternative<PooledLinearOp>(op);
  });
  if (pools_logits && program.find_output("embedding") != kNone) return "embedding";
  for (const char* name : {"logits", "prediction_logits", "start_logits", "embedding",
                           models::kTokenVectors, "last_hidden_state"}) {
    if (program.find_output(name) != kNone) return name;
  }
  return program.outputs.empty() ? "" : program.outputs.front().name;
}

std::string listed_outputs(const Program& program) {
  std::vector<std::string> names;
  for (const Output& output : program.outputs) {
    if (!output.name.starts_with("hidden_states.")) names.push_back(output.name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

PrecisionChoice precision_of(const models::Package& package, const EncoderOptions& options) {
  return choose_precision(options.precision, package, [&] {
    if (options.session.rates) return *options.session.rates;
    return resolve_rates(machine(),
                         resolve_isa(options.model.isa, precision_to_ask(options.precision)));
  });
}

Encoder::Encoder(std::shared_ptr<const models::Package> package, EncoderOptions options)
    : package_(std::move(package)),
      options_(std::move(options)),
      precision_(precision_of(*package_, options_)) {
  if (options_.batch_tokens < 1 || options_.batch_sequences < 1 || options_.session.threads < 0) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("encoder: got batch_tokens {}, batch_sequences {}, threads {}, expected "
                    "at least 1, 1, 0",
                    options_.batch_tokens, options_.batch_sequences, options_.session.threads));
  }
  for (const std::string& name : options_.session.outputs) output_value(package_->program, name);
  runner_.emplace(package_->program, options_.session.outputs);
  model_ = Model::create(package_->program, package_->checkpoint,
                         model_options(options_, precision_.precision));
  if (package_->program.tokens() != nullptr) longest_ = package_->program.tokens()->max_tokens;
  if (options_.session.memory_cap_bytes != 0 && options_.split_to_cap) split_to_cap();
}

void Encoder::split_to_cap() {
  const Index sequences = std::min(options_.batch_sequences, options_.batch_tokens);
  const SessionOptions fitted =
      fit_to_cap(*model_, session_options(options_, options_.batch_tokens, sequences));
  options_.batch_tokens = fitted.max_rows;
  options_.batch_sequences = fitted.max_sequences;
  if (options_.session.plan != nullptr) longest_ = std::min(longest_, options_.batch_tokens);
  if (options_.batch_tokens >= longest_) return;
  const auto fits = [&](Index rows) {
    return memory_bytes(rows).total() <= options_.session.memory_cap_bytes;
  };
  Index low = options_.batch_tokens, high = 0;  // low fits, high does not
  while (high == 0 && low < longest_) {
    const Index next = low > longest_ / 2 ? longest_ : 2 * low;
    (fits(next) ? low : high) = next;
  }
  while (high - low > 1) {
    const Index middle = low + (high - low) / 2;
    (fits(middle) ? low : high) = middle;
  }
  longest_ = low;
}

TextEncoder TextEncoder::open(const std::filesystem::path& directory, EncoderOptions options,
                              const models::PackageOptions& package_options) {
  return TextEncoder(
      std::make_shared<const models::Package>(models::open_package(directory, package_options)),
      std::move(options));
}

Index Encoder::width(std::size_t output) const {
  return output_value(package_->program, options_.session.outputs.at(output)).width;
}

bool Encoder::is_per_token(std::size_t output) const {
  return output_value(package_->program, options_.session.outputs.at(output)).space != kSequences;
}

SpaceId Encoder::space(std::size_t output) const {
  return output_value(package_->program, options_.session.outputs.at(output)).space;
}

MemoryBytes Encoder::memory_bytes(Index longest) const {
  return tessera::memory_bytes(*model_, largest_session(options_, longest));
}

MemoryBytes memory_bytes(const models::Package& package, const EncoderOptions& options,
                         Index longest) {
  const Precision precision = precision_of(package, options).precision;
  return memory_bytes(package.program, *package.checkpoint, model_options(options, precision),
                      largest_session(options, longest));
}

Index longest_within_cap(const models::Package& package, const EncoderOptions& options,
                         Index longest) {
  ModelOptions model = model_options(options, precision_of(package, options).precision);
  model.memory_cap_bytes = 0;
  const auto fitted = [&](bool least_memory) -> Index {
    SessionOptions session = session_options(options, longest, 1);
    if (!session.least_memory && session.plan == nullptr) session.least_memory = least_memory;
    try {
      return fit_to_cap(package.program, *package.checkpoint, model, session).max_rows;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::out_of_memory) throw;
      return 0;
    }
  };
  return std::max(fitted(false), fitted(true));
}

void Encoder::trim() {
  if (session_) session_->trim();
}

// A short input gets a small arena. One that fills a batch gets an arena for the whole budget, so
// that a stream of windows makes at most two.
void Encoder::reserve(Index rows, Index sequences) {
  if (session_ && session_->options().max_rows >= rows &&
      session_->options().max_sequences >= sequences) {
    return;
  }
  const bool is_regrowth = session_ != nullptr;
  if (is_regrowth || 2 * rows >= options_.batch_tokens)
    rows = std::max(rows, options_.batch_tokens);
  if (is_regrowth || 2 * sequences >= options_.batch_sequences) {
    sequences = std::max(sequences, options_.batch_sequences);
  }
  sequences = std::min(sequences, rows);  // each has a row at least
  session_.reset();                       // before the next arena is asked for: never two at a time
  session_ = Session::create(model_, session_options(options_, rows, sequences));
}

PlanReport Encoder::report(Index rows, Index sequences) {
  reserve(std::max(rows, options_.batch_tokens), std::max(sequences, options_.batch_sequences));
  return report_with_costs(*session_, *model_, *package_,
                           model_options(options_, precision_.precision), rows, sequences);
}

const Plan& Encoder::plan() const {
  return session_->plan();
}

const Program& Encoder::session_program() const {
  return session_->program();
}

TextCheck::TextCheck(const Encoder& encoder)
    : check_(encoder.package().program), encoder_(encoder) {}

void TextCheck::operator()(const SequenceView& sequence) const {
  check_(sequence);
  const auto tokens = std::ssize(sequence.ids);
  if (tokens <= encoder_.longest()) return;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("the text has {} tokens, expected at most {}, as fit into the memory cap "
                          "of {} bytes",
                          tokens, encoder_.longest(), encoder_.options().session.memory_cap_bytes));
}

void TextEncoder::run(std::span<const TokenSequence> sequences, const Sink& sink,
                      const ProgressCallback& progress, const RunControl& control) {
  std::vector<Index> lengths;
  lengths.reserve(sequences.size());
  const TextCheck check(*this);
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    try {
      check(sequences[s]);
    } catch (const Error& error) {
      throw BadSequence(s, error);
    }
  }
  for (const TokenSequence& sequence : sequences) lengths.push_back(sequence.size());
  const BatchPlan plan = plan_batches(lengths, options().batch_tokens, options().batch_sequences);
  if (plan.batches.empty()) return;
  reserve(plan.max_rows, plan.max_sequences);

  std::size_t done = 0;
  for (const BatchRange& batch : plan.batches) {
    const auto chosen = std::span(plan.order).subspan(batch.first, batch.last - batch.first);
    runner().run(session(), sequences, chosen, sink, control);
    done += chosen.size();
    if (progress) progress(done, sequences.size());
  }
}

void TextEncoder::run(std::span<const TokenSequence> sequences, std::span<float> out,
                      const ProgressCallback& progress) {
  const auto columns = static_cast<std::size_t>(width());
  if (options().session.outputs.size() != 1 || is_per_token() ||
      out.size() != sequences.size() * columns) {
    throw Error(ErrorCode::internal, "encoder: a matrix needs one output with a row per sequence");
  }
  run(
      sequences,
      [out, columns](std::size_t index, Results results) {
        const std::span<const float> row = results[0].row(0);
        std::copy(row.begin(), row.end(), out.begin() + static_cast<Index>(index * columns));
      },
      progress);
}

}  // namespace tessera
