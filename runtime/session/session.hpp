// SPDX-License-Identifier: Apache-2.0
//
// Two owners: a Model is immutable weights (shared by sessions and threads), a Session is one
// arena.
//
// A session's memory is computed from (max_rows, max_sequences, outputs) and stated by
// memory_bytes() before anything is allocated. After construction a run allocates nothing and
// cannot fail half-way: everything that can be wrong with a batch is checked before the first
// write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/isa.hpp"
#include "runtime/base/tensor_view.hpp"
#include "runtime/machine/rates.hpp"
#include "runtime/plan/report.hpp"
#include "runtime/program/image.hpp"
#include "runtime/program/program.hpp"
#include "runtime/session/level.hpp"
#include "runtime/threads/run_control.hpp"
#include "runtime/threads/threads.hpp"

namespace tessera {

class Checkpoint;
class RunObserver;
namespace kernels {
struct KernelTable;
}

struct ModelOptions {
  /// nullopt: TESSERA_ISA if set, else the best for `precision` (session/level.hpp).
  std::optional<Isa> isa{};
  /// Instead of that level's kernels, for meters: this table, of any level; it outlives the model.
  const kernels::KernelTable* kernels = nullptr;
  /// What sessions may ask for; empty: every output of the program.
  std::vector<std::string> outputs{};
  /// Outputs besides, for meters: those of them whose values are there in f32 anyway while the others are
  /// computed. For them nothing is computed, fused or rounded in another way: where a layer computes one
  /// row per sequence, its state has those rows; one that lies within an op is left out.
  std::vector<std::string> held_outputs{};
  /// What linears multiply (program/rewrites.hpp, in_precision). A level without its kernels is an
  /// Error.
  Precision precision = Precision::f32;
  /// Weights that s8 leaves in bf16 or f32, by name (PrecisionRewrite::keep).
  std::vector<std::string> keep{};
  /// Rows of weights of s8 take the step with which they are nearest, and their largest numbers are clipped,
  /// where that is nearer than no clipping (Parameter::clips). Loading takes 36 passes over them.
  bool clip_weights = false;
  /// A folder in which packed weights are kept between processes (made if it is missing), or empty.
  /// A file that fits is mapped instead of packing; one that does not is replaced
  /// (weights/packed_cache.hpp).
  std::filesystem::path packed_cache{};
  /// Embedding tables are copied, so that nothing that happens to the checkpoint's files after
  /// loading is ever seen. Without it they are read where they are mapped, and a run whose files
  /// have changed since loading is an error.
  bool copy_tables = false;
  /// Most bytes of weights, packed and mapped; more is Error{out_of_memory}. 0: no cap.
  std::size_t memory_cap_bytes = 0;
};

/// Immutable weights of one Program for one ISA level, packed at load. Thread-safe.
class Model {
 public:
  /// Packs the parameters of `program` (pruned to `options.outputs`) out of `checkpoint`.
  /// The checkpoint stays mapped while the Model lives (embedding tables are read in place).
  /// Throws Error: not_found (tensor or output), corrupt_file (shape), invalid_argument (ISA).
  /// Weights that are NaN or infinite are reported through the log callback.
  static std::shared_ptr<const Model> create(const Program& program,
                                             std::shared_ptr<const Checkpoint> checkpoint,
                                             const ModelOptions& options = {});
  virtual ~Model() = default;

