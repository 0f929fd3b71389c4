// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/torch_storages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/base/error.hpp"
#include "runtime/base/json_text.hpp"
#include "runtime/weights/looks_like.hpp"
#include "runtime/weights/stored_zip.hpp"

namespace tessera {
namespace {

using detail::in_quotes;
using Kind = Pickle::Kind;
using Value = Pickle::Value;

constexpr std::size_t kHeadBytes = 64;                // enough to tell what a file is
constexpr std::size_t kMaxPickleBytes = 100'000'000;  // as the header of safetensors

struct StorageClass {
  std::string_view name;
  StoredType type;
};
constexpr std::array kStorageClasses{
    StorageClass{"torch.FloatStorage", StoredType::f32},
    StorageClass{"torch.HalfStorage", StoredType::f16},
    StorageClass{"torch.BFloat16Storage", StoredType::bf16},
    StorageClass{"torch.DoubleStorage", StoredType::f64},
    StorageClass{"torch.LongStorage", StoredType::i64},
    StorageClass{"torch.IntStorage", StoredType::i32},
    StorageClass{"torch.ShortStorage", StoredType::i16},
    StorageClass{"torch.CharStorage", StoredType::i8},
    StorageClass{"torch.ByteStorage", StoredType::u8},
    StorageClass{"torch.BoolStorage", StoredType::boolean},
};
constexpr std::array kGlobals = [] {
  constexpr std::array<std::string_view, 4> kOthers{"collections.OrderedDict", kRebuildTensor,
                                                    kRebuildParameter, "torch.Size"};
  std::array<std::string_view, kOthers.size() + kStorageClasses.size()> names;
  std::copy(kOthers.begin(), kOthers.end(), names.begin());
  std::transform(kStorageClasses.begin(), kStorageClasses.end(), names.begin() + kOthers.size(),
                 [](const StorageClass& c) { return c.name; });
  return names;
}();

class TorchReader {
 public:
  TorchReader(const FileBytes& file, const std::string& where) : file_(file), where_(where) {}

  TorchContent zip();
  TorchContent legacy();
  [[noreturn]] void fail(std::string_view problem, ErrorCode code = ErrorCode::corrupt_file) const {
    throw Error(code, fmt::format("{}: {}", where_, problem));
  }

 private:
  Pickle pickle(std::span<const std::byte> bytes, const char* name, std::size_t base) const;
  /// `part` of the file, copied.
  std::span<const std::byte> keep(std::span<const std::byte> part);
  Pickle next(const char* name);
  void check_machine(const Pickle& facts) const;
  void find_storages(TorchContent& content) const;
  void legacy_storage(TorchContent& content, const Pickle& keys, const Value& key);

