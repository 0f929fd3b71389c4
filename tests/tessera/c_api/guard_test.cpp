// SPDX-License-Identifier: Apache-2.0
#include "tessera/c_api/guard.hpp"

#include <gtest/gtest.h>

#include <array>

#include "tessera/c_api/handles.hpp"

namespace tessera::c_api {
namespace {

TEST(GuardTest, EveryExceptionHasItsStatus) {
  const std::array<std::pair<ErrorCode, tessera_status>, 8> codes{{
      {ErrorCode::invalid_argument, TESSERA_INVALID_ARGUMENT},
      {ErrorCode::not_found, TESSERA_NOT_FOUND},
      {ErrorCode::corrupt_file, TESSERA_CORRUPT_FILE},
      {ErrorCode::unsupported_model, TESSERA_UNSUPPORTED_MODEL},
      {ErrorCode::out_of_memory, TESSERA_OUT_OF_MEMORY},
      {ErrorCode::io_error, TESSERA_IO_ERROR},
      {ErrorCode::cancelled, TESSERA_CANCELLED},
      {ErrorCode::internal, TESSERA_INTERNAL},
  }};
  for (const auto& [code, status] : codes) {
    EXPECT_EQ(guard([&, c = code] { throw Error(c, "here: got 1, expected 2"); }), status);
    EXPECT_STREQ(tessera_last_error(), "here: got 1, expected 2");
  }
  EXPECT_EQ(guard([] { throw std::bad_alloc(); }), TESSERA_OUT_OF_MEMORY);
  EXPECT_EQ(guard([] { throw std::runtime_error("a bug"); }), TESSERA_INTERNAL);
  EXPECT_STREQ(tessera_last_error(), "a bug");
  EXPECT_EQ(guard([] { throw 1; }), TESSERA_INTERNAL);
  EXPECT_STREQ(tessera_last_error(), "unknown exception");
  EXPECT_EQ(guard([] {}), TESSERA_OK);
  EXPECT_STREQ(tessera_last_error(), "unknown exception");  // successes leave it
}

struct Ticket;

TEST(HandleTableTest, ATicketIsGoodForOneObject) {
  HandleTable<int, Ticket, HandleKind::session> table;
  Ticket* const first = table.add(std::make_shared<int>(1));
  Ticket* const second = table.add(std::make_shared<int>(2));
  EXPECT_EQ(*table.get(first), 1);
  EXPECT_EQ(*table.get(second), 2);
  const std::shared_ptr<int> in_use = table.get(first);
  table.remove(first);
  EXPECT_EQ(*in_use, 1);  // the last user frees
  EXPECT_THROW(table.get(first), Error);
  EXPECT_THROW(table.remove(first), Error);
  Ticket* const third = table.add(std::make_shared<int>(3));
  EXPECT_NE(third, first);  // the same slot, another generation
  EXPECT_EQ(*table.get(third), 3);
  EXPECT_THROW(table.get(first), Error);
  HandleTable<int, Ticket, HandleKind::model> others;
  others.add(std::make_shared<int>(4));
  EXPECT_THROW(others.get(second), Error);
}

}  // namespace
}  // namespace tessera::c_api
