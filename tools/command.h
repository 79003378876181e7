// What tvl_main.cc and the subcommands agree on.
#ifndef TVL_TOOLS_COMMAND_H_
#define TVL_TOOLS_COMMAND_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "core/kv_slot.h"
#include "models/weight_memory.h"

namespace tvl {

// What to do once the command line is known to be right. Cancelled means interrupted; any other
// error is printed as one sentence and is exit code 1.
using Action = std::function<absl::Status()>;

// What a command with --pin notes where it has no effect.
inline constexpr char kCannotPin[] =
    "tvl: this system does not let a program keep threads on cores: --pin has no effect\n";

// Each adds its subcommand, which sets `action` when it is the one that was asked for.
void AddBench(CLI::App& app, Action* action);
void AddCache(CLI::App& app, Action* action);
void AddChat(CLI::App& app, Action* action);
void AddConvert(CLI::App& app, Action* action);
void AddFingerprint(CLI::App& app, Action* action);
void AddGenerate(CLI::App& app, Action* action);
void AddInspect(CLI::App& app, Action* action);
void AddPerplexity(CLI::App& app, Action* action);
void AddTokenize(CLI::App& app, Action* action);
void AddVerify(CLI::App& app, Action* action);

// Options that several subcommands share, and numbers that are checked: CLI11's own conversions
// take "-1" for a large unsigned number, "010" for eight, and "nan" for a number.
inline constexpr uint64_t kMaxThreads = 1024;
inline constexpr uint64_t kMaxPositions = uint64_t{1} << 24;

// Names of options that people know from other programs, llama.cpp's above all, beside our own.
inline constexpr char kContextNames[] = "-c,--context,--ctx-size";
inline constexpr char kSeedNames[] = "-s,--seed";
inline constexpr char kTemperatureNames[] = "--temperature,--temp";
inline constexpr char kMaxTokensNames[] = "-n,--max-tokens,--n-predict,--predict";

// A whole number, decimal, from min to max. `names` as in CLI11.
CLI::Option* AddCount(CLI::App& app, const std::string& names, uint64_t min, uint64_t max,
                      uint64_t* value, const std::string& help);
// A finite number that is not negative.
CLI::Option* AddNonNegative(CLI::App& app, const std::string& names, float* value,
                            const std::string& help);

// A number from 0 to 1.
CLI::Option* AddProbability(CLI::App& app, const std::string& names, float* value,
                            const std::string& help);

// A name that is not empty.
CLI::Option* AddFileName(CLI::App& app, const std::string& names, std::string* path,
                         const std::string& help);

// One of a file that is mapped, or made of tensors at their places: anything but "-".
CLI::Option* AddMappedFile(CLI::App& app, const std::string& names, std::string* path,
                           const std::string& help);

// Of commands that write files (tools/output_file.h).
void AddForce(CLI::App& app, bool* force);

void AddModel(CLI::App& app, std::string* path);
void AddThreads(CLI::App& app, uint64_t* threads);  // 0: default
// Whole numbers with commas between.
CLI::Option* AddCounts(CLI::App& app, const std::string& names, uint64_t min, uint64_t max,
                       std::vector<uint64_t>* values, const std::string& help);
CLI::Option* AddPin(CLI::App& app, bool* pin);
// --populate, --mlock, --huge-pages, --no-read-ahead.
std::vector<const CLI::Option*> AddMemory(CLI::App& app, MemoryOptions* memory);
void AddPrefillChunk(CLI::App& app, uint64_t* tokens);
// `otherwise` says when the default is another.
void AddKvType(CLI::App& app, KvType* type, const std::string& otherwise = "");

}  // namespace tvl

#endif  // TVL_TOOLS_COMMAND_H_
