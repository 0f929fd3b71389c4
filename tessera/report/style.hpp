// SPDX-License-Identifier: Apache-2.0
// Colours and type of plots and pages: one list of classes, two themes.
#pragma once

#include <string>

namespace tessera::plots {

/// Custom properties of both themes and the classes of the plots, for a page.
std::string page_style();
/// The classes of the plots with the light colours written out: for programs that know no custom
/// properties.
std::string standalone_style();

}  // namespace tessera::plots
