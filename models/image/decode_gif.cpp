// SPDX-License-Identifier: Apache-2.0
//
// GIF through giflib, which finds the frame and its blocks; codes and what an index means are decided
// here, as Pillow does for the first frame:
//
//   canvas   the logical screen, grown to hold the frame; filled with the transparent index, or 0
//   colours  the frame's table, else the global one; an index beyond it is that grey
//   A transparent pixel has the colour of its index: convert("RGB") drops transparency.
#include <fmt/format.h>
#include <gif_lib.h>

#include <array>
#include <cstring>
#include <memory>

#include "models/image/codecs.hpp"

namespace tessera::image {
namespace {

constexpr std::string_view kFormat = "GIF";
constexpr int kGraphicsControl = 0xF9;

struct Source {
  Bytes rest;
  bool is_truncated = false;
};

int read_bytes(GifFileType* gif, GifByteType* to, int count) {
  Source& source = *static_cast<Source*>(gif->UserData);
  const std::size_t wanted = static_cast<std::size_t>(std::max(count, 0));
  const std::size_t got = std::min(wanted, source.rest.size());
  source.is_truncated = source.is_truncated || got < wanted;
  if (got > 0) std::memcpy(to, source.rest.data(), got);
  source.rest = source.rest.subspan(got);
  return static_cast<int>(got);
}

struct Close {
  void operator()(GifFileType* gif) const { DGifCloseFile(gif, nullptr); }
};

struct Reader {
  const std::string& name;
  std::size_t size;
  Source source;
  std::unique_ptr<GifFileType, Close> gif;

  [[noreturn]] void fail(int error) const {
    if (source.is_truncated) fail_truncated(name, kFormat, size);
    if (error == D_GIF_ERR_NOT_ENOUGH_MEM) fail_memory(name, kFormat);
    const char* text = GifErrorString(error);
    fail_corrupt(
        name, kFormat,
        fmt::format("{}, expected a valid file", text != nullptr ? text : "unknown error"));
  }
  void check(int status) const {
    if (status != GIF_OK) fail(gif->Error);
  }
};

// Variable-width LZW: codes below `clear` are indices, `clear` and `clear + 1` begin anew and end,
// each code beyond is the text of an earlier code and one index more. giflib's own decoder takes
// codes that the table has not for something; here, as in Pillow, they are an error.
class Lzw {
 public:
  explicit Lzw(const Reader& reader) : reader_(reader) {
    reader_.check(DGifGetCode(reader_.gif.get(), &bits_, &block_));
    if (block_ != nullptr) left_ = *block_++;
    clear_ = 1 << bits_;
    reset();
  }

  GifByteType next() {
    while (count_ == 0) read_text();
    return text_[static_cast<std::size_t>(--count_)];
  }

 private:
  static constexpr int kMostBits = 12, kMostCodes = 1 << kMostBits;

  [[noreturn]] void fail(const char* what) const {
    fail_corrupt(reader_.name, kFormat, fmt::format("got {}, expected valid codes", what));
  }

  void reset() {
    width_ = bits_ + 1;
    next_code_ = clear_ + 2;
    last_ = -1;
  }

  int read_code() {
    while (held_ < width_) {
      if (left_ == 0) {
        if (block_ != nullptr) reader_.check(DGifGetCodeNext(reader_.gif.get(), &block_));
        if (block_ == nullptr) fail("the end of the data before that of the image");
        left_ = *block_++;
      }
      buffer_ |= std::uint32_t{*block_++} << held_;
      --left_;
      held_ += 8;
    }
    const auto code = static_cast<int>(buffer_ & ((1U << width_) - 1));
    buffer_ >>= width_;
    held_ -= width_;
    return code;
  }

  // The indices of a code into text_, the last one first.
  void read_text() {
    int code = read_code();
    if (code == clear_) return reset();
    if (code == clear_ + 1) fail("an end before that of the image");
    const int whole = code;
    if (code > next_code_ || (last_ < 0 && code > clear_)) fail("a code that is not in the table");
    if (last_ >= 0 && code == next_code_) {  // the last text and its own first index
      push(first_);
      code = last_;
    }
    for (; code > clear_; code = before_[static_cast<std::size_t>(code)]) {
      push(index_[static_cast<std::size_t>(code)]);
    }
    first_ = static_cast<GifByteType>(code);
    push(first_);
    if (last_ >= 0 && next_code_ < kMostCodes) {
      index_[static_cast<std::size_t>(next_code_)] = first_;
      before_[static_cast<std::size_t>(next_code_)] = static_cast<std::uint16_t>(last_);
      if (next_code_ == (1 << width_) - 1 && width_ < kMostBits) ++width_;
      ++next_code_;
    }
    last_ = whole;
  }

  void push(GifByteType index) { text_[static_cast<std::size_t>(count_++)] = index; }

