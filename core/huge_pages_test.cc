#include "core/huge_pages.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

TEST(HugePagesTest, BeginsOnAHugePageAndIsZero) {
  constexpr size_t kBytes = 3 * HugePages::kPageBytes + 5;
  absl::StatusOr<HugePages> allocated = HugePages::Allocate(kBytes);
  ASSERT_TRUE(allocated.ok()) << allocated.status();
  const HugePages pages = *std::move(allocated);
  const std::span<std::byte> bytes = pages.bytes();
  ASSERT_EQ(bytes.size(), kBytes);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes.data()) % HugePages::kPageBytes, 0u);
  EXPECT_EQ(HugePageBytes(bytes), 0u);
  for (std::byte& b : bytes) {
    ASSERT_EQ(b, std::byte{0});
    b = std::byte{1};
  }
  // All of them, none, or what the system had left.
  const size_t huge = HugePageBytes(bytes);
  EXPECT_LE(huge, kBytes);
  RecordProperty("huge", static_cast<int>(huge));
}

TEST(HugePagesTest, NoneAndTooMany) {
  const absl::StatusOr<HugePages> none = HugePages::Allocate(0);
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->bytes().empty());
  EXPECT_EQ(HugePageBytes(none->bytes()), 0u);
  const absl::StatusOr<HugePages> too_many = HugePages::Allocate(size_t{1} << 60);
  EXPECT_EQ(too_many.status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace tvl
