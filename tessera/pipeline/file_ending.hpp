// SPDX-License-Identifier: Apache-2.0
// What the name of a file says about it.
#pragma once

#include <string>
#include <string_view>

namespace tessera {

/// "csv" of "a/Films.CSV": what is behind the last dot of the last part, in lower case; "" if there
/// is none.
std::string file_ending(std::string_view path);

}  // namespace tessera
