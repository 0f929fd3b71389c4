// SPDX-License-Identifier: Apache-2.0
#include "tessera/report/page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "tessera/report/style.hpp"

namespace tessera::plots {
namespace {

constexpr std::string_view kPageStyle = R"(
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:820px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:19px;margin:40px 0 6px}
p{margin:6px 0}.lead{color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(168px,1fr));gap:10px;margin:18px 0}
.tile{background:var(--panel);border-radius:8px;padding:10px 14px}
.tile b{display:block;font-size:21px;font-variant-numeric:tabular-nums}
.tile span{font-size:13px;color:var(--soft)}
figure{margin:10px 0}figcaption{font-size:14px;color:var(--soft);margin-top:4px}
figure svg{display:block;width:100%;height:auto}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:13px;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:4px 7px;border-bottom:1px solid var(--grid);vertical-align:top;white-space:nowrap}
th{color:var(--soft);font-weight:600}th:first-child,td:first-child{text-align:left}
.key{display:inline-block;width:9px;height:9px;border-radius:2px;margin-right:6px}
th:nth-child(2),td:nth-child(2){text-align:left;white-space:normal;min-width:190px}
td details{max-width:390px;color:var(--soft)}td summary{cursor:pointer;color:var(--ink)}
td details ul{margin:4px 0 4px 16px;padding:0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;font-size:14px}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.notes li{margin:2px 0}
#tip{position:absolute;max-width:320px;background:var(--ink);color:var(--paper);font-size:13px;line-height:1.4;padding:6px 10px;border-radius:6px;white-space:pre-line;pointer-events:none;z-index:2}
svg [data-tip]:hover{filter:brightness(1.15)}
@media (max-width:560px){main{padding:18px 12px 40px}h1{font-size:22px}.scroll svg{min-width:600px}}
@media print{main{max-width:none;padding:0}figure,.tile,tr{break-inside:avoid}h2{break-after:avoid}figure svg{max-height:225mm}#tip{display:none}.scroll{overflow:visible}}
)";

constexpr std::string_view kScript = R"(
(() => {
  const tip = document.getElementById('tip');
  for (const title of document.querySelectorAll('svg title')) {
    title.parentNode.dataset.tip = title.textContent;
    title.remove();
  }
  const show = (event) => {
    const shape = event.target.closest && event.target.closest('[data-tip]');
    tip.hidden = !shape;
    if (!shape) return;
    tip.textContent = shape.dataset.tip;
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = Math.max(4, Math.min(event.pageX + 12, room)) + 'px';
    tip.style.top = event.pageY + 16 + 'px';
  };
  addEventListener('pointermove', show);
  addEventListener('pointerdown', show);
})();
)";

std::string tile(const std::string& value, const std::string& label) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>\n", escaped(value),
                     escaped(label));
}

double measured_sum(const ReportData& data,
                    std::optional<meters::EdgeBytes> meters::OpMeasurement::*edge) {
  double sum = 0;
  if (data.bytes) {
    for (const meters::OpMeasurement& op : data.bytes->ops) {
      if (op.*edge) sum += (op.*edge)->total();
    }
  }
  return sum;
}

double measured_seconds(const ReportData& data) {
  double sum = 0;
  if (data.time) {
    for (const meters::OpMeasurement& op : data.time->ops) sum += op.seconds.value_or(0);
  }
  return sum;
}

