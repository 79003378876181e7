#include "tools/bench_startup.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "backends/selected.h"
#include "core/mapped_file.h"
#include "core/page_residency.h"
#include "core/read_ahead.h"
#include "core/token.h"
#include "samplers/greedy.h"
#include "tools/model.h"
#include "tools/model_cache.h"
#include "tools/output.h"
#include "tools/percentile.h"
#include "tools/progress.h"
#include "tools/units.h"

namespace tvl {
namespace {

// What a start may take. Warm, the weights are read through a page table that is filled as they
// are, which takes a token or so. Cold, the disk decides.
constexpr double kWarmTokens = 2;
constexpr double kColdSeconds = 0.2;

constexpr size_t kSteadyTokens = 16;

// All in seconds, of all rounds.
struct State {
  const char* name;
  std::vector<double> read;     // read() of the file, a megabyte at a time
  std::vector<double> page_in;  // populating a fresh mapping
  std::vector<double> open;     // engine and tokenizer
  std::vector<double> session;  // from there until a session is ready
  std::vector<double> first;    // from the start until the first token is chosen
};

struct Steady {
  std::vector<double> prefill;
  std::vector<double> token;
};

double Median(const std::vector<double>& values) { return Percentile(values, 0.5); }

class StartupBenchmark {
 public:
  StartupBenchmark(const StartupOptions& options, const std::string& file)
      : options_(options), file_(file) {}

  // Nothing may have the file mapped, or the system does not drop it.
  absl::Status Round(bool read_first) {
    // A disk may be faster the second time, too: take turns.
    const auto cold_read = [&] { return Cold([&] { return Read(&cold_.read); }); };
    const auto cold_start = [&] { return Cold([&] { return Start(&cold_, nullptr); }); };
    if (absl::Status s = read_first ? cold_read() : cold_start(); !s.ok()) return s;
    if (absl::Status s = read_first ? cold_start() : cold_read(); !s.ok()) return s;
    if (absl::Status s = Cold([&] { return PageIn(&cold_.page_in); }); !s.ok()) return s;
    if (absl::Status s = Read(&warm_.read); !s.ok()) return s;
    if (absl::Status s = PageIn(&warm_.page_in); !s.ok()) return s;
    return Start(&warm_, &steady_);
  }

  std::string Table() const {
    const double prefill = Median(steady_.prefill), token = Median(steady_.token);
    std::string out = absl::StrCat("model      ", name_, ", ", FormatBytes(bytes_), "\nbackend    ",
                                   std::string(SelectedKernel::kName), ", ", threads_,
                                   threads_ == 1 ? " thread\n\n" : " threads\n\n");
    absl::StrAppendFormat(&out, "%-5s %10s %11s %9s %11s %15s %12s\n", "file", "read() ms",
                          "page-in ms", "open ms", "session ms", "first token ms", "at most ms");
    Row(warm_, prefill + kWarmTokens * token, &out);
    Row(cold_, Median(cold_.read) + kColdSeconds, &out);
    absl::StrAppendFormat(
        &out,
        "\nsteady: a prompt of %s in %.2f ms, a new one in %.2f ms; medians of %d %s\n"
        "at most: warm, the prompt and %.0f new tokens; cold, read() and %.0f ms\n",
        FormatTokens(prompt_), 1e3 * prefill, 1e3 * token, warm_.first.size(),
        warm_.first.size() == 1 ? "round" : "rounds", kWarmTokens, 1e3 * kColdSeconds);
    return out;
  }

  // Of the file, after it should have been dropped, at worst.
  uint64_t kept_bytes() const { return kept_; }

 private:
  static void Row(const State& s, double at_most, std::string* out) {
    absl::StrAppendFormat(out, "%-5s %10.2f %11.2f %9.2f %11.2f %15.2f %12.2f\n", s.name,
                          1e3 * Median(s.read), 1e3 * Median(s.page_in), 1e3 * Median(s.open),
                          1e3 * Median(s.session), 1e3 * Median(s.first), 1e3 * at_most);
  }

  template <typename Measure>
  absl::Status Cold(Measure&& measure) {
    if (absl::Status s = DropCachedPages(file_); !s.ok()) return s;
    {
      const absl::StatusOr<MappedFile> file = MappedFile::Open(file_);
      if (!file.ok()) return file.status();
      kept_ = std::max<uint64_t>(kept_, ResidentBytes(file->bytes()));
    }
    return measure();
  }

