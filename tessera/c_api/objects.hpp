// SPDX-License-Identifier: Apache-2.0
// What stands behind the handles of tessera.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/image/preprocessor.hpp"
#include "models/package.hpp"
#include "runtime/base/fork_locks.hpp"
#include "runtime/session/session.hpp"
#include "tessera/c_api/handles.hpp"
#include "tessera/pipeline/batch_runner.hpp"
#include "tessera/pipeline/batching.hpp"
#include "tessera/pipeline/precision.hpp"
#include "tessera/pipeline/vector_index.hpp"
#include "tessera/tessera.h"

namespace tessera::c_api {

struct RunLimits;

class ModelObject {
 public:
  /// Reads the preprocessor's settings from the package's directory if the model takes images.
  ModelObject(models::Package package, ModelOptions options, PrecisionOption precision);
  ~ModelObject() { delete weights_.load(); }
  ModelObject(const ModelObject&) = delete;
  ModelObject& operator=(const ModelObject&) = delete;

  const models::Package& package() const noexcept { return package_; }
  const ModelOptions& options() const noexcept { return options_; }
  const std::string& main_output() const noexcept { return main_output_; }
  /// Of a model that takes images; empty: preprocessor_problem() says why there is none.
  const std::optional<image::Preprocessor>& preprocessor() const noexcept { return preprocessor_; }
  const std::string& preprocessor_problem() const noexcept { return preprocessor_problem_; }
  Isa isa() const noexcept { return *options_.isa; }

  /// `name`, or the main output for NULL. Throws Error{not_found} with the names there are.
  const Output& output(const char* name) const;
  const Output& output(std::size_t index) const;
  const Value& value(const Output& output) const noexcept {
    return package_.program.values[static_cast<std::size_t>(output.value)];
  }

  /// The packed weights; the first caller packs, the others wait. A forked child does not wait for
  /// a thread of its parent: it packs.
  std::shared_ptr<const Model> weights();

 private:
  models::Package package_;
  ModelOptions options_;
  std::string main_output_;
  std::optional<image::Preprocessor> preprocessor_;
  std::string preprocessor_problem_;
  ProcessMutex packing_;
  std::atomic<const std::shared_ptr<const Model>*> weights_{nullptr};  // until somebody asks
};

/// Where one output of a session goes in the call that is being served.
struct OutputTarget {
  std::size_t output = 0;  // of SessionObject::outputs
  float* data = nullptr;   // (rows, width), rows `stride` apart
  Index stride = 0, width = 0;
  bool is_per_token = false;
};

/// What one call at a time computes with.
struct SessionObject {
  /// Everything that a call needs is allocated here.
  SessionObject(std::shared_ptr<ModelObject> of, SessionOptions options, bool refuses_to_split);

  std::shared_ptr<ModelObject> model;
  bool refuses;                      ///< TESSERA_LIMIT_REFUSE
  std::vector<std::string> outputs;  ///< names, the main output first if it is one of them
  std::unique_ptr<Session> session;
  /// process_identity() of whose thread is in a call; 0: nobody is.
  std::atomic<std::uint64_t> holder{0};

  SessionObject* next_lost = nullptr;  ///< ~SharedSession()

  // Scratch of a call.
  BatchRunner runner;
  BatchWindows windows;
  std::vector<OutputTarget> targets = {};    // capacity: outputs
  std::span<const std::size_t> places = {};  // the item of each sequence; empty: the same number
};

/// What a handle of a session stands for: as many SessionObjects, all alike, as calls may be inside
/// at once.
class SharedSession {
 public:
  /// Precondition: `lanes` has at least one.
  SharedSession(std::vector<std::unique_ptr<SessionObject>> lanes, bool waits)
      : lanes_(std::move(lanes)), waits_(waits) {}

  /// What is the same for all: model, limits, names.
  const SessionObject& any() const noexcept { return *lanes_.front(); }
  std::size_t size() const noexcept { return lanes_.size(); }
  std::uint64_t arena_bytes() const noexcept;

  /// Keeps, and never destroys, what a thread of a parent process was inside of at the fork().
  ~SharedSession();
  SharedSession(const SharedSession&) = delete;
  SharedSession& operator=(const SharedSession&) = delete;

  /// One that nobody uses. Throws Error{invalid_argument} where there is none and nobody waits, or
  /// where threads of a parent process were inside of all at the fork(); Error{cancelled} as `limits`
  /// say. Allocates nothing.
  SessionObject& take(const RunLimits& limits);
  void give_back(SessionObject& lane) noexcept;

  /// Trims those that nobody uses. Throws Error{invalid_argument} where there is none.
  void trim();

 private:
  /// One that nobody used; null: there is none.
  SessionObject* try_take() noexcept;
  [[noreturn]] void refuse(bool are_lost) const;
  bool are_lost() const noexcept;

  std::vector<std::unique_ptr<SessionObject>> lanes_;
  const bool waits_;
  std::atomic<std::uint32_t> freed_{0};  // times that a call ended
};

/// Holds a session for one call. Errors: as SharedSession::take().
class Turn {
 public:
  Turn(SharedSession& session, const RunLimits& limits)
      : session_(session), lane_(session.take(limits)) {}
  ~Turn() { session_.give_back(lane_); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  SessionObject& lane() const noexcept { return lane_; }

 private:
  SharedSession& session_;
  SessionObject& lane_;
};

struct CancelObject {
  std::atomic<bool> requested{false};
};

using ModelTable = HandleTable<ModelObject, tessera_model, HandleKind::model>;
using SessionTable = HandleTable<SharedSession, tessera_session, HandleKind::session>;
using CancelTable = HandleTable<CancelObject, tessera_cancel, HandleKind::cancel>;
using IndexTable = HandleTable<const VectorIndex, tessera_index, HandleKind::index>;

ModelTable& model_table();
SessionTable& session_table();
CancelTable& cancel_table();
IndexTable& index_table();

}  // namespace tessera::c_api
