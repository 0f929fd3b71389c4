// SPDX-License-Identifier: Apache-2.0
//
// Hues are told apart by people who see no red or no green (after Okabe & Ito 2008), and the
// parts of a stack differ in lightness too, so that a print in grey can be read.
#include "tessera/report/style.hpp"

#include <array>
#include <string_view>

namespace tessera::plots {
namespace {

struct Colour {
  std::string_view name, light, dark;
};

constexpr std::array kColours{
    Colour{"ink", "#1b1f24", "#e6e8eb"},       Colour{"soft", "#5b6470", "#a3abb5"},
    Colour{"grid", "#e3e6ea", "#2c3138"},      Colour{"paper", "#ffffff", "#15181c"},
    Colour{"panel", "#f6f7f9", "#1d2126"},     Colour{"qkv", "#1f5fa8", "#5b9be6"},
    Colour{"attention", "#e08a1e", "#f0a94a"}, Colour{"projection", "#1b8f83", "#4cc2b4"},
    Colour{"up", "#6c4fa3", "#a78be0"},        Colour{"down", "#c05a86", "#e28bb2"},
    Colour{"other", "#8b929c", "#8b929c"},     Colour{"accent", "#b3261e", "#ff8a80"},
};

/// The classes, with var(--name) for a colour.
constexpr std::string_view kClasses = R"(
text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--ink)}
.tick{font-size:11px;fill:var(--soft)}
.unit{font-size:11px;fill:var(--soft);font-style:italic}
.name{font-size:12px}
.small{font-size:10.5px;fill:var(--soft)}
.strong{font-size:13px;font-weight:600}
.grid{stroke:var(--grid);stroke-width:1}
.axis{stroke:var(--soft);stroke-width:1}
.roof{stroke:var(--ink);stroke-width:2;fill:none}
.roof2{stroke:var(--soft);stroke-width:1.5;fill:none;stroke-dasharray:6 4}
.link{stroke:var(--soft);stroke-width:1}
.mark{stroke:var(--accent);stroke-width:1.5;stroke-dasharray:3 3}
.qkv{fill:var(--qkv)}.attention{fill:var(--attention)}.projection{fill:var(--projection)}
.up{fill:var(--up)}.down{fill:var(--down)}.other{fill:var(--other)}
.hollow{fill:var(--paper);stroke-width:1.6}
.hollow.qkv{stroke:var(--qkv)}.hollow.attention{stroke:var(--attention)}
.hollow.projection{stroke:var(--projection)}.hollow.up{stroke:var(--up)}
.hollow.down{stroke:var(--down)}.hollow.other{stroke:var(--other)}
.predicted{opacity:.45}
.edge{stroke:var(--paper);stroke-width:.6}
.path{fill:none;stroke-width:1.6}
.path.qkv{stroke:var(--qkv)}.path.attention{stroke:var(--attention)}
.path.projection{stroke:var(--projection)}.path.up{stroke:var(--up)}.path.down{stroke:var(--down)}
.chosen{fill:none;stroke:var(--ink);stroke-width:6;opacity:.22;stroke-linecap:round;stroke-linejoin:round}
)";

std::string properties(bool is_dark) {
  std::string text;
  for (const Colour& c : kColours) {
    text += "--" + std::string(c.name) + ":" + std::string(is_dark ? c.dark : c.light) + ";";
  }
  return text;
}

}  // namespace

std::string page_style() {
  return ":root{color-scheme:light dark;" + properties(false) +
         "}\n@media (prefers-color-scheme:dark){:root{" + properties(true) +
         "}}\n@media print{:root{" + properties(false) + "}}\n" + std::string(kClasses);
}

std::string standalone_style() {
  std::string text(kClasses);
  for (const Colour& c : kColours) {
    const std::string variable = "var(--" + std::string(c.name) + ")";
    for (std::size_t at = 0; (at = text.find(variable, at)) != std::string::npos;) {
      text.replace(at, variable.size(), c.light);
    }
  }
  return text;
}

}  // namespace tessera::plots
