// The writer leaves a whole file or none, and says why.
#include "models/tvl_writer.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/mapped_file.h"
#include "core/thread_pool.h"
#include "core/tile.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/tvl_reader.h"
#include "tests/support/test_model.h"

namespace tvl {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::TestModel;

// An empty folder of its own for each test, so that anything left behind is seen.
class TvlWriterTest : public ::testing::Test {
 protected:
  TvlWriterTest() : folder_(testing::UniqueTempPath()) { fs::create_directory(folder_); }
  ~TvlWriterTest() override { fs::remove_all(folder_); }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  size_t FilesInFolder() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  absl::Status Write(const std::string& path) const {
    return WriteTvl(model_.source(), "", path, {});
  }

  const fs::path folder_;
  const TestModel model_{{}};
};

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// While it lives, writing beyond `bytes` of a file fails, as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &saved_);
    const rlimit limit = {bytes, saved_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &saved_);
    signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit saved_ = {};
};

TEST_F(TvlWriterTest, AFailingWriteLeavesNothing) {
  ASSERT_TRUE(Write(Path("whole")).ok());
  const uint64_t size = fs::file_size(Path("whole"));
  for (const uint64_t limit :
       {uint64_t{0}, uint64_t{1}, uint64_t{65536}, uint64_t{70000}, size - 1}) {
    absl::Status status;
    {
      const FileSizeLimit guard(limit);
      status = Write(Path("partial"));
    }
    EXPECT_FALSE(status.ok()) << limit;
    EXPECT_THAT(std::string(status.message()), HasSubstr(Path("partial")));
    EXPECT_EQ(FilesInFolder(), 1u) << limit;
  }
}

TEST_F(TvlWriterTest, AFailingWriteKeepsTheOlderFile) {
  std::ofstream(Path("model")) << "older";
  absl::Status status;
  {
    const FileSizeLimit guard(1000);
    status = Write(Path("model"));
  }
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(ReadAll(Path("model")), "older");
  EXPECT_EQ(FilesInFolder(), 1u);
}

TEST_F(TvlWriterTest, ReplacesAnOlderFileAndLeavesNothingElse) {
  std::ofstream(Path("model")) << "older";
  ASSERT_EQ(Write(Path("model")), absl::OkStatus());
  ASSERT_EQ(Write(Path("fresh")), absl::OkStatus());
  EXPECT_EQ(ReadAll(Path("model")), ReadAll(Path("fresh")));
  EXPECT_EQ(FilesInFolder(), 2u);
}

TEST_F(TvlWriterTest, FollowsASymbolicLink) {
  std::ofstream(Path("target")) << "older";
  fs::create_symlink(Path("target"), Path("link"));
  ASSERT_EQ(Write(Path("link")), absl::OkStatus());
  EXPECT_TRUE(fs::is_symlink(Path("link")));
  EXPECT_GT(fs::file_size(Path("target")), 65536u);
  EXPECT_EQ(FilesInFolder(), 2u);
}