std::string tiles(const ReportData& data) {
  const CandidateReport sum = data.plan.totals();
  double flops = 0, bound = 0, peak_seconds = 0;
  for (const OpReport& op : data.plan.ops) {
    flops += op.flops;
    bound += op.bound_bytes;
    peak_seconds += op.flops / (data.rates.flops_of(op.precision) * data.threads);
  }
  const double seconds = measured_seconds(data);
  const double l2 = measured_sum(data, &meters::OpMeasurement::l2);
  std::string text = "<div class=\"tiles\">\n";
  const double predicted = l2_bytes_of(data.plan);
  text += tile(bytes_label(predicted), "predicted into L2");
  if (l2 > 0) {
    text += tile(bytes_label(l2), fmt::format("measured into L2 ({}); model {:+.1f} %",
                                              data.bytes->meter, 100 * (predicted / l2 - 1)));
  }
  if (bound > 0) {
    text += tile(fmt::format("{:.2f} x", sum.l2_bytes / bound),
                 "the least that any order moves, each op alone");
  }
  if (seconds > 0) {
    text += tile(seconds_label(seconds),
                 fmt::format("measured; {} predicted", seconds_label(sum.seconds)));
    text += tile(fmt::format("{:.0f} %", 100 * peak_seconds / seconds),
                 fmt::format("of what {} thread{} can multiply: {:.0f} GFLOP/s", data.threads,
                             data.threads == 1 ? "" : "s", flops / seconds / 1e9));
  } else {
    text += tile(seconds_label(sum.seconds), "predicted");
  }
  text += tile(bytes_label(static_cast<double>(data.weight_bytes)), "weights, shared by sessions");
  text += tile(bytes_label(static_cast<double>(data.arena_bytes)),
               fmt::format("arena of one session for {} rows", data.plan.identity.max_rows));
  return text + "</div>\n";
}

std::string reasons(const OpReport& op) {
  std::string text = fmt::format("<details><summary>{} {}</summary>{}", escaped(op.chosen.name),
                                 escaped(op.chosen.blocks),
                                 op.epilogue.empty() ? "" : "with " + escaped(op.epilogue) + "; ");
  text += op.chosen.limit.empty() ? "" : "limited by " + escaped(op.chosen.limit) + ". ";
  text += escaped(op.chosen.why);
  if (op.naive_bytes > 0) {
    text += fmt::format(
        "Into L2: {:.1f} % less than naive; {:.2f} x plain IS, {:.2f} x plain WS, {:.2f} x plain "
        "OS. ",
        100 * (1 - op.chosen.l2_bytes / op.naive_bytes), op.chosen.l2_bytes / op.is_bytes,
        op.chosen.l2_bytes / op.ws_bytes, op.chosen.l2_bytes / op.os_bytes);
  }
  if (!op.rejected.empty()) {
    text += "Not chosen:<ul>";
    for (const CandidateReport& c : op.rejected) {
      text += fmt::format("<li>{} {}: {}{}</li>", escaped(c.name), escaped(c.blocks),
                          c.l2_bytes > 0 ? bytes_label(c.l2_bytes) + ", " : "", escaped(c.why));
    }
    text += "</ul>";
  }
  return text + "</details>";
}

std::string op_row(const ReportData& data, std::size_t i, const Place& place) {
  const OpReport& op = data.plan.ops[i];
  const meters::OpMeasurement* bytes = measured_op(data.bytes, i);
  const meters::OpMeasurement* time = measured_op(data.time, i);
  const double l2 = bytes != nullptr && bytes->l2 ? bytes->l2->total() : 0;
  const double seconds = time != nullptr && time->seconds ? *time->seconds : 0;
  const auto cell = [](const std::string& text) { return "<td>" + text + "</td>"; };
  const bool has_work = op.chosen.name == "row by row" || op.rejected.empty();
  return fmt::format(
             "<tr><td><svg class=\"key\" viewBox=\"0 0 9 9\" aria-hidden=\"true\"><rect "
             "width=\"9\" height=\"9\" class=\"{}\"/></svg>{} {}<br><small>{}</small></td>",
             class_of(place.part), escaped(op.kind), escaped(op.name), escaped(op.shape)) +
         cell(has_work ? escaped(op.chosen.name) : reasons(op)) +
         cell(bytes_label(l2_bytes_of(op))) + cell(l2 > 0 ? bytes_label(l2) : "") +
         cell(l2 > 0 ? fmt::format("{:+.1f} %", 100 * (l2_bytes_of(op) / l2 - 1)) : "") +
         cell(op.bound_bytes > 0 ? fmt::format("{:.2f}", op.chosen.l2_bytes / op.bound_bytes)
                                 : "") +
         cell(seconds_label(op.chosen.seconds)) + cell(seconds > 0 ? seconds_label(seconds) : "") +
         cell(seconds > 0 && op.flops > 0
                  ? fmt::format("{:.0f} %", 100 * op.flops / seconds /
                                                (data.rates.flops_of(op.precision) * data.threads))
                  : "") +
         "</tr>\n";
}

