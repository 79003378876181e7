#include "models/import/gguf_special_tokens.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/quoted.h"
#include "core/token.h"

namespace tvl {
namespace {

// What a token of well-known text is. Of each but kEnd a model has one.
enum Role : size_t { kEnd, kPrefix, kSuffix, kMiddle, kPad, kRepository, kSeparator, kRoles };

struct NamedToken {
  std::string_view text;
  Role role;
};
// llama.cpp's (src/llama-vocab.cpp of version 0.5.0), which says what models they are of.
constexpr NamedToken kNamedTokens[] = {
    {"<|eot_id|>", kEnd},
    {"<|im_end|>", kEnd},
    {"<|end|>", kEnd},
    {"<|return|>", kEnd},
    {"<|call|>", kEnd},
    {"<|flush|>", kEnd},
    {"<|calls|>", kEnd},
    {"<end_of_turn>", kEnd},
    {"<|endoftext|>", kEnd},
    {"</s>", kEnd},
    {"<|eom_id|>", kEnd},
    {"<EOT>", kEnd},
    {"_<EOT>", kEnd},
    {"[EOT]", kEnd},
    {"[EOS]", kEnd},
    {"<|end_of_text|>", kEnd},
    {"<end_of_utterance>", kEnd},
    {"<eos>", kEnd},
    {"<turn|>", kEnd},
    {"<|tool_response>", kEnd},
    {"<\uFF5Cend\u2581of\u2581sentence\uFF5C>", kEnd},
    {"[e~[", kEnd},
    {"<|fim_prefix|>", kPrefix},
    {"<fim-prefix>", kPrefix},
    {"<fim_prefix>", kPrefix},
    {"<\uFF5Cfim\u2581begin\uFF5C>", kPrefix},
    {"<PRE>", kPrefix},
    {"\u2581<PRE>", kPrefix},
    {"<|code_prefix|>", kPrefix},
    {"<|prefix|>", kPrefix},
    {"<|fim_suffix|>", kSuffix},
    {"<fim-suffix>", kSuffix},
    {"<fim_suffix>", kSuffix},
    {"<\uFF5Cfim\u2581hole\uFF5C>", kSuffix},
    {"<SUF>", kSuffix},
    {"\u2581<SUF>", kSuffix},
    {"<|code_suffix|>", kSuffix},
    {"<|suffix|>", kSuffix},
    {"<|fim_middle|>", kMiddle},
    {"<fim-middle>", kMiddle},
    {"<fim_middle>", kMiddle},
    {"<\uFF5Cfim\u2581end\uFF5C>", kMiddle},
    {"<MID>", kMiddle},
    {"\u2581<MID>", kMiddle},
    {"<|code_middle|>", kMiddle},
    {"<|middle|>", kMiddle},
    {"<|fim_pad|>", kPad},
    {"<fim-pad>", kPad},
    {"<fim_pad>", kPad},
    {"<PAD>", kPad},
    {"[PAD]", kPad},
    {"<|fim_repo|>", kRepository},
    {"<|repo_name|>", kRepository},
    {"<fim-repo>", kRepository},
    {"<REPO>", kRepository},
    {"<reponame>", kRepository},
    {"<|file_sep|>", kSeparator},
};

// What published chat templates open turns with.
constexpr std::string_view kOpeners[] = {"<|im_start|>",
                                         "<|im_user|>",
                                         "<|im_assistant|>",
                                         "<|im_system|>",
                                         "<|im_middle|>",
                                         "<start_of_turn>",
                                         "<|start_of_turn|>",
                                         "<|start_header_id|>",
                                         "<|start|>",
                                         "<|end_header_id|>",
                                         "<|start_of_role|>",
                                         "<|end_of_role|>",
                                         "<|user|>",
                                         "<|assistant|>",
                                         "<|system|>",
                                         "<|User|>",
                                         "<|Assistant|>",
                                         "<\uFF5CUser\uFF5C>",
                                         "<\uFF5CAssistant\uFF5C>",
                                         "[INST]",
                                         "[/INST]",
                                         "<|turn>"};

constexpr char kTypes[] = "tokenizer.ggml.token_type";
constexpr size_t kMostRetypedNotes = 16;

class SpecialTokenReader {
 public:
  SpecialTokenReader(const GgufMetadata& metadata, TokenizerData* data,
                     std::vector<std::string>* notes)
      : metadata_(metadata), data_(*data), notes_(notes), is_end_(data->pieces.size()) {
    fim_.fill(-1);
  }

