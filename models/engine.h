// The public API: open a model, start a session, prefill, step, read logits.
//
//   auto engine = tvl::Engine<tvl::SelectedKernel>::Open("model.tvl", {});
//   if (!engine.ok()) return engine.status();
//   auto session = (*engine)->NewSession({});
//   if (!session.ok()) return session.status();
//   absl::Status status = session->Prefill(prompt);
//   // session->logits() now predict the token after the prompt
//   status = session->Step(tvl::Greedy().Sample(session->logits()));
//
// The kernel is a template parameter so that models depend on no backend; //backends:selected
// supplies the one that the build's configuration chose.
#ifndef TVL_MODELS_ENGINE_H_
#define TVL_MODELS_ENGINE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/compiler_check.h"
#include "core/cpu_cores.h"
#include "core/kernel.h"
#include "core/kv_cache.h"
#include "core/kv_slot.h"
#include "core/mapped_file.h"
#include "core/model_view.h"
#include "core/run_state.h"
#include "core/thread_pool.h"
#include "core/token.h"
#include "core/trace.h"
#include "models/llama.h"
#include "models/session_file.h"
#include "models/tvl_reader.h"
#include "models/weight_memory.h"

namespace tvl {

struct SessionOptions {
  size_t context = 0;  // positions; 0, or more than the model's, means the model's
  // Tokens that one pass of Prefill runs; any value gives the same bits.
  size_t prefill_chunk = 256;
  KvType kv_type = KvType::kF16;  // what the KV cache keeps
  bool all_logits = false;        // keep room for the logits of every token of a chunk (PrefillAll)
};

// One sequence: its KV cache, its activations, its logits. Not thread-safe itself, but sessions of
// one engine may be opened, used and closed from different threads: everything of a session is its
// own but the thread pool, which runs one pass (a token, or a chunk of a prompt) at a time, for
// whoever comes first. Nobody's bits depend on the others.
template <Kernel K, ModelView M>
class Session {
 public:
  // `model`'s memory and `pool` must outlive the session; `identity` is what tells its files from
  // those of other models. ResourceExhausted if there is no room for the KV cache,
  // FailedPrecondition if the program was compiled with flags that change its numbers.
  static absl::StatusOr<Session> Create(M model, ThreadPool* pool, const SessionOptions& options,
                                        uint64_t identity = 0) {
    if (!CompilerKeepsRoundings()) {
      return absl::FailedPreconditionError(
          "the compiler fused a product and a sum, which changes the numbers; compile all of this "
          "program with -ffp-contract=off and without -ffast-math");
    }
    const ModelConfig& config = model.config();
    const size_t context = options.context == 0
                               ? config.context_length
                               : std::min<size_t>(options.context, config.context_length);
    const RunState::Shape shape = StateShape(context, pool->threads(), options);
    absl::StatusOr<KvCache> cache = KvCache::Create(config, context, options.kv_type);
    if (!cache.ok()) return NoRoom(config, shape, options.kv_type, cache.status());
    absl::StatusOr<RunState> state = RunState::Create(config, shape);
    if (!state.ok()) return NoRoom(config, shape, options.kv_type, state.status());
    return Session(model, identity, pool, *std::move(cache), *std::move(state));
  }

  // What Create will reserve for activations.
  static RunState::Shape StateShape(size_t context, size_t threads, const SessionOptions& options) {
    const size_t chunk = std::max<size_t>(1, std::min(options.prefill_chunk, context));
    return {.max_tokens = chunk,
            .logit_rows = options.all_logits ? chunk : 1,
            .threads = threads,
            .context = context,
            .float_batch = K::kFloatBatch,
            .quant_batch = K::kQuantBatch};
  }

  size_t position() const { return tokens_.size(); }  // tokens so far
  std::span<const TokenId> tokens() const { return tokens_; }
  size_t context() const { return state_.shape().context; }
  KvType kv_type() const { return cache_.type(); }
  const ModelConfig& config() const { return llama_.config(); }

