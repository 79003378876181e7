// The layout of a template whose family is known and names roles.
#ifndef TVL_TOOLS_CHAT_TEMPLATE_LAYOUT_H_
#define TVL_TOOLS_CHAT_TEMPLATE_LAYOUT_H_

#include <span>

#include "absl/status/statusor.h"
#include "tools/chat/chat_template.h"
#include "tools/chat/template_pieces.h"

namespace tvl {

struct TemplateLayout {
  ChatLayout layout;
  bool writes_system = false;  // a text of its own where the system prompt stands
};

// Reads it off what the template writes between a role and a message, a message and its end, after
// that, and at the end for the model to go on from. What is only for tools does not count.
// Unimplemented, with what is not certain, if there is nothing to read it off, or if it is not the
// same everywhere. REQUIRES: FindRoleLayout(family).
absl::StatusOr<TemplateLayout> ReadTemplateLayout(ChatTemplate family,
                                                  std::span<const TemplatePiece> pieces);

}  // namespace tvl

#endif  // TVL_TOOLS_CHAT_TEMPLATE_LAYOUT_H_
