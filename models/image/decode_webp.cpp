// SPDX-License-Identifier: Apache-2.0
//
// WebP through libwebp: its demuxer finds the first frame and EXIF, its decoder writes RGB with the
// default (fancy) upsampling. The reference draws the first frame of an animation on a canvas of
// zeros, whatever the background colour says, and drops alpha; so what is transparent keeps the
// colour under it.
#include <fmt/format.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

#include "models/image/codecs.hpp"
#include "models/image/orientation.hpp"

namespace tessera::image {
namespace {

constexpr std::string_view kFormat = "WebP";

struct Release {
  void operator()(WebPDemuxer* demuxer) const { WebPDemuxDelete(demuxer); }
};

struct Frame {
  WebPIterator at{};
  ~Frame() { WebPDemuxReleaseIterator(&at); }
};

struct Chunk {
  WebPChunkIterator at{};
  ~Chunk() { WebPDemuxReleaseChunkIterator(&at); }
};

int orientation_of(const WebPDemuxer* demuxer) {
  Chunk exif;
  if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &exif.at) == 0) return 1;
  return exif_orientation({exif.at.chunk.bytes, exif.at.chunk.size}).value_or(1);
}

}  // namespace

int decode_webp(Bytes bytes, const std::string& name, const DecodeLimits& limits, RgbImage& image) {
  const WebPData data{bytes.data(), bytes.size()};
  WebPDemuxState state = WEBP_DEMUX_PARSE_ERROR;
  const std::unique_ptr<WebPDemuxer, Release> demuxer(WebPDemuxPartial(&data, &state));
  if (state == WEBP_DEMUX_PARSING_HEADER || state == WEBP_DEMUX_PARSED_HEADER) {
    fail_truncated(name, kFormat, bytes.size());
  }
  Frame frame;
  if (demuxer == nullptr || state != WEBP_DEMUX_DONE ||
      WebPDemuxGetFrame(demuxer.get(), 1, &frame.at) == 0) {
    fail_corrupt(name, kFormat, "got chunks that contradict each other, expected a valid file");
  }
  const Index width = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_WIDTH),
              height = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_HEIGHT);
  check_extents(width, height, name, limits);
  const WebPIterator& part = frame.at;
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) fail_memory(name, kFormat);
  if (WebPGetFeatures(part.fragment.bytes, part.fragment.size, &config.input) != VP8_STATUS_OK ||
      config.input.width != part.width || config.input.height != part.height || part.width < 1 ||
      part.height < 1 || part.x_offset < 0 || part.y_offset < 0 ||
      part.x_offset + part.width > width || part.y_offset + part.height > height) {
    fail_corrupt(name, kFormat,
                 fmt::format("got a frame of {} x {} pixels at ({}, {}) on {} x {}, expected one "
                             "within its canvas",
                             part.width, part.height, part.x_offset, part.y_offset, width, height));
  }
  image.resize(width, height);
  if (part.width < width || part.height < height) {
    std::fill(image.pixels.begin(), image.pixels.end(), std::uint8_t{0});
  }
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = image.row(part.y_offset) + part.x_offset * kChannels;
  config.output.u.RGBA.stride = static_cast<int>(width * kChannels);
  config.output.u.RGBA.size =
      static_cast<std::size_t>((part.height - 1) * width * kChannels + part.width * kChannels);
  const VP8StatusCode status = WebPDecode(part.fragment.bytes, part.fragment.size, &config);
  WebPFreeDecBuffer(&config.output);
  if (status == VP8_STATUS_OUT_OF_MEMORY) fail_memory(name, kFormat);
  if (status == VP8_STATUS_SUSPENDED || status == VP8_STATUS_NOT_ENOUGH_DATA) {
    fail_truncated(name, kFormat, bytes.size());
  }
  if (status != VP8_STATUS_OK) {
    fail_corrupt(name, kFormat,
                 fmt::format("got status {} from libwebp, expected a valid bit stream",
                             static_cast<int>(status)));
  }
  return orientation_of(demuxer.get());
}

}  // namespace tessera::image