  absl::Status Read() {
    if (absl::Status s = ReadIds(); !s.ok()) return s;
    if (!metadata_.Has(kTypes)) TypeByIds();
    FindByText();
    for (const Role role : {kPad, kRepository, kSeparator}) AddEnd(fim_[role]);
    ExceptEnds();
    MakeOpenersControl();
    if (retyped_ > kMostRetypedNotes)
      Note(kTypes, retyped_ - kMostRetypedNotes, " more were taken for control tokens likewise");
    return absl::OkStatus();
  }

 private:
  TokenId VocabSize() const { return static_cast<TokenId>(data_.pieces.size()); }

  template <typename... Parts>
  void Note(std::string_view key, const Parts&... parts) {
    if (notes_ != nullptr)
      notes_->push_back(absl::StrCat("metadata key ", std::string(key), ": ", parts...));
  }

  // Changes `id`, which is the default, if the key says a token.
  absl::Status ReadId(const char* key, TokenId* id) {
    const GgufValue* value = metadata_.Find(key);
    if (value == nullptr) return absl::OkStatus();
    const absl::StatusOr<uint32_t> read = metadata_.U32(key);
    if (read.ok() && *read < data_.pieces.size()) {
      *id = static_cast<TokenId>(*read);
      return absl::OkStatus();
    }
    const bool integer = value->type != GgufValueType::kBool && GgufScalarBytes(value->type) > 0 &&
                         value->type != GgufValueType::kF32 && value->type != GgufValueType::kF64;
    if (!integer) return read.status();
    const std::string text = GgufValueText(*value);  // "u32 264"
    Note(key, text.substr(text.rfind(' ') + 1), " is no token of the ", data_.pieces.size(),
         ", and ", *id < 0 ? "was left out" : absl::StrCat(*id, ", the default, was taken"));
    return absl::OkStatus();
  }

  absl::Status ReadIds() {
    const auto defaulted = [&](TokenId id) { return id < VocabSize() ? id : -1; };
    if (data_.kind == TokenizerKind::kSentencePieceBpe) {
      data_.unk_id = defaulted(0);
      data_.bos_id = defaulted(1);
      data_.eos_id = defaulted(2);
    } else if (constexpr TokenId kFalconsEnd = 11;
               kFalconsEnd < VocabSize() && IsControlToken(kFalconsEnd)) {
      data_.bos_id = data_.eos_id = kFalconsEnd;
    }
    TokenId eot = -1, eom = -1;
    const struct {
      const char* key;
      TokenId* id;
    } ids[] = {{"tokenizer.ggml.bos_token_id", &data_.bos_id},
               {"tokenizer.ggml.eos_token_id", &data_.eos_id},
               {"tokenizer.ggml.unknown_token_id", &data_.unk_id},
               {"tokenizer.ggml.padding_token_id", &data_.pad_id},
               {"tokenizer.ggml.eot_token_id", &eot},
               {"tokenizer.ggml.eom_token_id", &eom},
               {"tokenizer.ggml.fim_pre_token_id", &fim_[kPrefix]},
               {"tokenizer.ggml.fim_suf_token_id", &fim_[kSuffix]},
               {"tokenizer.ggml.fim_mid_token_id", &fim_[kMiddle]},
               {"tokenizer.ggml.fim_pad_token_id", &fim_[kPad]},
               {"tokenizer.ggml.fim_rep_token_id", &fim_[kRepository]},
               {"tokenizer.ggml.fim_sep_token_id", &fim_[kSeparator]},
               // Older names.
               {"tokenizer.ggml.prefix_token_id", &fim_[kPrefix]},
               {"tokenizer.ggml.suffix_token_id", &fim_[kSuffix]},
               {"tokenizer.ggml.middle_token_id", &fim_[kMiddle]}};
    for (const auto& named : ids) {
      if (absl::Status s = ReadId(named.key, named.id); !s.ok()) return s;
    }
    for (const TokenId end : {data_.eos_id, eot, eom}) AddEnd(end);
    return ReadEndList();
  }

