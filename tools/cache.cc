// tvl cache: the GGUF models that were converted when they were first used.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/cache_folder.h"
#include "tools/command.h"
#include "tools/model_cache.h"
#include "tools/output.h"
#include "tools/printable.h"
#include "tools/tuning.h"
#include "tools/units.h"

namespace tvl {
namespace {

struct ClearOptions {
  std::vector<std::string> names;
  bool stale = false;
};

std::string TimeText(std::time_t time) {
  std::tm parts = {};
  char text[32];
  if (localtime_r(&time, &parts) == nullptr ||
      std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &parts) == 0)
    return "?";
  return text;
}

const char* StateText(SourceState state) {
  switch (state) {
    case SourceState::kUnchanged:
      return "unchanged";
    case SourceState::kChanged:
      return "stale: changed";
    case SourceState::kGone:
      return "stale: gone";
    case SourceState::kUnknown:
      return "unknown";
  }
  return "?";
}

std::string TotalText(size_t count, uint64_t bytes) {
  return absl::StrCat(count, count == 1 ? " model, " : " models, ", FormatBytes(bytes));
}

std::string Table(const std::vector<CachedModel>& models) {
  using Cells = std::array<std::string, 5>;
  std::vector<Cells> rows = {{"model", "size", "last used", "source is", "source"}};
  for (const CachedModel& m : models) {
    rows.push_back({m.name, FormatBytes(m.bytes), TimeText(m.used), StateText(m.state),
                    m.source.empty() ? "-" : Printable(m.source)});
  }
  std::array<size_t, 5> widths = {};
  for (const Cells& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const Cells& row : rows) {
    for (size_t i = 0; i + 1 < row.size(); ++i)
      absl::StrAppend(&out, row[i], std::string(widths[i] - row[i].size() + 2, ' '));
    absl::StrAppend(&out, row.back(), "\n");
  }
  return out;
}

// What tvl bench --tune has kept; empty if that is nothing. A damaged file is said to be one.
std::string TuningsText() {
  const absl::StatusOr<std::vector<KeptTuning>> tunings = ListTunings();
  if (!tunings.ok()) return absl::StrCat(Printable(std::string(tunings.status().message())), "\n");
  std::string out;
  for (const KeptTuning& t : *tunings) {
    absl::StrAppend(&out, "tuned for ", FormatBytes(t.key.bytes_per_token),
                    " per token: ", Describe(t.tuning), " (", t.key.backend, ", ",
                    Printable(t.key.machine), ", ", t.key.cores,
                    t.key.cores == 1 ? " core)" : " cores)", "\n");
  }
  return out;
}

absl::Status RunList() {
  const absl::StatusOr<std::string> folder = CacheFolder(kCachedModels);
  if (!folder.ok()) return folder.status();
  const absl::StatusOr<std::vector<CachedModel>> models = ListCachedModels(*folder);
  if (!models.ok()) return models.status();
  uint64_t bytes = 0;
  for (const CachedModel& m : *models) bytes += m.bytes;
  return Print(absl::StrCat(models->empty() ? "" : Table(*models), TotalText(models->size(), bytes),
                            " in ", Printable(*folder), "\n", TuningsText()));
}

// Those of the names or, without names, all; with --stale only those that are stale.
absl::StatusOr<std::vector<CachedModel>> Chosen(const ClearOptions& options,
                                                const std::string& folder) {
  absl::StatusOr<std::vector<CachedModel>> models = ListCachedModels(folder);
  if (!models.ok()) return models;
  std::vector<CachedModel> chosen;
  for (const std::string& name : options.names) {
    const auto is_it = [&](const CachedModel& m) { return m.name == name; };
    if (std::any_of(models->begin(), models->end(), is_it)) continue;
    return absl::NotFoundError(
        absl::StrCat(folder, ": there is no model ", name, "; 'tvl cache list' names them"));
  }
  for (const CachedModel& m : *models) {
    const bool stale = m.state == SourceState::kChanged || m.state == SourceState::kGone;
    if (options.stale && !stale) continue;
    if (!options.names.empty() &&
        std::find(options.names.begin(), options.names.end(), m.name) == options.names.end())
      continue;
    chosen.push_back(m);
  }
  return chosen;
}

absl::Status RunClear(const ClearOptions& options) {
  const absl::StatusOr<std::string> folder = CacheFolder(kCachedModels);
  if (!folder.ok()) return folder.status();
  const absl::StatusOr<std::vector<CachedModel>> models = Chosen(options, *folder);
  if (!models.ok()) return models.status();
  uint64_t bytes = 0;
  size_t count = 0;
  std::vector<std::string> left;
  for (const CachedModel& m : *models) {
    absl::Status removed = RemoveCachedModel(*folder, m.name);
    if (absl::IsNotFound(removed)) continue;  // by somebody else
    if (absl::IsUnavailable(removed)) {
      left.push_back(m.name);
      continue;
    }
    if (!removed.ok()) return removed;
    ++count;
    bytes += m.bytes;
  }
  const std::string why =
      absl::StrCat(absl::StrJoin(left, ", "), left.size() == 1 ? " is" : " are",
                   " left, as a process is making ", left.size() == 1 ? "it" : "them", " just now");
  if (!options.names.empty() && !left.empty())
    return absl::UnavailableError(absl::StrCat(*folder, ": ", why, "; try again"));
  if (!left.empty()) PrintNote(absl::StrCat("tvl: ", why, "\n"));
  if (options.names.empty()) RemoveLeftovers(*folder);
  return Print(
      absl::StrCat("removed ", TotalText(count, bytes), ", from ", Printable(*folder), "\n"));
}

}  // namespace

void AddCache(CLI::App& app, Action* action) {
  CLI::App* sub =
      app.add_subcommand("cache", "List or remove GGUF models that were converted when first used");
  sub->footer(
      "A GGUF file that is named where a .tvl file can be is converted once, as 'tvl convert' does "
      "it, and kept in a\n"
      "folder: $TVL_CACHE_DIR, or else tvl in $XDG_CACHE_HOME or in the system's folder of caches. "
      "It is converted\n"
      "anew when the file has changed, or when a newer tvl converts it differently. What 'tvl "
      "bench "
      "--tune' has kept is\n"
      "dropped by 'tvl bench --tune --forget'.\n"
      "\n"
      "Examples:\n"
      "  tvl cache list\n"
      "  tvl cache clear --stale");
  sub->require_subcommand(0, 1);
  sub->callback([sub] {
    if (sub->get_subcommands().empty())
      throw CLI::ValidationError("cache", "expected list or clear");
  });
  CLI::App* list = sub->add_subcommand("list",
                                       "Show each model's size, when it was used last, and whether "
                                       "its source is unchanged; and what "
                                       "'tvl bench --tune' has kept");
  list->callback([action] { *action = RunList; });
  auto options = std::make_shared<ClearOptions>();
  CLI::App* clear = sub->add_subcommand("clear", "Remove all models, or some");
  clear->add_option("NAME", options->names, "Models as the list names them (default: all)")
      ->type_name("");
  clear->add_flag("--stale", options->stale, "Only those whose source is gone or has changed");
  clear->callback([options, action] { *action = [options] { return RunClear(*options); }; });
}

}  // namespace tvl
