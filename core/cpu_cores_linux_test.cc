// Machines that are not here, as Linux describes them.
#include "core/cpu_cores_linux.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace tvl::internal {
namespace {

namespace fs = std::filesystem;

// A folder like /sys.
class FakeSys {
 public:
  FakeSys() : root_(fs::path(::testing::TempDir()) / ("sys" + std::to_string(getpid()))) {
    fs::create_directories(root_);
  }
  ~FakeSys() { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    const fs::path file = root_ / "devices" / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text << "\n";
  }
  void WriteOfCpu(int cpu, const std::string& path, const std::string& text) {
    Write("system/cpu/cpu" + std::to_string(cpu) + "/" + path, text);
  }

  RankedCores Rank(const std::vector<int>& allowed) const {
    return RankCores(root_.string(), allowed);
  }

 private:
  fs::path root_;
};

std::vector<int> Numbers(int n) {
  std::vector<int> numbers(static_cast<size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

using Order = std::vector<int>;

TEST(RankCoresTest, WhereTheSystemSaysNothing) {
  const FakeSys sys;
  EXPECT_EQ(sys.Rank({3, 5, 9}).order, (Order{3, 5, 9}));
  EXPECT_EQ(sys.Rank({3, 5, 9}).performance, 3u);
  EXPECT_EQ(sys.Rank({}).performance, 0u);
}

// A phone: four little cores, three of the middle, a big one.
TEST(RankCoresTest, ThreeTiersByCapacity) {
  FakeSys sys;
  for (int cpu = 0; cpu < 8; ++cpu)
    sys.WriteOfCpu(cpu, "cpu_capacity", cpu < 4 ? "320" : cpu < 7 ? "870" : "1024");
  EXPECT_EQ(sys.Rank(Numbers(8)).order, (Order{7, 4, 5, 6, 0, 1, 2, 3}));
  EXPECT_EQ(sys.Rank(Numbers(8)).performance, 4u);
  // What a process may not use does not count, and little cores alone are what there is.
  EXPECT_EQ(sys.Rank({0, 1, 6}).order, (Order{6, 0, 1}));
  EXPECT_EQ(sys.Rank({0, 1, 6}).performance, 1u);
  EXPECT_EQ(sys.Rank({0, 1}).performance, 2u);
}

// A board without capacities: RK3399, two Cortex-A72 and four A53.
TEST(RankCoresTest, ByFrequency) {
  FakeSys sys;
  for (int cpu = 0; cpu < 6; ++cpu)
    sys.WriteOfCpu(cpu, "cpufreq/cpuinfo_max_freq", cpu < 4 ? "1300000" : "1800000");
  EXPECT_EQ(sys.Rank(Numbers(6)).order, (Order{4, 5, 0, 1, 2, 3}));
  EXPECT_EQ(sys.Rank(Numbers(6)).performance, 2u);
}

TEST(RankCoresTest, HardwareThreadsOfACoreComeLast) {
  FakeSys sys;
  for (int cpu = 0; cpu < 8; ++cpu) {
    const int first = cpu % 4;
    sys.WriteOfCpu(cpu, "topology/thread_siblings_list",
                   std::to_string(first) + "," + std::to_string(first + 4));
  }
  EXPECT_EQ(sys.Rank(Numbers(8)).order, (Order{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(sys.Rank(Numbers(8)).performance, 4u);
  // The second of a pair is the first if it is the only one allowed.
  EXPECT_EQ(sys.Rank({1, 4, 5}).order, (Order{1, 4, 5}));
  EXPECT_EQ(sys.Rank({1, 4, 5}).performance, 2u);
}

// Two performance cores of two threads, of 4.9 and 5.2 GHz, and four efficiency cores of 3.9 GHz,
// exactly three quarters.
TEST(RankCoresTest, IntelHybrid) {
  FakeSys sys;
  sys.Write("cpu_core/cpus", "0-3");
  sys.Write("cpu_atom/cpus", "4-7");
  const char* const kSiblings[] = {"0-1", "0-1", "2-3", "2-3", "4", "5", "6", "7"};
  for (int cpu = 0; cpu < 8; ++cpu) {
    sys.WriteOfCpu(cpu, "topology/thread_siblings_list", kSiblings[cpu]);
    sys.WriteOfCpu(cpu, "cpufreq/cpuinfo_max_freq",
                   cpu < 2   ? "4900000"
                   : cpu < 4 ? "5200000"
                             : "3900000");
  }
  EXPECT_EQ(sys.Rank(Numbers(8)).order, (Order{2, 0, 4, 5, 6, 7, 3, 1}));
  EXPECT_EQ(sys.Rank(Numbers(8)).performance, 2u);
}

TEST(RankCoresTest, FilesThatSayNothingSensible) {
  FakeSys sys;
  sys.Write("cpu_atom/cpus", "5-,x");
  for (const char* text : {"", "x", "-", "1-", "0-99999999999", "2-1", "-5"}) {
    sys.WriteOfCpu(0, "topology/thread_siblings_list", text);
    sys.WriteOfCpu(0, "cpu_capacity", text);
    const RankedCores ranked = sys.Rank({0, 1});
    EXPECT_EQ(ranked.order.size(), 2u) << text;
    EXPECT_GE(ranked.performance, 1u) << text;
  }
}

}  // namespace
}  // namespace tvl::internal
