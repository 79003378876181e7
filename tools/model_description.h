// How tvl inspect says what a model is: rows of a name and a value.
#ifndef TVL_TOOLS_MODEL_DESCRIPTION_H_
#define TVL_TOOLS_MODEL_DESCRIPTION_H_

#include <string>

#include "core/model_config.h"
#include "models/tokenizer/tokenizer_section.h"
#include "nlohmann/json.hpp"

namespace tvl {

// Appends "  NAME   VALUE".
void Row(std::string* out, const std::string& name, const std::string& value);

const char* KindName(TokenizerKind kind);

// Appends the rows of a configuration; the same as JSON.
void DescribeConfig(const ModelConfig& config, std::string* out);
nlohmann::ordered_json ConfigJson(const ModelConfig& config);

// JSON as a file has it. What is no UTF-8, names of files among it, is replaced.
std::string JsonText(const nlohmann::ordered_json& json);

}  // namespace tvl

#endif  // TVL_TOOLS_MODEL_DESCRIPTION_H_
