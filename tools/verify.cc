// tvl verify: are the bytes those that were written, and the weights numbers?
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/in_file.h"
#include "core/mapped_file.h"
#include "models/finite_weights.h"
#include "models/tvl_reader.h"
#include "tools/command.h"
#include "tools/model_cache.h"
#include "tools/output.h"
#include "tools/printable.h"
#include "tools/progress.h"
#include "tools/units.h"

namespace tvl {
namespace {

absl::Status Run(const std::string& path) {
  const absl::StatusOr<TvlFile> opened = OpenTvlFile(path);
  if (!opened.ok()) return opened.status();
  const auto& [tvl_file, file] = *opened;
  const bool cached = tvl_file != path;
  absl::StatusOr<TvlReader> reader = TvlReader::Parse(file.bytes(), path);
  if (!reader.ok()) return reader.status();

  std::vector<TensorInfo> tensors(reader->tensors().begin(), reader->tensors().end());
  tensors.insert(tensors.end(), reader->ignored_entries().begin(), reader->ignored_entries().end());
  uint64_t total = reader->tokenizer_section().size(), done = total;
  for (const TensorInfo& tensor : tensors) total += tensor.data.size();
  std::vector<absl::Status> damages;
  bool damaged = false;  // not only wrong from the beginning
  const auto note = [&](const absl::Status& status) {
    if (status.ok()) return;
    damages.push_back(status);
    damaged = true;
  };
  {
    Progress progress("verifying");
    note(reader->VerifyGaps());
    note(reader->VerifyTokenizer());
    for (const TensorInfo& tensor : tensors) {
      progress.Update(done, total);
      if (const absl::Status intact = reader->VerifyTensor(tensor); !intact.ok()) {
        note(intact);
      } else if (const absl::Status finite = CheckFinite(tensor); !finite.ok()) {
        damages.push_back(InFile(path, finite));
      }
      done += tensor.data.size();
    }
  }
  // What was converted can be converted again, but weights stay what they are.
  const std::string hint =
      !cached || !damaged ? "" : absl::StrCat("; remove ", tvl_file, " and it is made anew");
  if (damages.size() == 1) {
    return absl::Status(damages.front().code(), absl::StrCat(damages.front().message(), hint));
  }
  if (!damages.empty()) {
    for (const absl::Status& damage : damages) {
      PrintNote(absl::StrCat("tvl: ", Printable(std::string(damage.message())), "\n"));
    }
    return absl::DataLossError(absl::StrCat(path, damaged ? ": damaged in " : ": not finite in ",
                                            damages.size(), " places", hint));
  }
  return Print(absl::StrCat(
      "OK ", Printable(path), cached ? absl::StrCat(", as ", Printable(tvl_file)) : "", ": ",
      tensors.size(), " tensors", reader->has_tokenizer() ? " and the tokenizer" : ", no tokenizer",
      ", ", FormatBytes(total), "\n"));
}

}  // namespace

void AddVerify(CLI::App& app, Action* action) {
  auto path = std::make_shared<std::string>();
  CLI::App* sub =
      app.add_subcommand("verify", "Check a model against its checksums, and its weights");
  sub->footer(
      "Reads all of the file. Names everything that is damaged, and every tensor with a weight "
      "that is infinite or not\n"
      "a number, and exits with 1 if there is any. Of a GGUF file, which has no checksums, it "
      "checks the .tvl file that it\n"
      "is converted to when first used.\n"
      "\n"
      "Example:\n"
      "  tvl verify stories15M.tvl");
  AddMappedFile(*sub, "MODEL", path.get(), "A .tvl or GGUF file")->required()->type_name("");
  sub->callback([path, action] { *action = [path] { return Run(*path); }; });
}

}  // namespace tvl