  // Of converters other than llama.cpp's: further tokens at which a text ends.
  absl::Status ReadEndList() {
    constexpr char kEnds[] = "tokenizer.ggml.eos_token_ids";
    if (!metadata_.Has(kEnds)) return absl::OkStatus();
    const absl::StatusOr<std::vector<int64_t>> ids = metadata_.Integers(kEnds);
    if (!ids.ok()) return ids.status();
    size_t strangers = 0;
    for (const int64_t id : *ids) {
      if (id >= 0 && id < VocabSize()) {
        AddEnd(static_cast<TokenId>(id));
      } else {
        ++strangers;
      }
    }
    if (strangers > 0) {
      Note(kEnds, strangers, " of the ids are no tokens of the ", data_.pieces.size(),
           ", and were left out");
    }
    return absl::OkStatus();
  }

  PieceType& TypeOf(TokenId id) { return data_.piece_types[static_cast<size_t>(id)]; }
  bool IsControlToken(TokenId id) { return IsControl(TypeOf(id)); }

  void TypeByIds() {
    for (const TokenId id : {data_.bos_id, data_.eos_id}) {
      if (id >= 0) TypeOf(id) = PieceType::kControl;
    }
    if (data_.unk_id >= 0 && !IsControlToken(data_.unk_id))
      TypeOf(data_.unk_id) = PieceType::kUnknown;
  }

  void MakeControl(TokenId id) {
    if (IsControlToken(id)) return;
    if (metadata_.Has(kTypes) && ++retyped_ <= kMostRetypedNotes) {
      Note(kTypes, "token ", id, ", ", Quoted(data_.pieces[static_cast<size_t>(id)]),
           ", is of type ", static_cast<int>(TypeOf(id)),
           "; by its text it was taken for a control token");
    }
    TypeOf(id) = PieceType::kControl;
  }

  void FindByText() {
    std::unordered_map<std::string_view, Role> roles;
    for (const NamedToken& token : kNamedTokens) roles.emplace(token.text, token.role);
    const std::array<TokenId, kRoles> by_id = fim_;
    for (TokenId id = 0; id < VocabSize(); ++id) {
      const auto found = roles.find(data_.pieces[static_cast<size_t>(id)]);
      if (found == roles.end()) continue;
      const Role role = found->second;
      if (role == kEnd) {
        AddEnd(id);
      } else if (by_id[role] >= 0 || fim_[role] >= 0) {
        continue;  // llama.cpp takes one of several; here it is the first
      } else {
        fim_[role] = id;
      }
      MakeControl(id);
    }
  }

  void AddEnd(TokenId id) {
    if (id < 0 || is_end_[static_cast<size_t>(id)]) return;
    is_end_[static_cast<size_t>(id)] = true;
    data_.end_tokens.push_back(id);
  }

  bool HasEnd(std::string_view text) const {
    return std::ranges::any_of(data_.end_tokens, [&](TokenId id) {
      return data_.pieces[static_cast<size_t>(id)] == text;
    });
  }
  void DropEnd(std::string_view text) {
    std::erase_if(data_.end_tokens,
                  [&](TokenId id) { return data_.pieces[static_cast<size_t>(id)] == text; });
  }

  // Where turns end by the others, these end but a message of several in one (gpt-oss, Solar), or
  // are of another use (Gemma 4).
  void ExceptEnds() {
    const bool call = HasEnd("<|call|>") || HasEnd("<|calls|>");
    if (call && (HasEnd("<|return|>") || HasEnd("<|flush|>"))) DropEnd("<|end|>");
    if (HasEnd("<|tool_response>")) DropEnd("</s>");
  }

  void MakeOpenersControl() {
    std::vector<std::string_view> spelt;
    for (const std::string_view opener : kOpeners) {
      if (data_.chat_template.find(opener) != std::string::npos) spelt.push_back(opener);
    }
    for (TokenId id = 0; id < VocabSize(); ++id) {
      if (TypeOf(id) != PieceType::kNormal) continue;
      const std::string_view text = data_.pieces[static_cast<size_t>(id)];
      if (std::ranges::find(spelt, text) != spelt.end()) MakeControl(id);
    }
  }

  const GgufMetadata& metadata_;
  TokenizerData& data_;
  std::vector<std::string>* notes_;
  std::array<TokenId, kRoles> fim_;
  std::vector<bool> is_end_;  // by id: a vocabulary may have an end many times over
  size_t retyped_ = 0;
};

}  // namespace

absl::Status ReadGgufSpecialTokens(const GgufMetadata& metadata, TokenizerData* data,
                                   std::vector<std::string>* notes) {
  return SpecialTokenReader(metadata, data, notes).Read();
}

}  // namespace tvl
