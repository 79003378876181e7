#include "models/tokenizer/tokenizer_section.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/token.h"
#include "models/checksum.h"

namespace tvl {
namespace {

static_assert(std::is_trivially_copyable_v<TokenizerView>);

constexpr uint32_t kVersion = 1;
constexpr uint64_t kTableAlignment = 8;
constexpr uint64_t kSectionAlignment = 64;
constexpr uint64_t kChecksumBegin = 16;  // the size and the checksum itself are not hashed
constexpr uint32_t kEmptySlot = 0xFFFFFFFFu;

struct TableRule {
  const char* name;
  uint64_t element_bytes;
};
constexpr TableRule kTableRules[kTokenizerTableCount] = {
    {"piece_offsets", sizeof(uint32_t)}, {"piece_bytes", 1},
    {"scores", sizeof(float)},           {"piece_types", sizeof(PieceType)},
    {"piece_index", sizeof(uint32_t)},   {"merges", sizeof(TokenizerMerge)},
    {"merge_index", sizeof(uint32_t)},   {"added_tokens", sizeof(AddedToken)},
    {"end_tokens", sizeof(TokenId)},     {"chat_template", 1},
    {"pre_tokenizer_pattern", 1},        {"normalizer_map", 1},
};

constexpr uint64_t AlignUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

// At most half full, so that a probe that finds nothing is short too.
constexpr uint64_t IndexSlots(uint64_t entries) {
  return entries == 0 ? 0 : std::bit_ceil(2 * entries);
}

uint64_t HashPiece(std::string_view piece) {
  return Xxh3(std::as_bytes(std::span<const char>(piece)));
}

uint64_t HashPair(uint32_t left, uint32_t right) {
  const uint32_t pair[2] = {left, right};
  return Xxh3(std::as_bytes(std::span(pair)));
}

// Open addressing with linear probing. Entries go in by increasing number, first those that come
// `first`, and one whose key is already there stays out: hence the lowest number wins and the table
// is a function of the keys alone.
template <typename Hash, typename SameKey, typename IsFirst>
std::vector<uint32_t> BuildIndex(uint32_t entries, Hash hash, SameKey same_key, IsFirst first) {
  std::vector<uint32_t> index(IndexSlots(entries), kEmptySlot);
  const uint64_t mask = index.size() - 1;
  for (const bool now : {true, false}) {
    for (uint32_t entry = 0; entry < entries; ++entry) {
      if (first(entry) != now) continue;
      uint64_t slot = hash(entry) & mask;
      while (index[slot] != kEmptySlot && !same_key(index[slot], entry)) slot = (slot + 1) & mask;
      if (index[slot] == kEmptySlot) index[slot] = entry;
    }
  }
  return index;
}

std::vector<uint32_t> BuildPieceIndex(const std::vector<std::string>& pieces,
                                      const std::vector<PieceType>& types) {
  return BuildIndex(
      static_cast<uint32_t>(pieces.size()), [&](uint32_t i) { return HashPiece(pieces[i]); },
      [&](uint32_t a, uint32_t b) { return pieces[a] == pieces[b]; },
      [&](uint32_t i) { return types.empty() || IsMergedText(types[i]); });
}

std::vector<uint32_t> BuildMergeIndex(const std::vector<TokenizerMerge>& merges) {
  return BuildIndex(
      static_cast<uint32_t>(merges.size()),
      [&](uint32_t i) { return HashPair(merges[i].left, merges[i].right); },
      [&](uint32_t a, uint32_t b) {
        return merges[a].left == merges[b].left && merges[a].right == merges[b].right;
      },
      [](uint32_t) { return true; });
}

template <typename T>
std::string_view AsBytes(const std::vector<T>& values) {
  static_assert(std::is_trivially_copyable_v<T>);
  return std::string_view(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

absl::Status FieldError(const absl::AlphaNum& field, const absl::AlphaNum& expected,
                        const absl::AlphaNum& found) {
  return absl::InvalidArgumentError(
      absl::StrCat("tokenizer section: ", field, ": expected ", expected, ", found ", found));
}

// The fixed part: everything but the tables. `available` counts the bytes from the section's start.
absl::Status CheckHeader(const TokenizerHeader& header, uint64_t available) {
  if (header.section_bytes < sizeof(TokenizerHeader) || header.section_bytes > available ||
      header.section_bytes % kSectionAlignment != 0) {
    return FieldError(
        "section_bytes",
        absl::StrCat("a multiple of ", kSectionAlignment, " from ", sizeof(TokenizerHeader),
                     " to the ", available, " bytes there are"),
        header.section_bytes);
  }
  if (header.version != kVersion) {
    return FieldError("version", absl::StrCat(kVersion), header.version);
  }
  if (header.header_bytes < sizeof(TokenizerHeader) || header.header_bytes > header.section_bytes ||
      header.header_bytes % kSectionAlignment != 0) {
    return FieldError(
        "header_bytes",
        absl::StrCat("a multiple of ", kSectionAlignment, " from ", sizeof(TokenizerHeader),
                     " to section_bytes, ", header.section_bytes),
        header.header_bytes);
  }
  if (header.kind == 0) return FieldError("kind", "a tokenizer kind, 1 or more", header.kind);
  if ((header.flags & ~kTokenizerKnownFlags) != 0) {
    return FieldError("flags", absl::StrFormat("no bits but 0x%x", kTokenizerKnownFlags),
                      absl::StrFormat("0x%x", header.flags));
  }
  if (header.vocab_size == 0 || header.vocab_size > std::numeric_limits<TokenId>::max()) {
    return FieldError("vocab_size", "1 to 2147483647", header.vocab_size);
  }
  if (header.reserved != 0) return FieldError("reserved", "0", header.reserved);
  return absl::OkStatus();
}

// Where each table lies: inside the section, aligned, in order and hence without overlap.
absl::Status CheckTablePlaces(const TokenizerHeader& header) {
  uint64_t end = header.header_bytes;  // of everything before this table
  for (uint32_t i = 0; i < kTokenizerTableCount; ++i) {
    const TokenizerHeader::Table& table = header.tables[i];
    const std::string offset_field = absl::StrCat(kTableRules[i].name, " offset");
    if (table.bytes == 0) {
      if (table.offset != 0) return FieldError(offset_field, "0 for an absent table", table.offset);
      continue;
    }
    if (table.offset % kTableAlignment != 0 || table.offset < end ||
        table.offset > header.section_bytes) {
      return FieldError(offset_field,
                        absl::StrCat("a multiple of ", kTableAlignment, " from ", end, " to ",
                                     header.section_bytes),
                        table.offset);
    }
    const uint64_t room = header.section_bytes - table.offset;
    if (table.bytes > room || table.bytes % kTableRules[i].element_bytes != 0) {
      return FieldError(
          absl::StrCat(kTableRules[i].name, " bytes"),
          absl::StrCat("a multiple of ", kTableRules[i].element_bytes, " up to ", room),
          table.bytes);
    }
    end = table.offset + table.bytes;
  }
  return absl::OkStatus();
}

// The sizes that follow from other fields.
absl::Status CheckTableSizes(const TokenizerHeader& header) {
  const uint64_t vocab_size = header.vocab_size;
  const uint64_t merges = header.tables[kMerges].bytes / sizeof(TokenizerMerge);
  const struct {
    uint64_t elements;
    TokenizerTable table;
    bool optional;
  } kRules[] = {
      {vocab_size + 1, kPieceOffsets, false},   {vocab_size, kScores, true},
      {vocab_size, kPieceTypes, true},          {IndexSlots(vocab_size), kPieceIndex, false},
      {IndexSlots(merges), kMergeIndex, false},
  };
  for (const auto& rule : kRules) {
    const uint64_t found = header.tables[rule.table].bytes;
    const uint64_t expected = rule.elements * kTableRules[rule.table].element_bytes;
    if (found == expected || (rule.optional && found == 0)) continue;
    return FieldError(absl::StrCat(kTableRules[rule.table].name, " bytes"),
                      absl::StrCat(expected, rule.optional ? " or 0" : "", " (vocab_size ",
                                   vocab_size, ", merges ", merges, ")"),
                      found);
  }
  return absl::OkStatus();
}

absl::Status CheckNamedIds(const TokenizerHeader& header) {
  const struct {
    const char* name;
    TokenId id;
  } kIds[] = {{"bos_id", header.bos_id},
              {"eos_id", header.eos_id},
              {"unk_id", header.unk_id},
              {"pad_id", header.pad_id}};
  for (const auto& named : kIds) {
    if (named.id < -1 || named.id >= static_cast<int64_t>(header.vocab_size)) {
      return FieldError(named.name, absl::StrCat("-1 to ", header.vocab_size - 1), named.id);
    }
  }
  return absl::OkStatus();
}

// The one pass over a table: offsets rise from 0 to the size of piece_bytes, so that every piece
// lies inside it, and the longest piece is as long as the header says, so that it fits encoders'
// buffers.
absl::Status CheckPieceOffsets(const TokenizerHeader& header, const std::byte* base) {
  const std::byte* table = base + header.tables[kPieceOffsets].offset;
  const uint64_t piece_bytes = header.tables[kPieceBytes].bytes;
  uint32_t previous = 0;
  uint32_t longest = 0;
  for (uint64_t i = 0; i <= header.vocab_size; ++i) {
    uint32_t offset;
    std::memcpy(&offset, table + i * sizeof(offset), sizeof(offset));
    const bool ends_match =
        (i != 0 || offset == 0) && (i != header.vocab_size || offset == piece_bytes);
    if (offset < previous || offset > piece_bytes || !ends_match) {
      return FieldError(absl::StrCat("piece_offsets[", i, "]"),
                        absl::StrCat("rising values from 0 to ", piece_bytes, " after ", previous),
                        offset);
    }
    longest = std::max(longest, offset - previous);
    previous = offset;
  }
  if (longest != header.max_piece_bytes) {
    return FieldError("max_piece_bytes", absl::StrCat(longest, ", the longest piece"),
                      header.max_piece_bytes);
  }
  return absl::OkStatus();
}

// Ids in the short lists: the first 4 bytes of each element.
absl::Status CheckListedIds(const TokenizerHeader& header, const std::byte* base,
                            TokenizerTable table) {
  const uint64_t element_bytes = kTableRules[table].element_bytes;
  for (uint64_t at = 0; at < header.tables[table].bytes; at += element_bytes) {
    uint32_t id;
    std::memcpy(&id, base + header.tables[table].offset + at, sizeof(id));
    if (id >= header.vocab_size) {
      return FieldError(absl::StrCat(kTableRules[table].name, "[", at / element_bytes, "]"),
                        absl::StrCat("an id of 0 to ", header.vocab_size - 1), id);
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string SerializeTokenizer(const TokenizerData& data) {
  assert(!data.pieces.empty());
  assert(data.scores.empty() || data.scores.size() == data.pieces.size());
  assert(data.piece_types.empty() || data.piece_types.size() == data.pieces.size());

  std::vector<uint32_t> piece_offsets = {0};
  piece_offsets.reserve(data.pieces.size() + 1);
  std::string piece_bytes;
  size_t longest = 0;
  for (const std::string& piece : data.pieces) {
    piece_bytes += piece;
    piece_offsets.push_back(static_cast<uint32_t>(piece_bytes.size()));
    longest = std::max(longest, piece.size());
  }
  const std::vector<uint32_t> piece_index = BuildPieceIndex(data.pieces, data.piece_types);
  const std::vector<uint32_t> merge_index = BuildMergeIndex(data.merges);
  const std::string_view tables[kTokenizerTableCount] = {
      AsBytes(piece_offsets),     piece_bytes,
      AsBytes(data.scores),       AsBytes(data.piece_types),
      AsBytes(piece_index),       AsBytes(data.merges),
      AsBytes(merge_index),       AsBytes(data.added_tokens),
      AsBytes(data.end_tokens),   data.chat_template,
      data.pre_tokenizer_pattern, data.normalizer_map,
  };

  TokenizerHeader header = {};
  header.version = kVersion;
  header.header_bytes = sizeof(TokenizerHeader);
  header.kind = static_cast<uint32_t>(data.kind);
  header.flags = data.flags;
  header.vocab_size = static_cast<uint32_t>(data.pieces.size());
  header.max_piece_bytes = static_cast<uint32_t>(longest);
  header.pre_tokenizer = data.pre_tokenizer;
  header.bos_id = data.bos_id;
  header.eos_id = data.eos_id;
  header.unk_id = data.unk_id;
  header.pad_id = data.pad_id;

  std::string section(sizeof(TokenizerHeader), '\0');
  for (uint32_t i = 0; i < kTokenizerTableCount; ++i) {
    if (tables[i].empty()) continue;
    section.resize(AlignUp(section.size(), kTableAlignment), '\0');
    header.tables[i] = {section.size(), tables[i].size()};
    section += tables[i];
  }
  section.resize(AlignUp(section.size(), kSectionAlignment), '\0');
  header.section_bytes = section.size();
  std::memcpy(section.data(), &header, sizeof(header));
  header.checksum = Xxh3(std::as_bytes(std::span(section)).subspan(kChecksumBegin));
  std::memcpy(section.data(), &header, sizeof(header));
  return section;
}

absl::StatusOr<TokenizerView> ParseTokenizer(std::span<const std::byte> section) {
  if (section.size() < sizeof(TokenizerHeader)) {
    return FieldError("header", absl::StrCat(sizeof(TokenizerHeader), " bytes"),
                      absl::StrCat(section.size(), " bytes"));
  }
  TokenizerHeader header;
  std::memcpy(&header, section.data(), sizeof(header));
  absl::Status status = CheckHeader(header, section.size());
  if (status.ok()) status = CheckNamedIds(header);
  if (status.ok()) status = CheckTablePlaces(header);
  if (status.ok()) status = CheckTableSizes(header);
  if (status.ok()) status = CheckPieceOffsets(header, section.data());
  if (status.ok()) status = CheckListedIds(header, section.data(), kAddedTokens);
  if (status.ok()) status = CheckListedIds(header, section.data(), kEndTokens);
  if (!status.ok()) return status;
  return TokenizerView(section.data(), header);
}

absl::Status VerifyTokenizerChecksum(const TokenizerView& view) {
  const uint64_t found = Xxh3(std::span(view.base_, view.section_bytes()).subspan(kChecksumBegin));
  if (found == view.header_.checksum) return absl::OkStatus();
  return absl::DataLossError(absl::StrFormat(
      "tokenizer section: checksum: expected %016x, found %016x", view.header_.checksum, found));
}

// Walks the slots from the hash's own until an entry matches or a slot is empty. Entries from
// `limit` on cannot be real and are passed over; the count of steps ends the walk in a table
// without empty slots.
template <typename Matches>
int64_t TokenizerView::Probe(TokenizerTable index, uint64_t hash, uint64_t limit,
                             Matches matches) const {
  const size_t slots = Count(index, sizeof(uint32_t));
  const size_t mask = slots - 1;
  size_t slot = static_cast<size_t>(hash) & mask;
  for (size_t step = 0; step < slots; ++step, slot = (slot + 1) & mask) {
    const uint32_t entry = Load<uint32_t>(index, slot);
    if (entry == kEmptySlot) break;
    if (entry < limit && matches(entry)) return entry;
  }
  return -1;
}

TokenId TokenizerView::FindPiece(std::string_view bytes) const {
  if (bytes.size() > max_piece_bytes()) return -1;
  return static_cast<TokenId>(Probe(kPieceIndex, HashPiece(bytes), vocab_size(), [&](uint32_t id) {
    return piece(static_cast<TokenId>(id)) == bytes;
  }));
}

int64_t TokenizerView::FindMerge(TokenId left, TokenId right) const {
  const uint32_t l = static_cast<uint32_t>(left);
  const uint32_t r = static_cast<uint32_t>(right);
  return Probe(kMergeIndex, HashPair(l, r), merge_count(), [&](uint32_t rank) {
    const TokenizerMerge found = merge(rank);
    return found.left == l && found.right == r;
  });
}

}  // namespace tvl
