#include "tools/model_description.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/architecture.h"
#include "core/model_config.h"
#include "models/tokenizer/tokenizer_section.h"
#include "nlohmann/json.hpp"
#include "tools/units.h"

namespace tvl {

void Row(std::string* out, const std::string& name, const std::string& value) {
  absl::StrAppendFormat(out, "  %-18s %s\n", name, value);
}

const char* KindName(TokenizerKind kind) {
  switch (kind) {
    case TokenizerKind::kLlama2c:
      return "llama2.c";
    case TokenizerKind::kSentencePieceBpe:
      return "SentencePiece BPE";
    case TokenizerKind::kByteLevelBpe:
      return "byte-level BPE";
  }
  return "unknown";
}

void DescribeConfig(const ModelConfig& c, std::string* out) {
  Row(out, "architecture", ArchitectureName(c.architecture));
  Row(out, "layers", FormatCount(c.n_layers));
  Row(out, "dim", FormatCount(c.dim));
  Row(out, "hidden dim", FormatCount(c.hidden_dim));
  Row(out, "heads",
      absl::StrFormat("%d, %d for keys and values, of %d dimensions", c.n_heads, c.n_kv_heads,
                      c.head_dim));
  Row(out, "vocabulary", FormatCount(c.vocab_size));
  Row(out, "context",
      absl::StrCat(FormatCount(c.context_length),
                   c.context_length == 1 ? " position" : " positions"));
  if (c.sliding_window > 0)
    Row(out, "window", absl::StrCat("of the last ", FormatCount(c.sliding_window), " positions"));
  Row(out, "classifier", c.tied_classifier ? "tied to the embedding" : "its own");
  Row(out, "norm epsilon", absl::StrFormat("%g", c.norm_epsilon));
  Row(out, "attention scale", absl::StrFormat("%g", c.attention_scale));
  Row(out, "RoPE", absl::StrFormat("base %g, %d dimensions", c.rope_base, c.rope_dims));
}

nlohmann::ordered_json ConfigJson(const ModelConfig& c) {
  return {{"architecture", ArchitectureName(c.architecture)},
          {"layers", c.n_layers},
          {"dim", c.dim},
          {"hidden_dim", c.hidden_dim},
          {"heads", c.n_heads},
          {"kv_heads", c.n_kv_heads},
          {"head_dim", c.head_dim},
          {"vocab_size", c.vocab_size},
          {"context_length", c.context_length},
          {"sliding_window", c.sliding_window},
          {"tied_classifier", c.tied_classifier},
          {"norm_epsilon", c.norm_epsilon},
          {"attention_scale", c.attention_scale},
          {"rope_base", c.rope_base},
          {"rope_dims", c.rope_dims}};
}

std::string JsonText(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace tvl
