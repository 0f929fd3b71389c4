// SPDX-License-Identifier: Apache-2.0
// A model with one session and one batch of inputs that a meter looks at: what `profile` and
// `report` measure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/meters/meter.hpp"
#include "tessera/pipeline/batch_shape.hpp"
#include "tessera/pipeline/encoder.hpp"

namespace tessera {

struct MeteredOptions {
  std::optional<Isa> most_isa{};  ///< no level above it
  int threads = 0;                ///< 0: as the encoder's options say
  std::optional<Isa> replayed{};  ///< nothing is computed: replay kernels of any level
  /// The plan was made by the process that started this one, on this machine: Valgrind may show
  /// another CPU and other caches than the machine's.
  bool plan_is_of_here = false;
  enum class Rates : std::uint8_t { measured, resolved, nominal } rates = Rates::measured;
  /// The session also has the outputs of with_stream() that are there anyway, as ModelOptions::held_outputs.
  bool holds_states = false;
};

class MeteredModel {
 public:
  /// Measures this machine's rates if nobody has (Rates::measured). `shape` is one that the model
  /// takes; of images, native sizes. Computed are the session's outputs of `options`; of none, the main
  /// one. Errors: as Model::create(), Session::create().
  MeteredModel(std::shared_ptr<const models::Package> package, const EncoderOptions& options,
               BatchShape shape, const MeteredOptions& metered = {});

  const models::Package& package() const noexcept { return *package_; }
  const Model& model() const noexcept { return *model_; }
  const Session& session() const noexcept { return *session_; }
  const MachineRates& rates() const noexcept { return rates_; }
  Precision precision() const noexcept { return precision_; }
  Index rows() const noexcept { return shape_.rows; }
  Index sequences() const noexcept { return shape_.sequences; }
  PlanReport report() const { return session_->report(rows(), sequences()); }
  std::string name() const;  ///< "text (BertModel)"

  /// One run to warm up, then `runs` runs that the meter sees.
  meters::Measurement measure(meters::Meter& meter, Index runs);
  /// `runs` runs that the observer sees; null: nobody.
  void run(RunObserver* observer, Index runs);

 private:
  void make_tokens(const TokenSpec& spec);
  void make_images(const ImageSpec& spec);

  std::shared_ptr<const models::Package> package_;
  std::shared_ptr<const Model> model_;
  MachineRates rates_;
  Precision precision_ = Precision::f32;
  std::unique_ptr<Session> session_;
  BatchShape shape_;
  // Pseudo-random, the same in every process.
  std::vector<std::int32_t> ids_, offsets_{0};
  std::vector<float> pixels_;
  std::vector<Image> images_;
};

}  // namespace tessera
