#include "tools/chat/conversation.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/in_file.h"
#include "core/mapped_file.h"
#include "core/quoted.h"
#include "models/atomic_file.h"
#include "nlohmann/json.hpp"
#include "tools/chat/chat_template.h"

namespace tvl {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kVersion = 1;

// Takes the file apart as it is read, so that whatever is not expected ends the reading, and a file
// of a million brackets needs no memory. False from a function means that error_ says why.
class Reader : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return Other("null"); }
  bool boolean(bool) override { return Other("a boolean"); }
  bool number_float(double, const std::string&) override { return Other("a fraction"); }
  bool binary(binary_t&) override { return Other("bytes"); }

  bool number_integer(int64_t value) override { return Other(absl::StrCat(value)); }
  bool number_unsigned(uint64_t value) override {
    if (place_ != kTop || key_ != "version") return Other(absl::StrCat(value));
    if (value == kVersion) return true;
    return Fail(absl::StrCat("version: expected ", kVersion, ", found ", value));
  }

  bool string(std::string& value) override {
    if (place_ == kMessage && key_ == "content") {
      content_ = std::move(value);
    } else if (place_ == kMessage && key_ == "role") {
      role_ = std::move(value);
    } else if (place_ == kTop && key_ == "template") {
      saved_.chat_template = FindChatTemplate(value);
      if (!saved_.chat_template) {
        return Fail(absl::StrCat("template: expected one of ", ChatTemplateNames(), "; found ",
                                 Quoted(value)));
      }
    } else if (place_ == kTop && key_ == "model") {
      uint64_t model = 0;
      if (value.size() != 16 || !absl::SimpleHexAtoi(value, &model))
        return Fail(absl::StrCat("model: expected 16 hexadecimal digits, found ", Quoted(value)));
      saved_.model = model;
    } else {
      return Other(Quoted(value));
    }
    return true;
  }

  bool start_object(size_t) override {
    if (place_ == kFile) {
      place_ = kTop;
    } else if (place_ == kMessages) {
      place_ = kMessage;
      role_.reset();
      content_.reset();
    } else {
      return Other("an object");
    }
    return true;
  }

  bool key(std::string& key) override {
    key_ = std::move(key);
    const bool known = place_ == kMessage ? key_ == "role" || key_ == "content"
                                          : key_ == "version" || key_ == "model" ||
                                                key_ == "template" || key_ == "messages";
    return known || Fail(absl::StrCat(Place(), "unexpected field ", Quoted(key_)));
  }

  bool end_object() override {
    if (place_ == kTop) {
      place_ = kEnd;
      return true;
    }
    place_ = kMessages;
    if (!role_) return Fail(absl::StrCat(Place(), "role: expected a role, found none"));
    if (!content_) return Fail(absl::StrCat(Place(), "content: expected a text, found none"));
    if (!AddMessage()) return false;
    ++messages_;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ != kTop || key_ != "messages") return Other("an array");
    if (messages_ > 0) return Fail("messages: expected one array, found another");
    place_ = kMessages;
    return true;
  }
  bool end_array() override {
    place_ = kTop;
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    if (place_ == kFile)
      return Fail("expected a conversation that /save wrote, found another file");
    return Fail(absl::StrCat("expected JSON in UTF-8, found something else at byte ", position));
  }

  absl::StatusOr<SavedConversation> Take(bool parsed) {
    if (!parsed) return absl::InvalidArgumentError(error_);
    if (messages_ == 0) return absl::InvalidArgumentError("messages: expected some, found none");
    if (saved_.conversation.exchanges.empty() || !saved_.conversation.exchanges.back().answer) {
      return absl::InvalidArgumentError(
          absl::StrCat("messages: expected an answer of the assistant at the end, found none"));
    }
    return std::move(saved_);
  }

 private:
  enum PlaceInFile { kFile, kTop, kMessages, kMessage, kEnd };

  std::string Place() const {
    return place_ == kTop ? "" : absl::StrCat("messages[", messages_, "]: ");
  }

  bool Fail(std::string error) {
    error_ = std::move(error);
    return false;
  }

  bool Other(const std::string& found) {
    switch (place_) {
      case kTop:
        return Fail(absl::StrCat(key_, ": expected ",
                                 key_ == "messages"  ? "an array"
                                 : key_ == "version" ? "a whole number"
                                                     : "a string",
                                 ", found ", found));
      case kMessages:
        return Fail(absl::StrCat(Place(), "expected an object, found ", found));
      case kMessage:
        return Fail(absl::StrCat(Place(), key_, ": expected a string, found ", found));
      default:
        return Fail(absl::StrCat("expected an object, found ", found));
    }
  }

  bool AddMessage() {
    Conversation& conversation = saved_.conversation;
    const bool answers = !conversation.exchanges.empty() && !conversation.exchanges.back().answer;
    if (messages_ == 0 && *role_ == "system") {
      conversation.system = *std::move(content_);
    } else if (!answers && *role_ == "user") {
      conversation.exchanges.push_back({.user = *std::move(content_)});
    } else if (answers && *role_ == "assistant") {
      conversation.exchanges.back().answer = *std::move(content_);
    } else {
      return Fail(absl::StrCat(Place(), "role: expected ",
                               answers          ? "assistant"
                               : messages_ == 0 ? "system or user"
                                                : "user",
                               ", found ", Quoted(*role_)));
    }
    return true;
  }

  PlaceInFile place_ = kFile;
  std::string key_;
  std::optional<std::string> role_;
  std::optional<std::string> content_;
  size_t messages_ = 0;
  std::string error_;
  SavedConversation saved_;
};

}  // namespace

absl::Status SaveConversation(const std::string& path, const Conversation& conversation,
                              ChatTemplate family, uint64_t model) {
  Json messages = Json::array();
  const auto add = [&](const char* role, const std::string& content) {
    messages.push_back({{"role", role}, {"content", content}});
  };
  if (!conversation.system.empty()) add("system", conversation.system);
  for (const Exchange& exchange : conversation.exchanges) {
    add("user", exchange.user);
    if (exchange.answer) add("assistant", *exchange.answer);
  }
  const Json file = {{"version", kVersion},
                     {"model", absl::StrFormat("%016x", model)},
                     {"template", std::string(ChatTemplateName(family))},
                     {"messages", std::move(messages)}};
  const std::string text =
      file.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
  absl::StatusOr<AtomicFile> out = AtomicFile::Create(path);
  if (!out.ok()) return out.status();
  if (absl::Status s = out->WriteAt(0, std::as_bytes(std::span(text))); !s.ok()) return s;
  return out->Commit();
}

absl::StatusOr<SavedConversation> ParseConversation(std::string_view json) {
  Reader reader;
  return reader.Take(Json::sax_parse(json, &reader));
}

absl::StatusOr<SavedConversation> LoadConversation(const std::string& path) {
  absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) return file.status();
  const std::span<const std::byte> bytes = file->bytes();
  absl::StatusOr<SavedConversation> saved =
      ParseConversation({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!saved.ok()) return InFile(path, saved.status());
  return saved;
}

}  // namespace tvl
