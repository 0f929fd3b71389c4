// SPDX-License-Identifier: Apache-2.0
// Zip files that contradict themselves, and those whose numbers are in zip64's fields.
#include "runtime/weights/stored_zip.hpp"

#include <gmock/gmock.h>

#include "tests/runtime/weights/files.hpp"
#include "tests/support/torch_files.hpp"

namespace tessera {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

std::vector<ZipMember> read(const std::string& file) {
  return read_stored_zip(std::as_bytes(std::span(file)), "x.bin");
}

std::string refusal(const std::string& file, ErrorCode code = ErrorCode::corrupt_file) {
  const std::string message = message_of(code, [&] { read(file); });
  EXPECT_THAT(message, HasSubstr("x.bin: "));
  EXPECT_THAT(message, HasSubstr("expected"));
  return message;
}

/// Two members: "b" of "four" and "a" of nothing.
ZipBuilder two_members() {
  ZipBuilder zip;
  zip.add("b", "four");
  zip.add("a", "");
  return zip;
}

template <class T>
std::string with(std::string text, std::size_t at, T value) {
  return text.replace(at, sizeof value, bytes_of(value));
}

TEST(StoredZipTest, GivesMembersSortedByName) {
  const std::string file = two_members().str();
  const std::vector<ZipMember> members = read(file);
  ASSERT_THAT(members, SizeIs(2));
  EXPECT_EQ(members[0].name, "a");
  EXPECT_EQ(members[1].name, "b");
  EXPECT_EQ(members[1].data.data(), std::as_bytes(std::span(file)).data() + 31);
  EXPECT_EQ(members[1].crc, zip_crc(members[1].data));
  EXPECT_EQ(zip_crc(std::as_bytes(std::span("123456789", 9))), 0xCBF43926U);  // the check value
}

TEST(StoredZipTest, WhatIsNotStoredPlainlyIsRefusedByName) {
  ZipBuilder packed;
  packed.method = 8;
  packed.add("a", "x");
  EXPECT_THAT(
      refusal(packed.str(), ErrorCode::unsupported_model),
      HasSubstr("member \"a\" of the zip file is compressed (method 8), expected method 0"));
  ZipBuilder secret;
  secret.flags = 1;
  secret.add("a", "x");
  EXPECT_THAT(refusal(secret.str(), ErrorCode::unsupported_model), HasSubstr("is encrypted"));
}

TEST(StoredZipTest, NamesAreUnique) {
  ZipBuilder zip = two_members();
  zip.add("b", "other");
  EXPECT_THAT(refusal(zip.str()), HasSubstr("member \"b\" of the zip file is there twice"));
}

TEST(StoredZipTest, TheEndRecordAgreesWithTheFile) {
  const std::string file = two_members().str();
  const std::size_t end = file.size() - 22;
  EXPECT_THAT(refusal(file.substr(1)), HasSubstr("expected it to end at"));
  EXPECT_THAT(refusal(file + "comment"), HasSubstr("no end record in its last 22 bytes"));
  EXPECT_THAT(refusal(with(file, end + 4, std::uint16_t{1})), HasSubstr("several disks"));
  EXPECT_THAT(refusal(with(file, end + 8, std::uint32_t{0x00010001})),
              HasSubstr("behind the 1 members"));
  EXPECT_THAT(refusal(with(file, end + 8, std::uint32_t{0x00030003})), HasSubstr("has 3 members"));
  EXPECT_THAT(refusal(with(file, end + 8, std::uint32_t{0xFFFFFFFF})), HasSubstr("65535 members"));
  EXPECT_THAT(refusal(with(file, end + 12, std::uint32_t{0xFFFFFFFF})),
              HasSubstr("expected it to end"));
  EXPECT_THAT(refusal(with(file, end + 16, std::uint32_t{0})), HasSubstr("expected it to end at"));
}

TEST(StoredZipTest, HeadersAgreeAndMembersLieApart) {
  const ZipBuilder zip = two_members();
  const std::string file = zip.str();
  const std::size_t directory = zip.file.size();
  const char* const differs = "has another name, flags, method, size or checksum";
  EXPECT_THAT(refusal(with(file, 0, 'p')), HasSubstr("has no header at 0"));
  EXPECT_THAT(refusal(with(file, directory, 'p')), HasSubstr("of its central directory"));
  for (const std::size_t at : {6U, 8U, 14U, 18U, 22U, 30U}) {
    EXPECT_THAT(refusal(with(file, at, 'C')), HasSubstr(differs)) << at;
  }
  EXPECT_THAT(refusal(with(file, directory + 20, std::uint64_t{0x0000000500000005})),
              HasSubstr(differs));
  EXPECT_THAT(refusal(with(file, directory + 20, std::uint64_t{0x0000700000007000})),
              HasSubstr("28672 bytes after its header at 0, expected at most"));
  EXPECT_THAT(refusal(with(file, directory + 20, std::uint32_t{5})),
              HasSubstr("has 5 bytes stored"));
  EXPECT_THAT(refusal(with(file, directory + 28, std::uint16_t{0xFFFF})), HasSubstr("leaves its"));
  EXPECT_THAT(refusal(with(file, directory + 42, std::uint32_t{0x7FFFFFFF})),
              HasSubstr("no header"));
  EXPECT_THAT(refusal(with(file, directory + 47 + 42, std::uint32_t{0})), HasSubstr(differs));

  ZipBuilder inner, outer;  // a member whose data hold another one
  inner.add("b", "x");
  outer.add("a", inner.file);
  const std::string nested = inner.directory.substr(0, 42) + bytes_of(std::uint32_t{31}) + "b";
  outer.directory += nested;
  outer.members = 2;
  EXPECT_THAT(refusal(outer.str()),
              HasSubstr("member \"b\" of the zip file begins at 31, expected 63"));
}

/// The file of one member "a" of "x", its size and place in the zip64 field `field` alone.
std::string zip64_file(const std::string& field, bool has_record = true) {
  ZipBuilder zip;
  zip.add("a", "x");
  std::string directory = zip.directory;
  directory.replace(20, 8, std::string(8, '\xFF'));
  directory.replace(42, 4, std::string(4, '\xFF'));
  directory = with(directory, 30, static_cast<std::uint16_t>(field.size())) + field;
  const std::uint64_t at = zip.file.size();
  std::string record = "PK\x06\x06" + bytes_of(std::uint64_t{44}) + std::string(12, '\0') +
                       bytes_of(std::uint64_t{1}) + bytes_of(std::uint64_t{1}) +
                       bytes_of(std::uint64_t{directory.size()}) + bytes_of(at) + "PK\x06\x07" +
                       std::string(4, '\0') + bytes_of(at + directory.size()) +
                       bytes_of(std::uint32_t{1});
  if (!has_record) record.clear();
  return zip.file + directory + record + "PK\x05\x06" + std::string(4, '\0') +
         std::string(12, '\xFF') + std::string(2, '\0');
}

TEST(StoredZipTest, NumbersMayBeInZip64Fields) {
  const std::string size = bytes_of(std::uint64_t{1}), place = bytes_of(std::uint64_t{0}),
                    other = std::string("\x07\x00\x02\x00zz", 6),
                    head = std::string("\x01\x00\x18\x00", 4);
  const std::string file = zip64_file(other + head + size + size + place);
  ASSERT_THAT(read(file), SizeIs(1));
  EXPECT_THAT(std::string(1, static_cast<char>(read(file)[0].data[0])), "x");
  const char* const missing = "has no zip64 field";
  EXPECT_THAT(refusal(zip64_file("")), HasSubstr(missing));
  EXPECT_THAT(refusal(zip64_file(other)), HasSubstr(missing));
  EXPECT_THAT(refusal(zip64_file(head + size)), HasSubstr(missing));
  EXPECT_THAT(refusal(zip64_file(head + size + place + place)), HasSubstr(missing));
  EXPECT_THAT(refusal(zip64_file(head + size + size + bytes_of(~std::uint64_t{0}))),
              HasSubstr("has no header at 18446744073709551615"));
  const std::string huge = bytes_of(std::uint64_t{1} << 63);
  EXPECT_THAT(refusal(zip64_file(head + huge + huge + place)),
              HasSubstr("9223372036854775808 bytes"));
  EXPECT_THAT(refusal(zip64_file(head + size + size + place, false)),
              HasSubstr("expected it to end"));
  const std::size_t record = file.size() - 22 - 20 - 56;
  EXPECT_THAT(refusal(with(file, record, 'p')), HasSubstr("no zip64 end record"));
  EXPECT_THAT(refusal(with(file, record + 24, 'p')), HasSubstr("contradict each other"));
  EXPECT_THAT(refusal(with(file, file.size() - 22 + 16, std::uint32_t{1})),
              HasSubstr("contradict each other"));
}

}  // namespace
}  // namespace tessera
