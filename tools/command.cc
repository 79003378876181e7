#include "tools/command.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace tvl {
namespace {

// Of "-c,--context,--ctx-size" the one that CLI11, too, calls it by: --context.
std::string MainName(const std::string& names) {
  const std::vector<std::string> all = absl::StrSplit(names, ',');
  for (const std::string& name : all) {
    if (absl::StartsWith(name, "--")) return name;
  }
  return all.front();
}

// The error that CLI11 shows as "--threads: expected ...".
[[noreturn]] void Refuse(const std::string& names, const std::string& expected,
                         const std::string& found) {
  throw CLI::ValidationError(MainName(names),
                             absl::StrCat("expected ", expected, ", found '", found, "'"));
}

}  // namespace

CLI::Option* AddCount(CLI::App& app, const std::string& names, uint64_t min, uint64_t max,
                      uint64_t* value, const std::string& help) {
  const auto parse = [=](const std::string& text) {
    uint64_t number = 0;
    if (!absl::SimpleAtoi(text, &number) || number < min || number > max) {
      Refuse(names, absl::StrCat("a whole number from ", min, " to ", max), text);
    }
    *value = number;
  };
  return app.add_option_function<std::string>(names, parse, help)->type_name("N");
}

CLI::Option* AddNonNegative(CLI::App& app, const std::string& names, float* value,
                            const std::string& help) {
  const auto parse = [=](const std::string& text) {
    float number = 0;
    if (!absl::SimpleAtof(text, &number) || !std::isfinite(number) || number < 0) {
      Refuse(names, "a finite number that is 0 or more", text);
    }
    *value = number;
  };
  return app.add_option_function<std::string>(names, parse, help)->type_name("X");
}

CLI::Option* AddProbability(CLI::App& app, const std::string& names, float* value,
                            const std::string& help) {
  const auto parse = [=](const std::string& text) {
    float number = 0;
    if (!absl::SimpleAtof(text, &number) || !(number >= 0 && number <= 1)) {
      Refuse(names, "a number from 0 to 1", text);
    }
    *value = number;
  };
  return app.add_option_function<std::string>(names, parse, help)->type_name("P");
}

CLI::Option* AddFileName(CLI::App& app, const std::string& names, std::string* path,
                         const std::string& help) {
  // An empty name is a mistake, most often an unset variable, and must not mean that none is given.
  const auto parse = [=](const std::string& text) {
    if (text.empty()) Refuse(names, "the name of a file", text);
    *path = text;
  };
  return app.add_option_function<std::string>(names, parse, help)->type_name("FILE");
}

CLI::Option* AddMappedFile(CLI::App& app, const std::string& names, std::string* path,
                           const std::string& help) {
  const auto parse = [=](const std::string& text) {
    if (text.empty()) Refuse(names, "the name of a file", text);
    if (text == "-") {
      throw CLI::ValidationError(MainName(names),
                                 "expected the name of a file, found '-': standard input and "
                                 "output cannot be mapped into memory");
    }
    *path = text;
  };
  return app.add_option_function<std::string>(names, parse, help)->type_name("FILE");
}

void AddForce(CLI::App& app, bool* force) {
  app.add_flag("--force", *force, "Replace the output file even if tvl did not write it");
}

void AddModel(CLI::App& app, std::string* path) {
  AddMappedFile(app, "-m,--model", path,
                "A .tvl or GGUF file (default: the model inside this program)");
}

void AddThreads(CLI::App& app, uint64_t* threads) {
  AddCount(app, "-t,--threads", 1, kMaxThreads, threads,
           "Threads to compute with (default: one per performance core, fewer for a tiny model)");
}

CLI::Option* AddCounts(CLI::App& app, const std::string& names, uint64_t min, uint64_t max,
                       std::vector<uint64_t>* values, const std::string& help) {
  const auto parse = [=](const std::string& text) {
    std::vector<uint64_t> numbers;
    for (const absl::string_view part : absl::StrSplit(text, ',')) {
      uint64_t number = 0;
      if (!absl::SimpleAtoi(part, &number) || number < min || number > max) {
        Refuse(names, absl::StrCat("whole numbers from ", min, " to ", max, " with commas between"),
               text);
      }
      numbers.push_back(number);
    }
    *values = numbers;
  };
  return app.add_option_function<std::string>(names, parse, help)->type_name("N,N..");
}

CLI::Option* AddPin(CLI::App& app, bool* pin) {
  return app.add_flag(
      "--pin", *pin, "Keep each thread on a core of its own, performance cores first (Linux only)");
}

std::vector<const CLI::Option*> AddMemory(CLI::App& app, MemoryOptions* memory) {
  return {
      app.add_flag("--populate", memory->populate,
                   "Read and map all of the model's file before the first pass"),
      app.add_flag("--mlock", memory->lock,
                   "Keep the model in memory until the end (see 'ulimit -l')"),
      app.add_flag("--huge-pages", memory->huge_pages,
                   "Compute with a copy of the model in pages of 2 MB, where the system has them"),
      app.add_flag_callback(
          "--no-read-ahead", [memory] { memory->read_ahead = false; },
          "Read of the file only what is needed, when it is needed"),
  };
}

void AddPrefillChunk(CLI::App& app, uint64_t* tokens) {
  AddCount(app, "--prefill-chunk", 1, kMaxPositions, tokens,
           absl::StrCat("Tokens of the prompt that run at a time; changes no result (default: ",
                        *tokens, ")"));
}

void AddKvType(CLI::App& app, KvType* type, const std::string& otherwise) {
  app.add_option_function<std::string>(
         "--kv-dtype",
         [type](const std::string& text) {
           for (const KvType known : kKvTypes) {
             if (text != KvTypeName(known)) continue;
             *type = known;
             return;
           }
           throw CLI::ValidationError("--kv-dtype",
                                      absl::StrCat("expected f32, f16 or q8, found ", text));
         },
         absl::StrCat("Of the keys and values that attention remembers: 32, 16 or 8.5 bits each "
                      "(default: ",
                      KvTypeName(*type), otherwise, ")"))
      ->type_name("f32|f16|q8");
}

}  // namespace tvl