  // Logits (vocab_size) that predict the token after the last one run. Samplers may overwrite them.
  std::span<float> logits() { return {state_.logits.Row(logits_row_), config().vocab_size}; }

  // Runs the tokens of a prompt. Afterwards logits() are those of the last. InvalidArgument for an
  // id that is not in the vocabulary, OutOfRange if the tokens do not fit the context; the session
  // is then as it was before.
  absl::Status Prefill(std::span<const TokenId> tokens) {
    return Prefill(tokens, [] { return absl::OkStatus(); });
  }

  // As above, and calls between() -> absl::Status after each chunk but the last: a long prompt can
  // be stopped there. Its error is returned; what has been run by then stays in the session.
  template <typename Between>
  absl::Status Prefill(std::span<const TokenId> tokens, Between&& between) {
    if (absl::Status s = Check(tokens); !s.ok()) return s;
    Expect(position() + tokens.size(), /*now=*/true);
    while (!tokens.empty()) {
      const size_t count = std::min(tokens.size(), state_.shape().max_tokens);
      Run(tokens.first(count), count == tokens.size() ? Logits::kLast : Logits::kNone);
      tokens = tokens.subspan(count);
      if (tokens.empty()) break;
      if (absl::Status s = between(); !s.ok()) return s;
    }
    return absl::OkStatus();
  }

  // As Prefill, and calls sink(logits) for every token in order. REQUIRES:
  // SessionOptions::all_logits.
  template <typename Sink>
  absl::Status PrefillAll(std::span<const TokenId> tokens, Sink&& sink) {
    if (state_.shape().logit_rows < state_.shape().max_tokens) {
      return absl::FailedPreconditionError(
          "PrefillAll needs a session with SessionOptions::all_logits");
    }
    if (absl::Status s = Check(tokens); !s.ok()) return s;
    Expect(position() + tokens.size(), /*now=*/true);
    while (!tokens.empty()) {
      const size_t count = std::min(tokens.size(), state_.shape().max_tokens);
      Run(tokens.first(count), Logits::kAll);
      for (logits_row_ = 0; logits_row_ < count; ++logits_row_) sink(logits());
      logits_row_ = count - 1;
      tokens = tokens.subspan(count);
    }
    return absl::OkStatus();
  }

  // Runs one token. Errors as Prefill. Allocates nothing.
  absl::Status Step(TokenId token) {
    const std::span<const TokenId> one(&token, 1);
    if (absl::Status s = Check(one); !s.ok()) return s;
    if (position() >= expected_) Expect(position() + kExpectedSteps, /*now=*/false);
    Run(one, Logits::kLast);
    return absl::OkStatus();
  }

  // Forgets the tokens from `position` on, if there are any; logits() are then stale until the next
  // Step or Prefill.
  void Rewind(size_t position) {
    if (position >= tokens_.size()) return;
    cache_.Truncate(position);
    tokens_.resize(position);
  }

  // Writes the session to a file, with tokens that are to follow those run (the last one drawn,
  // say) and the number of tokens drawn so far.
  absl::Status Save(const std::string& path, std::span<const TokenId> to_run,
                    uint64_t steps) const {
    std::vector<TokenId> all = tokens_;
    all.insert(all.end(), to_run.begin(), to_run.end());
    return SaveSession(
        path, {.model = identity_, .tokens = all, .positions = tokens_.size(), .steps = steps},
        cache_);
  }