  absl::Status Read(std::vector<double>* seconds) const {
    std::vector<char> buffer(size_t{1} << 20);
    const Stopwatch watch;
    const int fd = open(file_.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", file_));
    ssize_t got = 0;
    do {
      got = read(fd, buffer.data(), buffer.size());
    } while (got > 0);
    const int error = got < 0 ? errno : 0;
    close(fd);
    if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot read ", file_));
    seconds->push_back(watch.seconds());
    return absl::OkStatus();
  }

  absl::Status PageIn(std::vector<double>* seconds) const {
    const Stopwatch watch;
    const absl::StatusOr<MappedFile> file = MappedFile::Open(file_);
    if (!file.ok()) return file.status();
    if (absl::Status s = ReadAhead::Now({file->bytes()}); !s.ok()) return s;
    seconds->push_back(watch.seconds());
    return absl::OkStatus();
  }

  // As tvl generate does it, less the text. Then, unless `steady` is null, the same again and some
  // more tokens.
  absl::Status Start(State* state, Steady* steady) {
    const Stopwatch watch;
    auto engine = OpenModel<SelectedKernel>(options_.model, options_.engine);
    if (!engine.ok()) return engine.status();
    if ((*engine)->reader().has_tokenizer()) {
      if (auto tokenizer = OpenTokenizer((*engine)->reader()); !tokenizer.ok())
        return tokenizer.status();
    }
    state->open.push_back(watch.seconds());
    auto session = (*engine)->NewSession(options_.session);
    if (!session.ok()) return session.status();
    state->session.push_back(watch.seconds() - state->open.back());
    // With room for the steady tokens, if there is any.
    const size_t context = session->context();
    const size_t most = context > kSteadyTokens ? context - kSteadyTokens : 1;
    std::vector<TokenId> tokens(std::min<uint64_t>(options_.prompt, most));
    for (size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = static_cast<TokenId>((i * 7919 + 1) % session->config().vocab_size);
    if (absl::Status s = session->Prefill(tokens); !s.ok()) return s;
    TokenId next = Greedy().Sample(session->logits());
    state->first.push_back(watch.seconds());

    name_ = (*engine)->reader().name();
    bytes_ = (*engine)->reader().bytes().size();
    threads_ = (*engine)->threads();
    prompt_ = tokens.size();
    if (steady == nullptr) return absl::OkStatus();
    session->Rewind(0);
    const Stopwatch prefill;
    if (absl::Status s = session->Prefill(tokens); !s.ok()) return s;
    steady->prefill.push_back(prefill.seconds());
    const size_t room = session->context() - session->position();
    for (size_t i = 0; i < std::min(kSteadyTokens, room); ++i) {
      const Stopwatch step;
      if (absl::Status s = session->Step(next); !s.ok()) return s;
      next = Greedy().Sample(session->logits());
      steady->token.push_back(step.seconds());
    }
    return absl::OkStatus();
  }

  const StartupOptions& options_;
  const std::string file_;  // a .tvl file
  State warm_ = {"warm", {}, {}, {}, {}, {}};
  State cold_ = {"cold", {}, {}, {}, {}, {}};
  Steady steady_;
  uint64_t kept_ = 0;
  std::string name_;
  uint64_t bytes_ = 0;
  size_t threads_ = 0;
  size_t prompt_ = 0;
};

}  // namespace

absl::Status RunStartup(const StartupOptions& options) {
  if (options.model.empty()) {
    return absl::InvalidArgumentError(
        "--startup: expected a file that can be dropped from memory, found the embedded model; "
        "name one with --model");
  }
  std::string file;
  {
    const absl::StatusOr<TvlFile> opened = OpenTvlFile(options.model);
    if (!opened.ok()) return opened.status();
    file = opened->path;
  }
  StartupBenchmark benchmark(options, file);
  {
    Progress progress("measuring");
    for (uint64_t round = 0; round < options.rounds; ++round) {
      if (absl::Status s = benchmark.Round(round % 2 == 0); !s.ok()) return s;
      progress.Update(round + 1, options.rounds);
    }
  }
  if (benchmark.kept_bytes() > 0) {
    PrintNote(absl::StrCat("tvl: the system kept ", FormatBytes(benchmark.kept_bytes()),
                           " of the file in memory when asked to drop it (is another program using "
                           "it?): the cold figures are not quite those of a cold file\n"));
  }
  return Print(benchmark.Table());
}

}  // namespace tvl
