// SPDX-License-Identifier: Apache-2.0
// tessera report: the plan of a model beside what meters measured, as one HTML file.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>

#include "runtime/machine.hpp"
#include "runtime/plan/plan.hpp"
#include "tessera/cli/failure.hpp"
#include "tessera/cli/options.hpp"
#include "tessera/cli/output.hpp"
#include "tessera/plots/page.hpp"

namespace tessera::cli {
namespace {

struct ReportCommand {
  ModelFlags model;
  Index rows = 128;
  Index sequences = 0;
  std::string out = "report.html", plots, title;

  void run() const;
};

void write_file(const std::string& path, const std::string& text) {
  OutputFile out(path);
  out.write(text);
  out.finish();
}

void ReportCommand::run() const {
  const std::shared_ptr<const models::Package> package = model.open_package();
  EncoderOptions options = model.encoder_options({main_output(package->program)});
  const Isa isa = resolve_isa(options.isa);
  const MachineRates rates = measured_rates(machine(), isa);
  const auto built = Model::create(package->program, package->checkpoint,
                                   {.isa = isa, .outputs = options.outputs});
  const Index most = std::max<Index>(rows, 1);
  const Index count = sequences > 0 ? sequences : 1;
  const auto session = Session::create(
      built,
      {.max_rows = most, .max_sequences = count, .threads = options.threads, .rates = rates});
  const kernels::Gemm& gemm = kernels::kernels_at(isa).gemm;
  const PlanInput input{.program = session->program(),
                        .machine = machine(),
                        .rates = rates,
                        .isa = isa,
                        .tile = {.MR = gemm.MR, .NR = gemm.NR},
                        .threads = session->options().threads,
                        .max_rows = most,
                        .max_sequences = count};
  plots::ReportData data{
      .model = title.empty() ? package->directory.filename().string() : title,
      .plan = session->report(rows, count),
      .rates = rates,
      .machine = machine(),
      .threads = session->options().threads,
      .program = session->program(),
      .memory = plan_memory(session->program(), rows, count),
      .sweeps = plots::sweep_orders(session->program(), input.plan_machine(),
                                    weights_stay_in_l3(session->program(), machine()), 4096),
      .weight_bytes = built->packed_bytes() + built->mapped_bytes(),
      .arena_bytes = session->memory_bytes()};
  const std::vector<plots::Plot> all = plots::draw_all(data);
  write_file(out, plots::report_page(data, all));
  if (!plots.empty()) {
    std::filesystem::create_directories(plots);
    for (const plots::Plot& plot : all) {
      write_file((std::filesystem::path(plots) / (plot.file + ".svg")).string(),
                 plot.svg.standalone());
    }
  }
}

}  // namespace

void add_report(CLI::App& root) {
  auto* command = root.add_subcommand(
      "report", "One HTML page: what the plan predicts, beside what was measured");
  auto flags = std::make_shared<ReportCommand>();
  flags->model.add_to(*command);
  command->add_option("--rows", flags->rows, "Token rows of the batch (default: 128)")
      ->check(integer_between(1, std::int64_t{1} << 20))
      ->type_name("N");
  command->add_option("-o,--output", flags->out, "The page (default: report.html)")
      ->type_name("FILE");
  command->add_option("--plots", flags->plots, "Also write every plot as an SVG file into DIR")
      ->type_name("DIR");
  command->add_option("--title", flags->title, "Heading (default: the name of the directory)")
      ->type_name("TEXT");
  command->callback([flags] { flags->run(); });
}

}  // namespace tessera::cli