std::string op_table(const ReportData& data) {
  const std::vector<Place> places = places_of(data.program);
  std::string text =
      "<h2>Every op, and why</h2>\n<p class=\"lead\">Open a choice to see what it was chosen "
      "over.</p>\n<div class=\"scroll\"><table><thead><tr><th>op</th><th>choice</th><th>into L2, "
      "predicted</th><th>measured</th><th>error</th><th>x bound, alone</th><th>time, predicted</th>"
      "<th>measured</th><th>of peak</th></tr></thead><tbody>\n";
  for (std::size_t i = 0; i < data.plan.ops.size(); ++i) text += op_row(data, i, places[i]);
  return text + "</tbody></table></div>\n";
}

std::string facts(const ReportData& data) {
  std::string text = "<h2>What this was made with</h2>\n<dl>\n";
  const auto fact = [&](const char* name, const std::string& value) {
    text += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, escaped(value));
  };
  fact("machine", describe(data.machine));
  fact("rates", data.plan.rates);
  fact("instruction set", data.plan.identity.isa);
  fact("library", data.plan.identity.version);
  if (data.bytes) fact("bytes measured by", data.bytes->meter + ": " + data.bytes->source);
  if (data.time) fact("time measured by", data.time->meter + ": " + data.time->source);
  text += "</dl>\n";
  std::vector<std::string> notes = data.notes;
  for (const auto* measurement : {&data.bytes, &data.time}) {
    if (*measurement) {
      notes.insert(notes.end(), (*measurement)->notes.begin(), (*measurement)->notes.end());
    }
  }
  notes.insert(notes.end(), data.plan.fallbacks.begin(), data.plan.fallbacks.end());
  if (notes.empty()) return text;
  text += "<h2>What is missing, and what to know</h2>\n<ul class=\"notes\">\n";
  for (const std::string& note : notes) text += "<li>" + escaped(note) + "</li>\n";
  return text + "</ul>\n";
}

}  // namespace

std::string report_page(const ReportData& data, const std::vector<Plot>& plots) {
  std::string page = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>{} - Tessera report</title>\n"
      "<style>{}{}</style>\n</head>\n<body>\n<main>\n<h1>{}</h1>\n"
      "<p class=\"lead\">{} rows in {} sequence{}, {} thread{}, {}. What the plan predicts, beside "
      "what was measured.</p>\n",
      escaped(data.model), page_style(), kPageStyle, escaped(data.model), data.plan.rows,
      data.plan.sequences, data.plan.sequences == 1 ? "" : "s", data.threads,
      data.threads == 1 ? "" : "s", escaped(data.plan.identity.isa));
  page += tiles(data);
  for (const Plot& plot : plots) {
    page += fmt::format(
        "<h2>{}</h2>\n<figure id=\"{}\"><div class=\"scroll\">{}</div>\n"
        "<figcaption>{}</figcaption></figure>\n",
        escaped(plot.title), plot.file, plot.svg.embedded(), escaped(plot.caption));
  }
  page += op_table(data) + facts(data);
  page += fmt::format(
      "</main>\n<div id=\"tip\" hidden></div>\n<script>{}</script>\n</body>\n</html>\n", kScript);
  return page;
}

}  // namespace tessera::plots
