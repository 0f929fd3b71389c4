// SPDX-License-Identifier: Apache-2.0
// Unicode properties that PCRE2 and the reference's regular expressions do not share.
//
// The reference (Hugging Face tokenizers 0.23) has Oniguruma 6.9.10, Unicode 16. PCRE2 10.42 of
// Debian 12 has Unicode 14; a later PCRE2 has what is added here already, which does no harm.
#pragma once

#include <string>
#include <string_view>

namespace tessera::text {

/// Appends to the items of a class what the reference counts among `property` and PCRE2 does not:
/// a general category ("L", "Lu"), "Alphabetic", "Lowercase", or a script ("han").
void append_new_members(std::string_view property, std::string& items);

/// The item of a class for a script, or for another property that PCRE2 knows: "\p{sc:han}"; "" if
/// it knows none of this name.
std::string script_or_property(std::string_view name);

}  // namespace tessera::text
