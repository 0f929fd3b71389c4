// SPDX-License-Identifier: Apache-2.0
// tessera report: the plan of a model beside what meters measured, as one HTML file.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "runtime/base/error.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/plan/plan.hpp"
#include "runtime/session/session.hpp"
#include "tessera/cli/advice.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/output_checks.hpp"
#include "tessera/cli/role_flag.hpp"
#include "tessera/measure/run_meters.hpp"
#include "tessera/pipeline/output_file.hpp"
#include "tessera/report/page.hpp"

namespace tessera::cli {
namespace {

constexpr Index kSweepRows = 4096;

struct ReportCommand {
  ModelFlags model;
  RoleFlag role;
  BatchFlags batch;
  Index runs = 10;
  bool is_timed = true;
  std::string bytes = "replay", out = "report.html", plots, title;

  void add_to(CLI::App& command);
  void run(const CLI::App& command) const;

 private:
  using PackagePointer = std::shared_ptr<const models::Package>;
  std::optional<meters::Measurement> measure(const std::string& meter,
                                             const PackagePointer& package, MeteredModel& metered,
                                             std::vector<std::string>& notes) const;
};

/// Makes the directory that `--plots` names.
void make_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) return;
  throw Error(ErrorCode::io_error,
              fmt::format("--plots: cannot make the directory {}: {}", path, error.message()));
}

/// A meter that cannot run leaves a note, and the rest of the report stands.
std::optional<meters::Measurement> ReportCommand::measure(const std::string& meter,
                                                          const PackagePointer& package,
                                                          MeteredModel& metered,
                                                          std::vector<std::string>& notes) const {
  try {
    if (meter == "replay") {
      if (metered.session().options().threads != 1) {
        notes.emplace_back("meter replay: simulates one thread; --threads 1 has bytes measured");
        return std::nullopt;
      }
      MeteredModel replayed(package, model.encoder_options({}), batch.shape(package->program),
                            {.threads = 1, .replayed = metered.model().isa()});
      return measure_with_replay(replayed);
    }
    return measure_here(meter, "", metered, runs);
  } catch (const Error& e) {
    notes.emplace_back(e.what());
    return std::nullopt;
  }
}

void ReportCommand::run(const CLI::App& command) const {
  if (!is_timed && bytes != "hardware") {
    require_none(command, {"--runs"}, "got --no-time, expected what is run, or --bytes hardware");
  }
  require_distinct({{"-o", out}}, model.with_plan({}), model.model);
  OutputFile page(out);  // first: what cannot be written is said before anything is measured
  if (!plots.empty()) make_directory(plots);
  const PackagePointer package = role.open_route(model);
  const std::vector<std::string> outputs{main_output(package->program)};
  model.require_sparse_for_top_k(*package, outputs);
  EncoderOptions asked = model.encoder_options(outputs);
  MeteredModel metered(package, asked, batch.shape(package->program));
  asked.session.rates = metered.rates();
  advised(model, *package, std::move(asked));
  const Session& session = metered.session();
  const SessionOptions& options = session.options();
  const Program& program = session.program();
  const PlanInput input{.program = program,
                        .machine = machine(),
                        .rates = metered.rates(),
                        .isa = metered.model().isa(),
                        .tile = tile_shapes(kernels::kernels_at(metered.model().isa())),
                        .threads = options.threads,
                        .max_rows = options.max_rows,
                        .max_sequences = options.max_sequences};
  const PlanReport report = metered.report();
  plots::ReportData data{
      .model = !title.empty()        ? title
               : model.tower.empty() ? metered.name()
                                     : fmt::format("{}, {} tower", metered.name(), model.tower),
      .plan = report,
      .rates = metered.rates(),
      .machine = machine(),
      .threads = options.threads,
      .program = program,
      .memory = plan_memory(program, metered.rows(), metered.sequences(), session.plan().ops,
                            report.holds_columns),
      .sweeps = plots::sweep_orders(program, input.plan_machine(), session.plan(), kSweepRows),
      .weight_bytes = metered.model().packed_bytes() + metered.model().mapped_bytes(),
      .arena_bytes = session.memory_bytes()};
  if (is_timed) data.time = measure("time", package, metered, data.notes);
  if (bytes != "none") data.bytes = measure(bytes, package, metered, data.notes);
  const std::vector<plots::Plot> all = plots::draw_all(data);
  for (const plots::Plot& plot : all) {
    if (plots.empty()) break;
    OutputFile file((std::filesystem::path(plots) / (plot.file + ".svg")).string());
    file.write(plot.svg.standalone());
    file.finish();
  }
  page.write(plots::report_page(data, all));
  page.finish();
}

void ReportCommand::add_to(CLI::App& command) {
  model.add_to(command);
  model.add_tower_to(command);
  role.add_route_to(command);
  model.add_embedding_to(command);
  model.add_top_k_to(command);
  batch.add_to(command);
  add_choice(command, "--bytes", bytes, "METER", {"replay", "hardware", "none"},
             "The meter that counts bytes: replay (default), hardware or none");
  command.add_flag("--time,!--no-time", is_timed, "Measure the time of every op (default)");
  add_count(command, "--runs", runs, "Runs that are timed (default: 10)", 100000);
  add_option(command, "-o,--output", out, "FILE", "The page (default: report.html)");
  add_option(command, "--plots", plots, "DIR", "Also write every plot as an SVG file into DIR");
  add_option(command, "--title", title, "TEXT", "Heading (default: the name of the directory)");
}

}  // namespace

void add_report(CLI::App& root) {
  add_command<ReportCommand>(root, "report",
                             "One HTML page: what the plan predicts, beside what was measured");
}

}  // namespace tessera::cli
