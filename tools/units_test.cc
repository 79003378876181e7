#include "tools/units.h"

#include "gtest/gtest.h"

namespace tvl {
namespace {

TEST(UnitsTest, Bytes) {
  EXPECT_EQ(FormatBytes(0), "0 bytes");
  EXPECT_EQ(FormatBytes(1), "1 byte");
  EXPECT_EQ(FormatBytes(999), "999 bytes");
  EXPECT_EQ(FormatBytes(1000), "1.00 kB");
  EXPECT_EQ(FormatBytes(9994), "9.99 kB");
  EXPECT_EQ(FormatBytes(9996), "10.0 kB");
  EXPECT_EQ(FormatBytes(999600), "1.00 MB");
  EXPECT_EQ(FormatBytes(440000000), "440 MB");
  EXPECT_EQ(FormatBytes(1234567890123), "1.23 TB");
  EXPECT_EQ(FormatBytes(18446744073709551615u), "18446744 TB");
}

TEST(UnitsTest, Seconds) {
  EXPECT_EQ(FormatSeconds(0), "0.00 us");
  EXPECT_EQ(FormatSeconds(0.00001234), "12.3 us");
  EXPECT_EQ(FormatSeconds(0.5), "500 ms");
  EXPECT_EQ(FormatSeconds(0.9999), "1.00 s");
  EXPECT_EQ(FormatSeconds(75), "75.0 s");
}

TEST(UnitsTest, Counts) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1,000");
  EXPECT_EQ(FormatCount(1234567), "1,234,567");
  EXPECT_EQ(FormatTokens(0), "0 tokens");
  EXPECT_EQ(FormatTokens(1), "1 token");
  EXPECT_EQ(FormatTokens(1000), "1000 tokens");
}

}  // namespace
}  // namespace tvl