  // Takes the place of what this session holds: the tokens that were run, and their keys and values
  // bit for bit. logits() are stale until the next Step or Prefill, which is to begin with
  // file.info().tokens.subspan(position()), or, if that is empty, with the last token, run once
  // more after Rewind(position() - 1). FailedPrecondition if the file is of another model, has
  // another type of KV cache, or more positions than fit, DataLoss or InvalidArgument if it
  // contradicts itself; the session is then as it was.
  absl::Status Resume(const SessionFile& file) {
    const std::span<const TokenId> run = file.info().tokens.first(file.info().positions);
    if (absl::Status s = file.CheckFits(identity_, context(), cache_); !s.ok()) return s;
    for (const TokenId token : file.info().tokens) {
      if (absl::Status s = CheckToken(token); !s.ok()) return s;
    }
    Rewind(0);
    Expect(run.size(), /*now=*/true);
    file.CopyTo(&cache_);
    tokens_.assign(run.begin(), run.end());
    return absl::OkStatus();
  }

 private:
  using Logits = typename Llama<K, M>::Logits;

  Session(M model, uint64_t identity, ThreadPool* pool, KvCache cache, RunState state)
      : llama_(model),
        identity_(identity),
        pool_(pool),
        cache_(std::move(cache)),
        state_(std::move(state)) {
    tokens_.reserve(context());
  }

  // The names of the options are those of the program.
  static absl::Status NoRoom(const ModelConfig& config, const RunState::Shape& shape,
                             KvType kv_type, const absl::Status& status) {
    const uint64_t cache = KvCache::BytesFor(config, shape.context, kv_type);
    const uint64_t state = RunState::BytesFor(config, shape);
    return absl::ResourceExhaustedError(absl::StrCat(
        "expected room for a context of ", shape.context, " positions, ", cache / 1'000'000,
        " MB of keys and values and ", state / 1'000'000, " MB of activations: ", status.message(),
        "; a smaller --context or --prefill-chunk takes less",
        kv_type == KvType::kQ8 ? "" : ", and so does --kv-dtype q8"));
  }

  absl::Status Check(std::span<const TokenId> tokens) const {
    if (tokens.size() > context() - position()) {
      return absl::OutOfRangeError(
          absl::StrCat("the context of ", context(), " positions is full: ", position(),
                       " are taken and ", tokens.size(), " more were asked for"));
    }
    for (const TokenId token : tokens) {
      if (absl::Status s = CheckToken(token); !s.ok()) return s;
    }
    return absl::OkStatus();
  }

  // Tells the cache how far it will be filled.
  void Expect(size_t positions, bool now) {
    if (positions <= expected_) return;
    expected_ = std::min(positions, context());
    cache_.Expect(expected_, now);
  }

  absl::Status CheckToken(TokenId token) const {
    if (token >= 0 && static_cast<uint32_t>(token) < config().vocab_size) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("token id: expected 0 to ", config().vocab_size - 1, ", found ", token));
  }

  void Run(std::span<const TokenId> tokens, Logits logits) {
    llama_.Forward(tokens, position(), logits, cache_, state_, *pool_);
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
    logits_row_ = 0;
  }

  Llama<K, M> llama_;
  uint64_t identity_;
  ThreadPool* pool_;
  KvCache cache_;
  RunState state_;
  std::vector<TokenId> tokens_;  // those run; reserved for the whole context
  // Positions that the cache was told to expect; those of steps come so many at a time.
  static constexpr size_t kExpectedSteps = 256;
  size_t expected_ = 0;
  size_t logits_row_ = 0;
};

struct EngineOptions {
  size_t threads = 0;               // 0: ThreadsFor(the model)
  Pinning pinning = Pinning::kOff;  // of the threads to cores, see ThreadPool
  MemoryOptions memory = {};        // how the weights come into memory
  size_t trace_events = 0;          // what Engine::trace keeps of each thread; 0: no trace
  // Called with the parsed file before the threads are started, to choose them by the model.
  std::function<void(const TvlReader&, EngineOptions*)> adjust = nullptr;
};

