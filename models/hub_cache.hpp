// SPDX-License-Identifier: Apache-2.0
//
// Where huggingface_hub keeps what it downloaded:
//
//   <cache>/models--<org>--<name>/refs/main               the name of a snapshot
//                                /snapshots/<commit>/...  links into blobs/
//
// <cache> is $HF_HUB_CACHE (or $HUGGINGFACE_HUB_CACHE, its older name), else $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else
// ~/.cache/huggingface/hub (huggingface_hub, constants.py). Nothing is ever downloaded.
#pragma once

#include <filesystem>

namespace tessera::models {

/// The directory of the checkpoint that `model` names:
///   a directory as published                  itself
///   a folder models--<org>--<name>            the snapshot that refs/main names, or the only one
///   <org>/<name> or <name>, no such directory  the same of that folder in the cache
///
/// Errors    not_found: says where it was looked for; corrupt_file (refs/main names no snapshot)
std::filesystem::path find_model(const std::filesystem::path& model);

}  // namespace tessera::models
