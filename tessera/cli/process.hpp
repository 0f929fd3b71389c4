// SPDX-License-Identifier: Apache-2.0
// What a tool does to its process, and a library must not.
#pragma once

namespace tessera::cli {

/// To be called once, first: installs the handlers that remove temporary files when SIGINT, SIGTERM
/// or SIGHUP ends the process, ignores SIGPIPE and SIGXFSZ so that they arrive as errors of
/// write(), and makes sure that no file of ours takes the place of a standard stream that the
/// parent closed.
void prepare_process();

/// From here on these signals are only remembered, so that a command can stop and clear up; the third ends the
/// process. (The second may be the first again: timeout(1) sends to the process and to its group.)
void defer_signals();
bool is_interrupted() noexcept;
/// Ends the process by the signal that was remembered. Precondition: is_interrupted().
[[noreturn]] void end_by_deferred_signal();

}  // namespace tessera::cli
