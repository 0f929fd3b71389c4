// SPDX-License-Identifier: Apache-2.0
// Which sanitizer this was compiled with, by GCC's macros and by Clang's features.
#pragma once

#if defined(__has_feature)
#define TESSERA_TEST_FEATURE(name) __has_feature(name)
#else
#define TESSERA_TEST_FEATURE(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || TESSERA_TEST_FEATURE(address_sanitizer)
#define TESSERA_TEST_ASAN 1
#else
#define TESSERA_TEST_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || TESSERA_TEST_FEATURE(thread_sanitizer)
#define TESSERA_TEST_TSAN 1
#else
#define TESSERA_TEST_TSAN 0
#endif

namespace tessera::test {

inline constexpr bool kAsan = TESSERA_TEST_ASAN != 0, kTsan = TESSERA_TEST_TSAN != 0;
/// Memory, threads and malloc are not only ours then.
inline constexpr bool kSanitized = kAsan || kTsan;

}  // namespace tessera::test
