// SPDX-License-Identifier: Apache-2.0
// A report as one HTML file: no network, the pictures inline, light and dark, for phones and print.
#pragma once

#include <string>
#include <vector>

#include "tessera/report/plots.hpp"

namespace tessera::plots {

std::string report_page(const ReportData& data, const std::vector<Plot>& plots);

}  // namespace tessera::plots