// Threads that pay for a model when nobody says otherwise: those of DefaultThreadCount(), but each
// with 1 MB to read per token at least, since all meet five times per layer. Measured on one and on
// two cores of a Xeon: 4,287 and 7,097 tokens/s with 5.7 MB, 36,589 and 12,918 with 1.1 MB.
inline size_t ThreadsFor(const TvlReader& reader) {
  constexpr uint64_t kBytesPerThread = uint64_t{1} << 20;
  const uint64_t useful = std::max<uint64_t>(1, reader.BytesPerToken() / kBytesPerThread);
  return static_cast<size_t>(std::min<uint64_t>(DefaultThreadCount(), useful));
}

// One open model and the threads that compute with it. Thread-safe; must outlive its sessions.
template <Kernel K>
class Engine {
 public:
  using View = TvlReader::View;
  using SessionType = Session<K, View>;

  // Maps a .tvl file and uses it in place (or a copy: MemoryOptions::huge_pages). Errors name the
  // file, the field, what was expected and what was found.
  static absl::StatusOr<std::unique_ptr<Engine>> Open(const std::string& path,
                                                      const EngineOptions& options) {
    absl::StatusOr<MappedFile> file = MappedFile::Open(path);
    if (!file.ok()) return file.status();
    return FromFile(*std::move(file), path, options);
  }

  // The same for a file that is open already, which errors and reports call `name`.
  static absl::StatusOr<std::unique_ptr<Engine>> FromFile(MappedFile file, const std::string& name,
                                                          const EngineOptions& options) {
    std::unique_ptr<Engine> engine(new Engine);
    engine->file_ = std::move(file);
    if (absl::Status s = engine->Start(engine->file_->bytes(), name, options); !s.ok()) return s;
    if (engine->memory_.copied_bytes() > 0) engine->file_.reset();
    return engine;
  }

  // The same for a model that is in memory already (linked into the program, say), 64-byte aligned,
  // and outlives the engine.
  static absl::StatusOr<std::unique_ptr<Engine>> FromBytes(std::span<const std::byte> bytes,
                                                           const std::string& name,
                                                           const EngineOptions& options) {
    std::unique_ptr<Engine> engine(new Engine);
    if (absl::Status s = engine->Start(bytes, name, options); !s.ok()) return s;
    return engine;
  }

  const TvlReader& reader() const { return *reader_; }
  size_t threads() const { return pool_->threads(); }
  bool pinned() const { return pool_->pinned(); }
  const WeightMemory& memory() const { return memory_; }
  // Null unless EngineOptions::trace_events. For WriteTrace (models/trace_file.h).
  Trace* trace() { return trace_ ? &*trace_ : nullptr; }
  // For other work on the same threads, between the passes of the sessions.
  ThreadPool& pool() { return *pool_; }

  absl::StatusOr<SessionType> NewSession(const SessionOptions& options) {
    return SessionType::Create(reader_->view(), &*pool_, options, reader_->identity());
  }

 private:
  Engine() = default;

  absl::Status Start(std::span<const std::byte> bytes, const std::string& name,
                     EngineOptions options) {
    absl::StatusOr<TvlReader> reader = TvlReader::Parse(bytes, name);
    if (!reader.ok()) return reader.status();
    reader_ = *std::move(reader);
    if (options.adjust) options.adjust(*reader_, &options);
    const size_t threads = options.threads == 0 ? ThreadsFor(*reader_) : options.threads;
    if (options.trace_events > 0) trace_.emplace(threads, options.trace_events);
    try {
      pool_.emplace(threads, options.pinning, trace());
    } catch (const std::system_error& error) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "cannot start ", threads, threads == 1 ? " thread: " : " threads: ", error.what(),
          "; try fewer with --threads"));
    }
    const bool residency_known = !file_ || file_->residency_known();
    return memory_.Prepare(options.memory, residency_known, *pool_, &*reader_);
  }

  std::optional<MappedFile> file_;
  WeightMemory memory_;  // of those bytes
  std::optional<TvlReader> reader_;
  std::optional<Trace> trace_;
  std::optional<ThreadPool> pool_;
};

}  // namespace tvl

#endif  // TVL_MODELS_ENGINE_H_