  virtual const Program& program() const noexcept = 0;  ///< after pruning and fusion
  virtual Isa isa() const noexcept = 0;
  /// Bytes of packed weights held in memory (without the mapped tables), and bytes of mapped
  /// tables.
  virtual std::size_t packed_bytes() const noexcept = 0;
  virtual std::size_t mapped_bytes() const noexcept = 0;
  /// Number of parameters (elements) in use.
  virtual std::size_t parameter_count() const noexcept = 0;
};

struct SessionOptions {
  Index max_rows = 512;      ///< most token rows (ΣT) of one run
  Index max_sequences = 32;  ///< most sequences of one run
  /// 0: all that affinity, cgroup quota and OMP_NUM_THREADS allow. Negative: an error.
  int threads = 0;
  /// Empty: every output of the model.
  std::vector<std::string> outputs{};
  /// A plan to run (load_plan); null: one is made. It must fit model, machine, and these options.
  std::shared_ptr<const Plan> plan{};
  /// Rates that a plan is made with; nullopt: resolve_rates().
  std::optional<MachineRates> rates{};
  /// Instead of what the plan would choose: this loop order for every linear, this dataflow for
  /// every attention, and chains of ops in blocks of this many rows (plan/chain.hpp; 0: every op
  /// alone). A saved plan comes with its own: both at once is an error.
  std::optional<LoopOrder> loop_order{};
  std::optional<kernels::AttentionDataflow> attention{};
  std::optional<Index> row_blocks{};
  /// Whether K and V of all rows are computed before anything else of a layer, which then runs in blocks of
  /// rows (program/keys_first.hpp): the least memory for long sequences, the same bits, a little more time.
  /// nullopt: where the cap allows nothing else.
  std::optional<bool> least_memory{};
  /// oneDNN may run a linear where it measures better (creation then takes a second). Its order of
  /// summation is its own: results then depend on the number of rows of a batch in the last bits,
  /// and a run may allocate. memory_bytes() then counts a second copy of the weights.
  bool allow_onednn = false;
  /// Anything that is not as it should be (rates that were never measured) is an error.
  bool strict = false;
  /// The caller's pool; `threads` then says how many lanes it gets at most.
  ParallelFor parallel_for{};
  /// Most bytes of weights and arena together (MemoryBytes::total()); more is
  /// Error{out_of_memory} that says how many rows would fit. 0: no cap. See fit_to_cap().
  std::size_t memory_cap_bytes = 0;
};

/// A ragged batch of sequences, rows one after another: of tokens, or of images for a model that
/// takes them. Spans are read during run() only.
struct Batch {
  std::span<const std::int32_t> ids{};    ///< (ΣT)
  std::span<const std::int32_t> types{};  ///< (ΣT), or empty: all 0
  /// (S+1): offsets[0] = 0, strictly rising, offsets[S] = ΣT.
  std::span<const std::int32_t> offsets{};
  /// (ΣT) rows of the position table, or empty: derived from the ids by the model's rule.
  std::span<const std::int32_t> positions = {};
  /// (ΣT) coordinate for windows and relative position biases, or empty: 0 … T−1. Rising within the rows
  /// of a sequence that are keys; those that are not (query_only) may have any.
  std::span<const std::int32_t> columns = {};
  /// (S) how many leading rows of the sequence are queries but not keys: they attend to the other
  /// rows, no row attends to them, and pooling does not average them; or empty: all 0.
  ///
  ///   attention_mask   0  0  1  1  1    the reference pads on the left, its pooler reads column 0
  ///   rows given       x     a  b  c    x: the masked column 0; the other padding is left out
  ///   query_only = 1                    x attends to a, b, c; no row attends to x
  std::span<const std::int32_t> query_only = {};
  /// (S) the first row of the sequence that poolings read, those of one given row aside; or empty: all
  /// 0. Rows before it (a prompt that counts for attention alone) are keys and queries like others.
  std::span<const std::int32_t> pool_from = {};
  /// (S) one image per sequence; the spans above are then empty, and image s takes
  /// image_rows(*program.images(), height, width, interpolate_positions) rows after those of s−1.
  /// Sizes may differ from image to image.
  std::span<const Image> images = {};
  /// As the reference's interpolate_pos_encoding: images of other sizes than the native one, for
  /// models that take them only when asked to.
  bool interpolate_positions = false;
};

/// One arena and one team of workers. One run at a time per Session; Sessions may share a Model
/// concurrently.
class Session {
 public:
  /// Bytes of the arena that create() would allocate with these options.
  static std::size_t memory_bytes(const Model& model, const SessionOptions& options);
  static std::unique_ptr<Session> create(std::shared_ptr<const Model> model,
                                         const SessionOptions& options);
  virtual ~Session() = default;

  /// Computes every output for `batch`.
  /// Numerics: the rows of a sequence do not depend on its neighbours, its place in the batch, or
  /// the threads. Errors: Error{invalid_argument} naming argument, got, expected; nothing is
  /// computed then.
  /// Error{cancelled} where `control` ended it, Error{corrupt_file} where the files of mapped
  /// tables have changed since loading, Error{invalid_argument} where the caller's pool failed: the
  /// session then has no result and can be used again. Threads: in a forked child the calling
  /// thread computes alone. The caller's floating-point environment plays no part and is left as it
  /// was.
  virtual void run(const Batch& batch, const RunControl& control = {}) = 0;

  /// Gives the arena's pages back to the system until the next run touches them again. The last
  /// result is gone: output() has no rows.
  virtual void trim() = 0;

  /// The result of the last run: (ΣT, width) or (S, width), valid until the next run.
  /// Throws Error{not_found}, listing the outputs there are.
  virtual TensorView<const float> output(std::string_view name) const = 0;

  /// Tells `observer` of every op of later runs; null: nobody. It must outlive those runs.
  virtual void observe(RunObserver* observer) noexcept = 0;

  virtual const SessionOptions& options() const noexcept = 0;  ///< with threads resolved
  virtual std::size_t memory_bytes() const noexcept = 0;
  /// What this session computes: the model's program, pruned to the outputs asked for.
  virtual const Program& program() const noexcept = 0;
  virtual const Plan& plan() const noexcept = 0;
  /// What the plan does and predicts, op by op, for a batch of `rows` rows in `sequences`
  /// sequences. Throws Error{invalid_argument} if that is more than the session's.
  virtual PlanReport report(Index rows, Index sequences) const = 0;
};

/// positions for one *padded* row of ids under `rule` (see PositionRule); out (ids.size()).
void fill_positions(const TokenSpec& spec, std::span<const std::int32_t> ids,
                    std::span<std::int32_t> out) noexcept;

}  // namespace tessera
