// The texts that a chat template (Jinja) writes, without running it.
#ifndef TVL_TOOLS_CHAT_TEMPLATE_PIECES_H_
#define TVL_TOOLS_CHAT_TEMPLATE_PIECES_H_

#include <string>
#include <string_view>
#include <vector>

namespace tvl {

// A piece of what a template writes, or of what decides whether it does.
struct TemplatePiece {
  enum class Kind {
    kText,       // as it is written: of texts between tags, and of string literals
    kContent,    // an expression that is a message, or a part of one
    kRole,       // one that is its role
    kBos,        // bos_token
    kEos,        // eos_token
    kOther,      // any other expression
    kStatement,  // {% ... %} but for set, whose value is given where it is set
  };
  Kind kind;
  std::string text = {};    // a text; or the source of the expression, or of the statement
  bool with_tools = false;  // within a condition that asks for tools, calls of them, or documents
  bool trimmed = false;     // of kContent: | trim, or strip()
};

// In the order of the template. Texts that follow each other are one piece. White space around tags
// is taken away as by Jinja2 with trim_blocks and lstrip_blocks, as Transformers has it. A template
// that is none gives what can be made of it.
std::vector<TemplatePiece> TemplatePieces(std::string_view jinja);

}  // namespace tvl

#endif  // TVL_TOOLS_CHAT_TEMPLATE_PIECES_H_
