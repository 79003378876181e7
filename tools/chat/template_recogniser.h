// Which layout a model's own chat template has. That template is a program (Jinja), and is not run:
// the texts that it writes around messages must be those of a family, or of one of its variants.
#ifndef TVL_TOOLS_CHAT_TEMPLATE_RECOGNISER_H_
#define TVL_TOOLS_CHAT_TEMPLATE_RECOGNISER_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/chat/chat_template.h"

namespace tvl {

struct RecognisedTemplate {
  ChatLayout layout;
  // Whether the template writes a system prompt where there is none.
  bool has_system_prompt = false;
  // Whether it refuses conversations that have one.
  bool refuses_system = false;
  // What else it does that is left out: one clause each, for people.
  std::vector<std::string> left_out = {};
};

// Plain if `jinja` is empty. Unimplemented for a template of no family that is known here, with its
// beginning, and for one that has a family's markers and writes other texts around messages, or
// different ones at different places, so that its layout is not sure.
absl::StatusOr<RecognisedTemplate> RecogniseChatTemplate(std::string_view jinja);

}  // namespace tvl

#endif  // TVL_TOOLS_CHAT_TEMPLATE_RECOGNISER_H_
