// SPDX-License-Identifier: Apache-2.0
#include "tessera/report/svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "tessera/report/style.hpp"

namespace tessera::plots {

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') {
          out += "\xEF\xBF\xBD";
        } else {
          out += c;
        }
    }
  }
  return out;
}

Svg::Svg(double width, double height, std::string label)
    : width_(width), height_(height), label_(std::move(label)) {}

void Svg::close_shape(std::string_view element, std::string_view tip) {
  if (tip.empty()) {
    body_ += "/>\n";
  } else {
    body_ += fmt::format("><title>{}</title></{}>\n", escaped(tip), element);
  }
}

void Svg::rect(double x, double y, double width, double height, std::string_view style,
               std::string_view tip) {
  body_ += fmt::format(R"(<rect x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}" class="{}")",
                       x, y, std::max(0.0, width), std::max(0.0, height), style);
  close_shape("rect", tip);
}

void Svg::circle(Point centre, double radius, std::string_view style, std::string_view tip) {
  body_ += fmt::format(R"(<circle cx="{:.2f}" cy="{:.2f}" r="{:.2f}" class="{}")", centre.x,
                       centre.y, radius, style);
  close_shape("circle", tip);
}

void Svg::line(Point from, Point to, std::string_view style) {
  body_ += fmt::format(R"(<line x1="{:.2f}" y1="{:.2f}" x2="{:.2f}" y2="{:.2f}" class="{}"/>)"
                       "\n",
                       from.x, from.y, to.x, to.y, style);
}

void Svg::polyline(const std::vector<Point>& points, std::string_view style, std::string_view tip) {
  body_ += "<polyline points=\"";
  for (const Point& p : points) body_ += fmt::format("{:.2f},{:.2f} ", p.x, p.y);
  body_ += fmt::format("\" class=\"{}\"", style);
  close_shape("polyline", tip);
}

void Svg::text(Point at, std::string_view text, std::string_view style, Anchor anchor,
               double degrees) {
  const char* const anchors[] = {"start", "middle", "end"};
  body_ += fmt::format(R"(<text x="{:.2f}" y="{:.2f}" class="{}" text-anchor="{}")", at.x, at.y,
                       style, anchors[static_cast<int>(anchor)]);
  if (degrees != 0) {
    body_ += fmt::format(R"x( transform="rotate({:.1f} {:.2f} {:.2f})")x", degrees, at.x, at.y);
  }
  body_ += fmt::format(">{}</text>\n", escaped(text));
}

std::string Svg::head(std::string_view more) const {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" "
      "aria-label=\"{}\"{}>\n",
      width_, height_, escaped(label_), more);
}

std::string Svg::embedded() const {
  return head({}) + body_ + "</svg>\n";
}

std::string Svg::standalone() const {
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}<style>{}</style>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
      head(fmt::format(" width=\"{:.0f}\" height=\"{:.0f}\"", width_, height_)), standalone_style(),
      body_);
}

double Scale::operator()(double value) const noexcept {
  const double share =
      is_log_ ? std::log(value / from_) / std::log(to_ / from_) : (value - from_) / (to_ - from_);
  return begin_ + (end_ - begin_) * share;
}

std::vector<double> Scale::ticks(int count) const {
  std::vector<double> list;
  if (is_log_) {
    const bool is_short = std::log10(to_ / from_) < 2.5;
    for (double decade = std::pow(10, std::floor(std::log10(from_))); decade <= to_ * 1.0001;
         decade *= 10) {
      for (const double step : {1.0, 2.0, 5.0}) {
        const double value = decade * step;
        if (step > 1 && !is_short) continue;
        if (value >= from_ * 0.9999 && value <= to_ * 1.0001) list.push_back(value);
      }
    }
    return list;
  }
  const double raw = (to_ - from_) / std::max(1, count);
  if (!(raw > 0)) return {from_};
  const double decade = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * decade;
  for (const double factor : {5.0, 2.0, 1.0}) {
    if (factor * decade >= raw) step = factor * decade;
  }
  for (double value = std::ceil(from_ / step) * step; value <= to_ + step * 1e-6; value += step) {
    list.push_back(std::abs(value) < step * 1e-6 ? 0 : value);
  }
  return list;
}

void draw_x_axis(Svg& svg, const Scale& x, double top, double bottom, int ticks,
                 std::string_view unit) {
  for (const double value : x.ticks(ticks)) {
    svg.line({x(value), top}, {x(value), bottom}, "grid");
    svg.text({x(value), bottom + 15}, tick_label(value), "tick", Anchor::middle);
  }
  svg.line({x.begin(), bottom}, {x.end(), bottom}, "axis");
  svg.text({x.end(), bottom + 31}, unit, "unit", Anchor::end);
}

void draw_y_axis(Svg& svg, const Scale& y, double left, double right, int ticks,
                 std::string_view unit) {
  for (const double value : y.ticks(ticks)) {
    svg.line({left, y(value)}, {right, y(value)}, "grid");
    svg.text({left - 6, y(value) + 4}, tick_label(value), "tick", Anchor::end);
  }
  svg.line({left, y.begin()}, {left, y.end()}, "axis");
  svg.text({left, y.end() - 9}, unit, "unit");
}

std::string tick_label(double value) {
  const double size = std::abs(value);
  if (size >= 1e9) return fmt::format("{:g}G", value / 1e9);
  if (size >= 1e6) return fmt::format("{:g}M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:g}k", value / 1e3);
  return fmt::format("{:g}", value);
}

std::string bytes_label(double bytes) {
  const auto with = [](double value, const char* unit) {
    return value >= 100  ? fmt::format("{:.0f} {}", value, unit)
           : value >= 10 ? fmt::format("{:.1f} {}", value, unit)
                         : fmt::format("{:.2f} {}", value, unit);
  };
  if (bytes >= 1e9) return with(bytes / 1e9, "GB");
  if (bytes >= 1e6) return with(bytes / 1e6, "MB");
  if (bytes >= 1e3) return with(bytes / 1e3, "KB");
  return fmt::format("{:.0f} B", bytes);
}

std::string seconds_label(double seconds) {
  if (seconds >= 1) return fmt::format("{:.2f} s", seconds);
  if (seconds >= 1e-3) return fmt::format("{:.2f} ms", seconds * 1e3);
  return fmt::format("{:.1f} us", seconds * 1e6);
}

}  // namespace tessera::plots
