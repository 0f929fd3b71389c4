// SPDX-License-Identifier: Apache-2.0
//
// Writes one SVG picture: shapes with a style class each, and the axes that the plots share.
//
// Colours come from classes, never from attributes: a page that embeds the picture gives it the
// colours of its theme, and a picture that stands alone carries the light ones (style.hpp).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tessera::plots {

/// `text` for XML and HTML: & < > " ' as entities; control characters become U+FFFD.
std::string escaped(std::string_view text);

struct Point {
  double x, y;
};

enum class Anchor { start, middle, end };

class Svg {
 public:
  /// `label` is what a screen reader says instead of the picture.
  Svg(double width, double height, std::string label);

  /// `tip` is shown when a pointer rests on the shape, or a finger touches it; empty: none.
  void rect(double x, double y, double width, double height, std::string_view style,
            std::string_view tip = {});
  void circle(Point centre, double radius, std::string_view style, std::string_view tip = {});
  void line(Point from, Point to, std::string_view style);
  void polyline(const std::vector<Point>& points, std::string_view style,
                std::string_view tip = {});
  void text(Point at, std::string_view text, std::string_view style, Anchor anchor = Anchor::start,
            double degrees = 0);

  double width() const noexcept { return width_; }
  double height() const noexcept { return height_; }
  /// <svg …>…</svg> for use within a page.
  std::string embedded() const;
  /// A file of its own.
  std::string standalone() const;

 private:
  void close_shape(std::string_view element, std::string_view tip);
  std::string head(std::string_view more) const;

  double width_, height_;
  std::string label_, body_;
};

/// Maps values to a coordinate, linearly or by their logarithm.
class Scale {
 public:
  static Scale linear(double from, double to, double begin, double end) {
    return Scale(from, to, begin, end, false);
  }
  /// 0 < from < to
  static Scale log(double from, double to, double begin, double end) {
    return Scale(from, to, begin, end, true);
  }
  double operator()(double value) const noexcept;
  double from() const noexcept { return from_; }
  double to() const noexcept { return to_; }
  double begin() const noexcept { return begin_; }
  double end() const noexcept { return end_; }
  /// Round values within [from, to]: 1, 2, 5 times powers of ten, about `count` of them; decades
  /// on a log scale.
  std::vector<double> ticks(int count) const;

 private:
  Scale(double from, double to, double begin, double end, bool is_log)
      : from_(from), to_(to), begin_(begin), end_(end), is_log_(is_log) {}
  double from_, to_, begin_, end_;
  bool is_log_;
};

/// Grid lines and numbers below and to the left of a plot; `unit` stands at the end of the axis.
void draw_x_axis(Svg& svg, const Scale& x, double top, double bottom, int ticks,
                 std::string_view unit);
void draw_y_axis(Svg& svg, const Scale& y, double left, double right, int ticks,
                 std::string_view unit);

/// "0.5", "20", "1k", "2M": short numbers for axes.
std::string tick_label(double value);
/// "1.84 MB", "340 MB", "12 KB": powers of ten.
std::string bytes_label(double bytes);
/// "12.3 us", "4.56 ms"
std::string seconds_label(double seconds);

}  // namespace tessera::plots
