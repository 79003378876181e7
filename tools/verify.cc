// tvl verify: are the bytes those that were written?
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/mapped_file.h"
#include "models/tvl_reader.h"
#include "tools/command.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/units.h"

namespace tvl {
namespace {

absl::Status Run(const std::string& path) {
  absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) return file.status();
  absl::StatusOr<TvlReader> reader = TvlReader::Parse(file->bytes(), path);
  if (!reader.ok()) return reader.status();

  std::string damages;
  size_t damaged = 0;
  const auto note = [&](const absl::Status& status) {
    if (status.ok()) return;
    ++damaged;
    absl::StrAppend(&damages, "tvl: ", status.message(), "\n");
  };
  uint64_t total = reader->tokenizer_section().size(), done = 0;
  for (const TensorInfo& tensor : reader->tensors()) total += tensor.data.size();
  {
    Progress progress("verifying");
    note(reader->VerifyTokenizer());
    done += reader->tokenizer_section().size();
    for (const TensorInfo& tensor : reader->tensors()) {
      progress.Update(done, total);
      note(reader->VerifyTensor(tensor));
      done += tensor.data.size();
    }
  }
  const size_t parts = reader->tensors().size() + (reader->has_tokenizer() ? 1 : 0);
  if (damaged > 0) {
    PrintNote(damages);
    return absl::DataLossError(absl::StrCat(path, ": damaged, ", damaged, " of ", parts, " parts"));
  }
  return Print(absl::StrCat("OK ", path, ": ", reader->tensors().size(), " tensors",
                            reader->has_tokenizer() ? " and the tokenizer" : ", no tokenizer", ", ",
                            FormatBytes(total), "\n"));
}

}  // namespace

void AddVerify(CLI::App& app, Action* action) {
  auto path = std::make_shared<std::string>();
  CLI::App* sub = app.add_subcommand("verify", "Check a .tvl file against its checksums");
  sub->footer(
      "Reads the header, the tokenizer and every tensor. Names every tensor that is damaged and "
      "exits with 1 if there is "
      "one.\n"
      "\n"
      "Example:\n"
      "  tvl verify stories15M.tvl");
  sub->add_option("MODEL", *path, "A .tvl file")->required()->type_name("");
  sub->callback([path, action] { *action = [path] { return Run(*path); }; });
}

}  // namespace tvl
