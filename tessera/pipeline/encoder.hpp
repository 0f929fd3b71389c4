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
#include "tessera/pipeline/text_inputs.hpp"

namespace tessera {

struct EncoderOptions {
  int threads = 0;              ///< 0: all that the process may use
  std::optional<Isa> isa = {};  ///< nullopt: TESSERA_ISA if set, else the best that the CPU has
  Index batch_tokens = 4096;    ///< most token rows of one batch; a longer sequence goes alone
  Index batch_sequences = 64;   ///< most sequences of one batch
  std::vector<std::string> outputs = {};     ///< what to compute, at least one
  std::shared_ptr<const Plan> plan = {};     ///< a plan to run; null: one is made
  std::optional<MachineRates> rates = {};    ///< what plans are made with; nullopt: resolve_rates()
  std::optional<LoopOrder> loop_order = {};  ///< SessionOptions::loop_order
  std::optional<kernels::AttentionDataflow> attention = {};  ///< SessionOptions::attention
  bool allow_onednn = false;                                 ///< SessionOptions::allow_onednn
  bool strict = false;                                       ///< a fallback of the plan is an error
  ParallelFor parallel_for = {};  ///< the caller's pool in place of our threads
  /// Most bytes of weights and arena together; 0: no cap. What does not fit is
  /// Error{out_of_memory}, or batches become smaller, down to one row, with split_to_cap: results
  /// are the same.
  std::size_t memory_cap_bytes = 0;
  bool split_to_cap = false;
  std::filesystem::path packed_cache = {};  ///< ModelOptions::packed_cache
  bool copy_tables = false;                 ///< ModelOptions::copy_tables
};

/// What a model is for: its logits, else its embedding, else its last hidden state.
std::string main_output(const Program& program);

using ProgressCallback = std::function<void(std::size_t done, std::size_t total)>;

/// A Package, its Model and one Session: what encoders of texts and of images share. One call at a
/// time.
///
/// Memory    the arena is made for the first run() and made again only when a later run() needs
///           more, up to max(batch_tokens, longest sequence) rows; arena_bytes() says what the
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

  /// Columns of the output number `output`, and whether it has a row per token (else per sequence).
  Index width(std::size_t output = 0) const;
  bool is_per_token(std::size_t output = 0) const;

  /// Gives the arena's pages back until the next run().
  void trim();

  /// The memory promise for sequences of up to `longest` tokens.
  MemoryBytes memory_bytes(Index longest) const;
  /// Bytes of the arena for batches up to the budget and sequences of up to `longest` tokens.
  std::size_t arena_bytes(Index longest) const;
  /// What a Session for the whole budget will do for `rows` token rows in `sequences` sequences.
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
  SessionOptions session_options(Index rows, Index sequences) const;

  std::shared_ptr<const models::Package> package_;
  EncoderOptions options_;
  std::shared_ptr<const Model> model_;
  std::unique_ptr<Session> session_;
  std::optional<BatchRunner> runner_;  // of package_'s program
};

/// Encodes token sequences.
class TextEncoder : public Encoder {
 public:
  using Encoder::Encoder;
  static TextEncoder open(const std::filesystem::path& directory, EncoderOptions options,
                          const models::PackageOptions& package_options = {});

  /// Computes the outputs of every sequence. `sink` is called once per sequence, in the order of
  /// the batches, not of the input: `index` says which it is. Errors: as check_sequence() says,
  /// with the index of the sequence; nothing is computed then.
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
