// SPDX-License-Identifier: Apache-2.0
//
// The pipeline around a Session: any number of sequences in, results out in the order of the input.
//
//   sequences ─ batches by token budget, longest first ─ Session::run ─ rows per sequence ─▶ sink
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/package.hpp"
#include "runtime/session/memory_bytes.hpp"
#include "runtime/session/session.hpp"
#include "tessera/pipeline/batch_runner.hpp"
#include "tessera/pipeline/precision.hpp"
#include "tessera/pipeline/text_inputs.hpp"

namespace tessera {

struct EncoderOptions {
  Index batch_tokens = 4096;   ///< most token rows of one batch; a longer sequence goes alone
  Index batch_sequences = 64;  ///< most sequences of one batch
  ModelOptions model{};        ///< outputs and memory_cap_bytes are those of `session`
  SessionOptions session{};    ///< at least one output; max_rows and max_sequences: by the batches
  /// Decides model.precision (pipeline/precision.hpp), by the rates of `session`.
  PrecisionOption precision = PrecisionOption::fp32;
  /// What does not fit into session.memory_cap_bytes is Error{out_of_memory}; or batches become
  /// smaller, down to one row: results are the same.
  bool split_to_cap = false;
};

/// What EncoderOptions::precision comes to for this model here.
PrecisionChoice precision_of(const models::Package& package, const EncoderOptions& options);

/// The memory promise of an Encoder for sequences of up to `longest` tokens, from the shapes of the
/// checkpoint: its weights are not read. Errors: as Encoder().
MemoryBytes memory_bytes(const models::Package& package, const EncoderOptions& options,
                         Index longest);

/// The longest sequence of up to `longest` tokens whose session, of it alone, is within
/// options.session.memory_cap_bytes; 0: none. Errors: as memory_bytes().
Index longest_within_cap(const models::Package& package, const EncoderOptions& options,
                         Index longest);

/// What a model is for: its logits, else its embedding, else its last hidden state. An embedding that is
/// made of logits (SPLADE) comes before them.
std::string main_output(const Program& program);
/// "last_hidden_state, pooler_output, embedding": what errors say that a model has; without the states
/// between.
std::string listed_outputs(const Program& program);

using ProgressCallback = std::function<void(std::size_t done, std::size_t total)>;

/// A Package, its Model and one Session: what encoders of texts and of images share. One call at a
/// time.
///
/// Memory    the arena is made for the first run() and made again only when a later run() needs
///           more, up to max(batch_tokens, longest sequence) rows; memory_bytes() says what the
///           largest takes.
/// Numerics  the results of a sequence do not depend on the other sequences, the budget or the
///           threads.
class Encoder {
 public:
  /// Throws Error as open_package() and Model::create() do; not_found for an output that the model
  /// does not compute, with those that it does.
  Encoder(std::shared_ptr<const models::Package> package, EncoderOptions options);

  const models::Package& package() const noexcept { return *package_; }
  const Model& model() const noexcept { return *model_; }
  const EncoderOptions& options() const noexcept { return options_; }
  const PrecisionChoice& precision() const noexcept { return precision_; }
  /// Most tokens of one text: as the program says, within the cap where batches are split to it.
  Index longest() const noexcept { return longest_; }

  /// Columns of the output number `output`, and whether it has a row per token, or cell (else per sequence).
  Index width(std::size_t output = 0) const;
  bool is_per_token(std::size_t output = 0) const;
  SpaceId space(std::size_t output) const;

  /// Gives the arena's pages back until the next run().
  void trim();

  /// The memory promise for sequences of up to `longest` tokens.
  MemoryBytes memory_bytes(Index longest) const;
  /// What a Session for the whole budget will do for `rows` token rows in `sequences` sequences, and
  /// what it would take in the other precision.
  PlanReport report(Index rows, Index sequences);
  /// Of the Session that the last report() or run() made. Precondition: there was one.
  const Plan& plan() const;
  const Program& session_program() const;

 protected:
  /// A Session for batches of this size; precondition of session().
  void reserve(Index rows, Index sequences);
  Session& session() noexcept { return *session_; }
  BatchRunner& runner() noexcept { return *runner_; }

 private:
  /// options_ and longest_ such that what they need is within the cap.
  void split_to_cap();

  std::shared_ptr<const models::Package> package_;
  EncoderOptions options_;
  Index longest_ = 0;
  PrecisionChoice precision_;
  std::shared_ptr<const Model> model_;
  std::unique_ptr<Session> session_;
  std::optional<BatchRunner> runner_;  // of package_'s program
};

/// What an Encoder of texts takes.
class TextCheck {
 public:
  /// `encoder` must outlive it.
  explicit TextCheck(const Encoder& encoder);

  /// Throws as SequenceCheck; also for more tokens than Encoder::longest().
  void operator()(const SequenceView& sequence) const;

 private:
  const SequenceCheck check_;
  const Encoder& encoder_;
};

/// Encodes token sequences.
class TextEncoder : public Encoder {
 public:
  using Encoder::Encoder;
  static TextEncoder open(const std::filesystem::path& directory, EncoderOptions options,
                          const models::PackageOptions& package_options = {});

  /// Computes the outputs of every sequence. `sink` is called once per sequence, in the order of
  /// the batches, not of the input: `index` says which it is. Throws BadSequence;
  /// nothing is computed then.
  /// `control` ends it between batches and within them (RunControl); the sink has then been called
  /// for the batches before.
  void run(std::span<const TokenSequence> sequences, const Sink& sink,
           const ProgressCallback& progress = {}, const RunControl& control = {});

  /// run() for one output with a row per sequence: a matrix in the order of the input, out (n,
  /// width()).
  void run(std::span<const TokenSequence> sequences, std::span<float> out,
           const ProgressCallback& progress = {});
};

}  // namespace tessera
