// SPDX-License-Identifier: Apache-2.0
// What a tool does to its process, and a library must not.
#pragma once

namespace tessera::cli {

/// To be called once, first: installs the handlers that remove temporary files when SIGINT, SIGTERM
/// or SIGHUP ends the process, ignores SIGPIPE and SIGXFSZ so that they arrive as errors of
/// write(), and makes sure that no file of ours takes the place of a standard stream that the
/// parent closed.
void prepare_process();

}  // namespace tessera::cli