  const Reader& reader_;
  GifByteType* block_ = nullptr;  // what is left of it
  int left_ = 0;
  int bits_ = 0, clear_ = 0, width_ = 0, next_code_ = 0, last_ = -1;
  GifByteType first_ = 0;  // of the last text
  std::uint32_t buffer_ = 0;
  int held_ = 0;  // bits of buffer_
  std::array<std::uint16_t, kMostCodes> before_{};
  std::array<GifByteType, kMostCodes> index_{};
  std::array<GifByteType, kMostCodes + 2> text_{};  // no text is longer than the table
  int count_ = 0;
};

using Palette = std::array<GifColorType, 256>;

bool is_grey_ramp(const ColorMapObject& map) {
  for (int i = 0; i < map.ColorCount; ++i) {
    const GifColorType& color = map.Colors[i];
    if (color.Red != i || color.Green != i || color.Blue != i) return false;
  }
  return true;
}

// A frame's own table that is i → (i, i, i) counts as none in Pillow, where the global one is not.
Palette palette_of(const GifFileType& gif) {
  const ColorMapObject *own = gif.Image.ColorMap, *global = gif.SColorMap;
  const bool takes_own = own != nullptr && (global == nullptr || !is_grey_ramp(*own));
  Palette palette;
  for (int i = 0; i < 256; ++i) {
    const auto grey = static_cast<GifByteType>(i);
    palette[static_cast<std::size_t>(i)] = {grey, grey, grey};
  }
  const ColorMapObject* map = takes_own ? own : global;
  if (map != nullptr)
    std::copy_n(map->Colors, std::clamp(map->ColorCount, 0, 256), palette.begin());
  return palette;
}

// Reads up to the first frame; returns its transparent index, or 0.
GifByteType find_frame(Reader& reader) {
  GifFileType* const gif = reader.gif.get();
  GifByteType background = 0;
  for (;;) {
    GifRecordType record = UNDEFINED_RECORD_TYPE;
    if (DGifGetRecordType(gif, &record) != GIF_OK) {
      if (gif->Error == D_GIF_ERR_WRONG_RECORD) continue;  // a stray byte, which Pillow skips too
      reader.fail(gif->Error);
    }
    if (record == IMAGE_DESC_RECORD_TYPE) break;
    if (record == TERMINATE_RECORD_TYPE) {
      fail_corrupt(reader.name, kFormat, "got no image before the end, expected at least one");
    }
    int code = 0;
    GifByteType* block = nullptr;  // its length, its bytes
    reader.check(DGifGetExtension(gif, &code, &block));
    if (code == kGraphicsControl && block != nullptr && block[0] >= 4 && (block[1] & 1) != 0) {
      background = block[4];
    }
    while (block != nullptr) reader.check(DGifGetExtensionNext(gif, &block));
  }
  reader.check(DGifGetImageDesc(gif));
  return background;
}

}  // namespace

int decode_gif(Bytes bytes, const std::string& name, const DecodeLimits& limits, RgbImage& image) {
  Reader reader{name, bytes.size(), {bytes}, nullptr};
  int error = D_GIF_ERR_OPEN_FAILED;
  reader.gif.reset(DGifOpen(&reader.source, read_bytes, &error));
  if (reader.gif == nullptr) reader.fail(error);
  const GifByteType background = find_frame(reader);
  const GifFileType& gif = *reader.gif;
  const Index x0 = gif.Image.Left, y0 = gif.Image.Top, w = gif.Image.Width, h = gif.Image.Height;
  if (w < 1 || h < 1) {
    fail_corrupt(name, kFormat,
                 fmt::format("got a frame of {} x {} pixels, expected at least 1 x 1", w, h));
  }
  const Index width = std::max<Index>(gif.SWidth, x0 + w),
              height = std::max<Index>(gif.SHeight, y0 + h);
  check_extents(width, height, name, limits);
  image.resize(width, height);
  const Palette palette = palette_of(gif);
  const auto put = [&palette](GifByteType index, std::uint8_t* rgb) {
    const GifColorType& color = palette[index];
    rgb[0] = color.Red, rgb[1] = color.Green, rgb[2] = color.Blue;
  };
  if (w < width || h < height) {
    std::uint8_t* const end = image.pixels.data() + image.pixels.size();
    for (std::uint8_t* rgb = image.pixels.data(); rgb != end; rgb += kChannels) {
      put(background, rgb);
    }
  }
  Lzw codes(reader);
  const auto read_rows = [&](Index first, Index step) {
    for (Index y = first; y < h; y += step) {
      std::uint8_t* const out = image.row(y0 + y) + x0 * kChannels;
      for (Index x = 0; x < w; ++x) put(codes.next(), out + x * kChannels);
    }
  };
  if (gif.Image.Interlace) {
    read_rows(0, 8), read_rows(4, 8), read_rows(2, 4), read_rows(1, 2);
  } else {
    read_rows(0, 1);
  }
  return 1;
}

}  // namespace tessera::image