  const FileBytes& file_;
  const std::string& where_;
  std::size_t at_ = 0;                          // legacy: what was read
  std::vector<std::vector<std::byte>> copies_;  // which pickles refer to
};

Pickle TorchReader::pickle(std::span<const std::byte> bytes, const char* name,
                           std::size_t base) const {
  return Pickle::read(bytes, {.where = fmt::format("{}: {}", where_, name), .base = base},
                      kGlobals);
}

std::span<const std::byte> TorchReader::keep(std::span<const std::byte> part) {
  const auto at = static_cast<std::size_t>(part.data() - file_.where().data());
  return copies_.emplace_back(file_.copy(at, part.size()));
}

/// Every persistent id names a storage; what several say of one key must agree.
void TorchReader::find_storages(TorchContent& content) const {
  const Pickle& p = content.pickle;
  for (const Value& value : p.persistent_values()) {
    const Value& id = p.persistent_id(value);
    const auto parts = id.kind == Kind::tuple ? p.tuple(id) : std::span<const Value>{};
    const bool is_known = parts.size() >= 5 && parts.size() <= 6 && parts[0].kind == Kind::text &&
                          p.text(parts[0]) == "storage" && parts[1].kind == Kind::global &&
                          parts[2].kind == Kind::text && parts[3].kind == Kind::text &&
                          parts[4].kind == Kind::integer;
    if (!is_known) {
      fail(fmt::format("a persistent id is {}, expected (\"storage\", class, key, place, elements)",
                       p.describe(id)));
    }
    const std::string_view key = p.text(parts[2]);
    if (parts.size() == 6 && parts[5].kind != Kind::none) {
      fail(fmt::format("storage {} is a view of another one, expected the storage itself",
                       in_quotes(key)),
           ErrorCode::unsupported_model);
    }
    const auto known =
        std::find_if(kStorageClasses.begin(), kStorageClasses.end(),
                     [&](const StorageClass& c) { return c.name == p.global(parts[1]); });
    if (known == kStorageClasses.end()) {
      fail(fmt::format("storage {} is of {}, expected torch.FloatStorage or its like",
                       in_quotes(key), p.global(parts[1])));
    }
    const std::int64_t elements = p.integer(parts[4]);
    const std::array<std::int64_t, 1> shape{elements};
    if (elements < 0 || !bits_without_zeros(known->type, shape)) {
      fail(fmt::format("storage {} has {} elements, expected a number from 0 to 2^63 bits",
                       in_quotes(key), elements));
    }
    const TorchStorage storage{known->type, static_cast<std::uint64_t>(elements), {}};
    const auto [at, is_new] = content.storages.emplace(key, storage);
    if (at->second.type != storage.type || at->second.elements != storage.elements) {
      fail(fmt::format("storage {} is {} of {} and {} of {}, expected one of them", in_quotes(key),
                       at->second.elements, to_string(at->second.type), elements,
                       to_string(storage.type)));
    }
  }
}

TorchContent TorchReader::zip() {
  const std::vector<ZipMember> members = read_stored_zip(file_, where_);
  const std::string_view first = members.empty() ? std::string_view{} : members.front().name;
  const std::string folder(first.substr(0, first.find('/') + 1));
  const auto find = [&](std::string_view name) -> const ZipMember* {
    const std::string path = fmt::format("{}{}", folder, name);
    const auto at = std::lower_bound(
        members.begin(), members.end(), path,
        [](const ZipMember& m, const std::string& wanted) { return m.name < wanted; });
    return at != members.end() && at->name == path ? &*at : nullptr;
  };
  bool has_code = false;
  for (const ZipMember& member : members) {
    if (folder.empty() || !member.name.starts_with(folder)) {
      fail(
          fmt::format("member {} of the zip file is outside of folder {}, expected one folder, as "
                      "torch.save writes it",
                      in_quotes(member.name), in_quotes(folder)));
    }
    has_code = has_code || member.name.substr(folder.size()).starts_with("code/");
  }
  if (has_code || find("constants.pkl") != nullptr) {
    fail(
        "it is a TorchScript archive, which holds code, expected a state dict: "
        "torch.save(model.state_dict(), ...)",
        ErrorCode::unsupported_model);
  }
  const ZipMember* dict = find("data.pkl");
  if (dict == nullptr) {
    fail(fmt::format(
        "the zip file of {} members has no data.pkl, expected one that torch.save wrote",
        members.size()));
  }
  if (const ZipMember* order = find("byteorder")) {
    const std::span<const std::byte> copy =
        keep(order->data.first(std::min<std::size_t>(order->data.size(), 64)));
    const std::string_view text(reinterpret_cast<const char*>(copy.data()), copy.size());
    if (text != "little") {
      fail(fmt::format("its byteorder is {}, expected \"little\"", in_quotes(text)),
           text == "big" ? ErrorCode::unsupported_model : ErrorCode::corrupt_file);
    }
  }
  if (dict->data.size() > kMaxPickleBytes) {
    fail(fmt::format("data.pkl has {} bytes, expected at most {}", dict->data.size(),
                     kMaxPickleBytes));
  }
  const std::span<const std::byte> text = keep(dict->data);
  if (zip_crc(text) != dict->crc) {
    fail(fmt::format("data.pkl has the checksum {:08x}, expected {:08x} from the zip file",
                     zip_crc(text), dict->crc));
  }

  TorchContent content{.pickle = pickle(text, "data.pkl", 0), .storages = {}, .copies = {}};
  if (content.pickle.size() != dict->data.size()) {
    fail(fmt::format("data.pkl has {} bytes and its pickle {}, expected nothing behind it",
                     dict->data.size(), content.pickle.size()));
  }
  find_storages(content);
  for (auto& [key, storage] : content.storages) {
    const ZipMember* member = find(fmt::format("data/{}", key));
    if (member == nullptr) {
      fail(fmt::format("storage {} is missing, expected the member {}", in_quotes(key),
                       in_quotes(fmt::format("{}data/{}", folder, key))));
    }
    const std::uint64_t bytes =
        storage.elements * static_cast<std::uint64_t>(bits_of(storage.type)) / 8;
    if (member->data.size() != bytes) {
      fail(fmt::format("storage {} has {} bytes, expected {} for {} elements of {}", in_quotes(key),
                       member->data.size(), bytes, storage.elements, to_string(storage.type)));
    }
    storage.data = member->data;
  }
  content.copies = std::move(copies_);
  return content;
}

Pickle TorchReader::next(const char* name) {
  // Where a pickle ends only reading it tells: what was too short is read again with more.
  const std::size_t most = std::min(file_.size() - at_, kMaxPickleBytes);
  for (std::size_t bytes = std::min(most, std::size_t{256} << 10);;
       bytes = bytes > most / 8 ? most : 8 * bytes) {
    std::vector<std::byte> copy = file_.copy(at_, bytes);
    try {
      Pickle result = pickle(copy, name, at_);
      at_ += result.size();
      copies_.push_back(std::move(copy));
      return result;
    } catch (const Error& e) {
      if (bytes == most || e.code() != ErrorCode::corrupt_file) throw;
    }
  }
}

void TorchReader::check_machine(const Pickle& facts) const {
  const auto entries =
      facts.root().kind == Kind::dict ? facts.dict(facts.root()) : std::span<const Value>{};
  for (std::size_t i = 0; i < entries.size(); i += 2) {
    const Value &key = entries[i], &value = entries[i + 1];
    if (key.kind != Kind::text || facts.text(key) != "little_endian") continue;
    if (value.kind == Kind::boolean && facts.boolean(value)) return;
    fail(fmt::format("its little_endian is {}, expected True", facts.describe(value)),
         ErrorCode::unsupported_model);
  }
  fail("its facts of the machine lack little_endian, expected True");
}

/// i64 elements, then the elements.
void TorchReader::legacy_storage(TorchContent& content, const Pickle& keys, const Value& key) {
  const auto found =
      key.kind == Kind::text ? content.storages.find(keys.text(key)) : content.storages.end();
  if (found == content.storages.end()) {
    fail(fmt::format("the list of storages has {}, expected one that a tensor names",
                     keys.describe(key)));
  }
  TorchStorage& storage = found->second;
  if (storage.data.data() != nullptr) {
    fail(fmt::format("the list of storages has {} twice, expected it once",
                     in_quotes(found->first)));
  }
  std::uint64_t elements = 0;
  const std::uint64_t bytes =
      storage.elements * static_cast<std::uint64_t>(bits_of(storage.type)) / 8;
  const std::size_t left = file_.size() - at_;
  if (left < sizeof elements || left - sizeof elements < bytes) {
    fail(
        fmt::format("storage {} has {} bytes left, expected {} for {} elements of {} (a file cut "
                    "short?)",
                    in_quotes(found->first), left, sizeof elements + bytes, storage.elements,
                    to_string(storage.type)));
  }
  static_assert(std::endian::native == std::endian::little);
  file_.read(at_, std::as_writable_bytes(std::span(&elements, 1)));
  if (elements != storage.elements) {
    fail(fmt::format("storage {} says {} elements, expected {} as its tensors do",
                     in_quotes(found->first), elements, storage.elements));
  }
  storage.data = file_.where().subspan(at_ + sizeof elements, bytes);
  at_ += sizeof elements + bytes;
}

TorchContent TorchReader::legacy() {
  next("the pickle of its magic number");  // whose bytes were looked at
  const Pickle version = next("the pickle of its version");
  if (version.root().kind != Kind::integer || version.integer(version.root()) != 1001) {
    fail(fmt::format("its version is {}, expected the integer 1001",
                     version.describe(version.root())));
  }
  check_machine(next("the pickle of its machine"));
  TorchContent content{.pickle = next("the pickle of its dict"), .storages = {}, .copies = {}};
  const Pickle keys = next("the pickle of its storages");
  if (keys.root().kind != Kind::list) {
    fail(fmt::format("its storages are {}, expected a list of keys", keys.describe(keys.root())));
  }
  find_storages(content);
  const auto listed = keys.list(keys.root());
  for (const Value& key : listed) legacy_storage(content, keys, key);
  if (listed.size() != content.storages.size()) {
    fail(fmt::format("its list of storages has {} keys, expected all {} that tensors name",
                     listed.size(), content.storages.size()));
  }
  if (at_ != file_.size()) {
    fail(fmt::format("{} bytes follow the last storage, expected none", file_.size() - at_));
  }
  content.copies = std::move(copies_);
  return content;
}

}  // namespace

const TorchStorage& TorchContent::storage(const Pickle::Value& persistent) const {
  return storages.find(pickle.text(pickle.tuple(pickle.persistent_id(persistent))[2]))->second;
}

TorchContent read_torch_content(const FileBytes& file, const std::string& where) {
  using namespace std::string_view_literals;
  // PROTO 2, LONG1 of the number 0x1950A86A20F9469CFC6C, STOP
  constexpr std::string_view kMagic = "\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19."sv;
  const std::vector<std::byte> head = file.copy(0, std::min(file.size(), kHeadBytes));
  const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
  TorchReader reader(file, where);
  if (text.starts_with("PK\x03\x04"sv)) return reader.zip();
  if (text.starts_with(kMagic)) return reader.legacy();
  reader.fail(
      fmt::format("the file of {} bytes begins with {}, expected a zip file or the magic number of "
                  "torch.save{}",
                  file.size(), in_quotes(text.substr(0, 8)), looks_like(head)));
}

}  // namespace tessera