TEST_F(TvlWriterTest, NewFilesHaveTheUsualPermissions) {
  const mode_t mask = umask(022);
  ASSERT_EQ(Write(Path("model")), absl::OkStatus());
  umask(mask);
  struct stat info;
  ASSERT_EQ(stat(Path("model").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644u);
}

TEST_F(TvlWriterTest, RefusesTargetsThatAreNoFiles) {
  fs::create_directory(Path("folder"));
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  for (const std::string& target : {Path("folder"), Path("fifo"), std::string("/dev/null")}) {
    const absl::Status status = Write(target);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << target;
    EXPECT_THAT(std::string(status.message()), HasSubstr(target));
    EXPECT_THAT(std::string(status.message()), HasSubstr("expected a regular file"));
  }
  EXPECT_EQ(FilesInFolder(), 2u);
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(TvlWriterTest, SaysThatTheFolderIsMissing) {
  const absl::Status status = Write(Path("missing/model"));
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr(Path("missing/model")));
  EXPECT_EQ(FilesInFolder(), 0u);
}

TEST_F(TvlWriterTest, RefusesAnInvalidModelBeforeTouchingTheDisk) {
  ModelSource bad = model_.source();
  bad.config.n_kv_heads = 5;
  EXPECT_THAT(std::string(WriteTvl(bad, "", Path("model"), {}).message()), HasSubstr("n_kv_heads"));
  EXPECT_EQ(FilesInFolder(), 0u);
}

// Named as the source has it: row 1 of wk's first head is row 2 of what is written, w3 is in w13.
TEST_F(TvlWriterTest, NamesAWeightThatCannotBeQuantised) {
  const float infinity = std::numeric_limits<float>::infinity();
  const struct {
    WeightType type;
    MatrixSource LayerSource::*matrix;
    float weight;
    const char* expected;
  } cases[] = {
      {WeightType::kQ8, &LayerSource::wk, std::numeric_limits<float>::quiet_NaN(),
       "tensor layers.1.wk, row 1, column 35: q8 expects a finite number of magnitude up to "
       "8.31901e+06, found nan"},
      {WeightType::kQ4, &LayerSource::w3, -infinity,
       "tensor layers.1.w3, row 1, column 35: q4 expects a finite number of magnitude up to "
       "524032, "
       "found -inf"},
      {WeightType::kQ4M, &LayerSource::w1, 65505,
       "tensor layers.1.w1, row 1, column 35: q4m expects a finite number of magnitude up to "
       "65504, "
       "found 65505"}};
  for (const auto& c : cases) {
    ModelSource bad = model_.source();
    MatrixSource& matrix = bad.layers[1].*c.matrix;
    std::vector<float> weights(matrix.data, matrix.data + size_t{matrix.rows} * matrix.cols);
    weights[36 + 35] = c.weight;
    matrix.data = weights.data();
    TvlWriteOptions options;
    options.types = c.type;
    const absl::Status status = WriteTvl(bad, "", Path("model"), options);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(status.message(), c.expected);
    EXPECT_EQ(FilesInFolder(), 0u);
    // The others keep what they find.
    options.types = WeightType::kF32;
    EXPECT_EQ(WriteTvl(bad, "", Path("model"), options), absl::OkStatus());
    fs::remove(Path("model"));
  }
}

// Several batches: 300 columns of f32 make panels of 19 kB, and 2000 rows a hundred of these.
TEST_F(TvlWriterTest, ThreadsChangeNoByteAndNoError) {
  const TestModel model({.dim = 300,
                         .hidden_dim = 70,
                         .n_layers = 1,
                         .n_heads = 30,
                         .n_kv_heads = 30,
                         .vocab_size = 2000});
  // As quantised checkpoints have them.
  ModelSource decoded = model.source();
  MatrixSource& m = decoded.embedding;
  m.decode_row = [data = m.data, cols = m.cols](size_t row, float* out) {
    std::copy_n(data + row * cols, cols, out);
  };
  m.data = nullptr;
  std::vector<float> bad_weights(model.source().embedding.data,
                                 model.source().embedding.data + 2000 * 300);
  for (size_t row = 100; row < 2000; ++row) bad_weights[row * 300 + 7] = 1e10f;
  ModelSource bad = model.source();
  bad.embedding.data = bad_weights.data();
  for (const WeightType type : {WeightType::kF32, WeightType::kQ8, WeightType::kQ4M}) {
    TvlWriteOptions options;
    options.types = type;
    ASSERT_EQ(WriteTvl(model.source(), "", Path("alone"), options), absl::OkStatus());
    for (const size_t threads : {1, 2, 3, 8}) {
      ThreadPool pool(threads);
      options.pool = &pool;
      for (const ModelSource* source :
           {&model.source(), static_cast<const ModelSource*>(&decoded)}) {
        ASSERT_EQ(WriteTvl(*source, "", Path("together"), options), absl::OkStatus());
        EXPECT_TRUE(ReadAll(Path("alone")) == ReadAll(Path("together"))) << threads << " threads";
      }
      if (type == WeightType::kF32) continue;
      EXPECT_THAT(std::string(WriteTvl(bad, "", Path("bad"), options).message()),
                  HasSubstr("row 100, column 7"));
    }
  }
}

// Memory stays that of a panel: rows of a source that decodes them are asked for once, in the order
// of the file, into the buffers of 16 rows.
TEST_F(TvlWriterTest, DecodesSourcesPanelByPanel) {
  ModelSource decoded = model_.source();
  std::vector<size_t> asked;
  std::set<const float*> buffers;
  MatrixSource& wq = decoded.layers[0].wq;
  wq.decode_row = [&, data = wq.data, cols = wq.cols](size_t row, float* out) {
    asked.push_back(row);
    buffers.insert(out);
    std::copy_n(data + row * cols, cols, out);
  };
  wq.data = nullptr;
  ASSERT_EQ(Write(Path("stored")), absl::OkStatus());
  ASSERT_EQ(WriteTvl(decoded, "", Path("decoded"), {}), absl::OkStatus());
  EXPECT_EQ(ReadAll(Path("stored")), ReadAll(Path("decoded")));
  EXPECT_LE(buffers.size(), kPanelRows);
  std::vector<size_t> expected;
  for (size_t r = 0; r < wq.rows; ++r) expected.push_back(wq.SourceRow(r));
  EXPECT_EQ(asked, expected);
}

TEST_F(TvlWriterTest, ReportsProgressUpToTheTotal) {
  uint64_t last = 0, total = 0;
  TvlWriteOptions options;
  options.progress = [&](uint64_t done, uint64_t all) {
    EXPECT_GE(done, last);
    EXPECT_LE(done, all);
    last = done;
    total = all;
    return true;
  };
  ASSERT_EQ(WriteTvl(model_.source(), "", Path("model"), options), absl::OkStatus());
  EXPECT_EQ(last, total);
  EXPECT_EQ(total, fs::file_size(Path("model")) - 65536);
}

// Tensors of a large file begin on 2 MB, those of a small one on 64 kB, as they always did.
TEST_F(TvlWriterTest, LargeFilesBeginOnAPageOfTwoMegabytes) {
  const auto data_begin = [&](uint32_t vocab_size) {
    ModelSource model = model_.source();
    model.config.vocab_size = vocab_size;
    model.embedding.rows = vocab_size;
    model.embedding.data = nullptr;
    model.embedding.decode_row = [cols = model.embedding.cols](size_t row, float* out) {
      std::fill_n(out, cols, static_cast<float>(row));
    };
    uint64_t total = 0;
    TvlWriteOptions options;
    options.progress = [&](uint64_t, uint64_t all) {
      total = all;
      return true;
    };
    EXPECT_EQ(WriteTvl(model, "", Path("model"), options), absl::OkStatus());
    const absl::StatusOr<MappedFile> file = MappedFile::Open(Path("model"));
    const absl::StatusOr<TvlReader> reader = TvlReader::Parse(file->bytes(), "model");
    EXPECT_TRUE(reader.ok()) << reader.status();
    EXPECT_EQ(reader->VerifyGaps(), absl::OkStatus());
    for (const TensorInfo& tensor : reader->tensors())
      EXPECT_EQ(reader->VerifyTensor(tensor), absl::OkStatus());
    return fs::file_size(Path("model")) - total;
  };
  constexpr uint32_t kRowsOf64MiB = (64u << 20) / (36 * sizeof(float));
  EXPECT_EQ(data_begin(kRowsOf64MiB / 2), 65536u);
  EXPECT_EQ(data_begin(kRowsOf64MiB), 2u << 20);
}

TEST_F(TvlWriterTest, StopsWhenToldAndLeavesNothing) {
  int calls = 0;
  TvlWriteOptions options;
  options.progress = [&](uint64_t, uint64_t) { return ++calls < 3; };
  EXPECT_EQ(WriteTvl(model_.source(), "", Path("model"), options).code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(FilesInFolder(), 0u);
}

}  // namespace
}  // namespace tvl
