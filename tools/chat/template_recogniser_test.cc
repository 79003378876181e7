#include "tools/chat/template_recogniser.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/chat/chat_template.h"

namespace tvl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ChatLayout With(ChatTemplate family, void (*change)(ChatLayout*)) {
  ChatLayout layout = family;
  change(&layout);
  return layout;
}

ChatLayout WithBos(ChatTemplate family) {
  return With(family, [](ChatLayout* layout) { layout->writes_bos = true; });
}

struct Case {
  ChatLayout layout;
  std::string_view jinja;
};

void ExpectLayouts(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    SCOPED_TRACE(c.jinja);
    const absl::StatusOr<RecognisedTemplate> found = RecogniseChatTemplate(c.jinja);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(ChatTemplateName(found->layout.family), ChatTemplateName(c.layout.family));
    EXPECT_EQ(found->layout.before_text, c.layout.before_text);
    EXPECT_EQ(found->layout.before_end, c.layout.before_end);
    EXPECT_EQ(found->layout.after_end, c.layout.after_end);
    EXPECT_EQ(found->layout.opening, c.layout.opening);
    EXPECT_EQ(found->layout.trims, c.layout.trims);
    EXPECT_EQ(found->layout.writes_bos, c.layout.writes_bos);
  }
}

// Published templates, less what they have for tools and to refuse conversations.
TEST(TemplateRecogniserTest, RecognisesFamilies) {
  ExpectLayouts({
      {ChatTemplate::kPlain, ""},
      {ChatTemplate::kPlain, " \n"},
      {WithBos(ChatTemplate::kLlama2),
       R"({% set content = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + message['content'] %})"
       R"({{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }})"},
      {WithBos(ChatTemplate::kLlama3),
       R"({% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + )"
       R"('<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %})"
       R"({% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %})"
       R"({{ content }}{% endfor %})"
       R"({{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }})"},
      {ChatTemplate::kChatml,
       R"({% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + )"
       R"(message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %})"
       R"({{ '<|im_start|>assistant\n' }}{% endif %})"},
      {ChatTemplate::kChatml,
       "{%- for message in messages %}\n"
       "    {%- if (message.role == \"user\") or (message.role == \"assistant\" and not "
       "message.tool_calls) %}\n"
       "        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' "
       "}}\n"
       "    {%- elif message.role == \"tool\" %}\n"
       "        {{- '\\n</tool_response>' }}{{- '<|im_end|>\\n' }}\n"
       "    {%- endif %}\n{%- endfor %}\n"
       "{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n"
       "    {%- if enable_thinking is defined and enable_thinking is false %}\n"
       "        {{- '<think>\\n\\n</think>\\n\\n' }}\n    {%- endif %}\n{%- endif %}"},
      {ChatTemplate::kMistralV1, R"({{- ' [INST] ' + message['content'] + ' [/INST]' }})"},
      {ChatTemplate::kMistralV1, R"({{ '[INST] ' + message['content'] + ' [/INST]' }})"},
      {ChatTemplate::kMistral, R"({{- "[AVAILABLE_TOOLS] [" }})"
                               R"({{- "[INST] " + message["content"] + "[/INST]" }})"},
      {ChatTemplate::kMistralTekken, R"({{- "[AVAILABLE_TOOLS][" }})"
                                     R"({{- "[INST]" + message["content"] + "[/INST]" }})"},
      {ChatTemplate::kMistralV7, R"({{ '[INST] ' + message['content'] + '[/INST]' }})"
                                 R"({{ '[SYSTEM_PROMPT] ' + message['content'] }})"},
      {ChatTemplate::kMistralV7Tekken, R"({{- '[SYSTEM_PROMPT]' + system_message }})"
                                       R"({{- '[INST]' + message['content'] + '[/INST]' }})"},
      // TinyLlama and Zephyr; StableLM Zephyr.
      {ChatTemplate::kZephyr,
       "{% for message in messages %}\n{% if message['role'] == 'user' %}\n"
       "{{ '<|user|>\n' + message['content'] + eos_token }}\n"
       "{% elif message['role'] == 'assistant' %}\n"
       "{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
       "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n"
       "{% endfor %}"},
      {ChatTemplate::kZephyr,
       R"({% for message in messages %}{% if message['role'] == 'user' %})"
       R"({{'<|user|>\n' + message['content'] + '<|endoftext|>\n'}}{% endif %}{% endfor %})"
       R"({{ '<|assistant|>\n' }})"},
      {ChatTemplate::kPhi3,
       "{% for message in messages %}{% if message['role'] == 'user' %}"
       "{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}"
       "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"},
      {WithBos(ChatTemplate::kPhi3),
       R"({{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') %})"
       R"({{'<|user|>' + '\n' + message['content'] + '<|end|>' + '\n' + '<|assistant|>' + '\n'}})"
       R"({% elif (message['role'] == 'assistant') %}{{message['content'] + '<|end|>' + '\n'}})"
       R"({% endif %}{% endfor %})"},
      {ChatTemplate::kGranite,
       R"({{- '<|start_of_role|>user<|end_of_role|>' + message['content'] + )"
       R"('<|end_of_text|>\n' }}{{- '<|start_of_role|>assistant' }}{%- if controls %}{{- ' ' + )"
       R"(controls | tojson()}}{%- endif %}{{- '<|end_of_role|>' }})"},
      {WithBos(ChatTemplate::kGemma),
       R"({{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + role + '\n' + )"
       R"(message['content'] | trim + '<end_of_turn>\n' }}{% endfor %})"
       R"({% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %})"},
  });
}

constexpr char kLoop[] =
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + 'BEFORE' + m['content'] + "
    "'GAP<|im_end|>AFTER' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistantBEFOREOPENING' }}{% endif %}";

std::string Loop(const char* before, const char* gap, const char* after, const char* opening) {
  return absl::StrReplaceAll(
      kLoop, {{"BEFORE", before}, {"GAP", gap}, {"AFTER", after}, {"OPENING", opening}});
}

// A family's markers with other texts around messages are a variant of it.
TEST(TemplateRecogniserTest, ReadsVariants) {
  const auto chatml = [](void (*change)(ChatLayout*)) {
    return With(ChatTemplate::kChatml, change);
  };
  const std::string forms[] = {
      Loop("\\n", "\\n", "\\n", ""),
      Loop("\\n", "", "", ""),
      Loop("\\n\\n", "", "\\n", ""),
      Loop(" ", "", "\\n", ""),
      Loop("\\n", "", "\\n", "<think>\\n"),
      Loop("\\n", " ", "\\n\\n", "<think>\\n\\n</think>\\n\\n"),
      Loop("\\n", "", "\\n", "\\n\\n"),
      Loop("\\n", "", "\\n", "Sure: "),
  };
  ExpectLayouts({
      {chatml([](ChatLayout* l) { l->before_end = "\n"; }), forms[0]},
      {chatml([](ChatLayout* l) { l->after_end = ""; }), forms[1]},
      {chatml([](ChatLayout* l) { l->before_text = "\n\n"; }), forms[2]},
      {chatml([](ChatLayout* l) { l->before_text = " "; }), forms[3]},
      {chatml([](ChatLayout* l) { l->opening = "<think>\n"; }), forms[4]},
      {chatml([](ChatLayout* l) {
         l->before_end = " ";
         l->after_end = "\n\n";
         l->opening = "<think>\n\n</think>\n\n";
       }),
       forms[5]},
      {chatml([](ChatLayout* l) { l->opening = "\n\n"; }), forms[6]},
      {chatml([](ChatLayout* l) { l->opening = "Sure: "; }), forms[7]},
      // By whether somebody turns thoughts off.
      {chatml([](ChatLayout* l) { l->opening = "<think>\n"; }),
       R"({{ '<|im_start|>user\n' + content + '<|im_end|>\n' }}{{- '<|im_start|>assistant\n' }})"
       R"({%- if enable_thinking is defined and enable_thinking is false %})"
       R"({{- '<think>\n\n</think>\n\n' }}{%- else %}{{- '<think>\n' }}{%- endif %})"},
      {With(ChatTemplate::kPhi3, [](ChatLayout* l) { l->before_end = "\n"; }),
       R"({{ '<|user|>\n' + m.content }}{% if x %}{{ '\n<|end|>\n' }}{% else %})"
       R"({{- '\n<|end|>\n' }}{% endif %}{{ '<|assistant|>\n' }})"},
      {With(ChatTemplate::kLlama3,
            [](ChatLayout* l) {
              l->trims = false;
              l->opening = "<think>";
            }),
       R"({{ '<|start_header_id|>' + role + '<|end_header_id|>\n\n' + m.content + '<|eot_id|>' }})"
       R"({{ '<|start_header_id|>assistant<|end_header_id|>\n\n<think>' }})"},
      {chatml([](ChatLayout* l) { l->trims = true; }),
       R"({% set content = m.content.strip() %}{{ '<|im_start|>' + m.role + '\n' + content + )"
       R"('<|im_end|>\n' }}{{ '<|im_start|>assistant\n' }})"},
  });
}

TEST(TemplateRecogniserTest, SaysWhatIsLeftOut) {
  const std::string loop = Loop("\\n", "", "\\n", "");
  const auto recognise = [](const std::string& jinja) {
    const absl::StatusOr<RecognisedTemplate> found = RecogniseChatTemplate(jinja);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? *found : RecognisedTemplate{.layout = ChatTemplate::kPlain};
  };
  EXPECT_FALSE(recognise(loop).has_system_prompt);
  EXPECT_THAT(recognise(loop).left_out, IsEmpty());
  for (const char* system :
       {R"({% if messages[0].role != 'system' %}{{ '<|im_start|>system\nYou are Q.<|im_end|>\n' }})"
        R"({% endif %})",
        R"({% set system_message = 'You are a helpful assistant.' %})",
        R"({%- set default_system_prompt = "Be brief, always." %})"})
    EXPECT_TRUE(recognise(absl::StrCat(system, loop)).has_system_prompt) << system;
  for (const char* tools :
       {R"({%- if tools %}{{- '<|im_start|>system\n# Tools\n<|im_end|>\n' }}{%- endif %})",
        R"({%- set tools_system_message = 'You may call tools.' %})"})
    EXPECT_FALSE(recognise(absl::StrCat(tools, loop)).has_system_prompt) << tools;
  EXPECT_FALSE(recognise(loop).refuses_system);
  EXPECT_TRUE(
      recognise("{{ raise_exception('System role not supported') }}" + loop).refuses_system);
  EXPECT_THAT(recognise("{% set date = strftime_now('%d') %}" + loop).left_out,
              ElementsAre("today's date"));
  EXPECT_THAT(recognise("{% set a = content.split('</think>')[-1] %}" + loop).left_out,
              ElementsAre("taking thoughts out of earlier answers"));
}

TEST(TemplateRecogniserTest, RefusesOtherFamilies) {
  const std::string_view others[] = {
      "{{ 'GPT4 Correct ' + message['role'].title() }}",
      // Those that share markers with a family: Phi-4, SmolVLM, Phi-4-mini, Falcon 3.
      R"({{'<|im_start|>user<|im_sep|>' + message['content'] + '<|im_end|>'}})",
      R"(<|im_start|>{{ message['content'] }}<end_of_utterance>)",
      R"({{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{{ '<|assistant|>' }})",
      R"({{ '<|user|>\n' + message['content'] + '\n' }}{{ '<|assistant|>\n' + eos_token }})",
  };
  for (const std::string_view other : others) {
    const absl::StatusOr<RecognisedTemplate> found = RecogniseChatTemplate(other);
    ASSERT_FALSE(found.ok()) << other;
    const std::string message(found.status().message());
    EXPECT_THAT(message, HasSubstr("choose one with --template: llama2, llama3, chatml, "));
    EXPECT_LT(message.size(), 400u);
  }
  EXPECT_THAT(std::string(RecogniseChatTemplate(others[0]).status().message()),
              HasSubstr("found '{{ \\'GPT4 Correct"));
}

// Whatever it is, it is recognised or refused, and soon.
TEST(TemplateRecogniserTest, TemplatesThatAreNone) {
  const std::string whole =
      R"({%- if tools %}{{- "<|im_start|>system\n" }}{%- else -%} {# " #} {%- endif %})" +
      Loop("\\n", "", "\\n", "<think>\\n") +
      R"({% if not (a or b) %}{{ ('x') ~ y['z'] }}{% elif c %}{% set d = '<' + e %}{% endif %})";
  for (size_t bytes = 1; bytes <= whole.size(); ++bytes) {
    for (const std::string& part : {whole.substr(0, bytes), whole.substr(whole.size() - bytes)})
      RecogniseChatTemplate(part).status().IgnoreError();
  }
  std::string large = "{{ m.content }}<|im_end|>\n";
  while (large.size() <= (size_t{256} << 10)) large += "{% if x %}{{ '<|im_start|>assistant' }}";
  EXPECT_THAT(std::string(RecogniseChatTemplate(large).status().message()),
              HasSubstr("chat template: expected at most 262144 bytes, found "));
  large.resize(size_t{256} << 10);
  EXPECT_FALSE(RecogniseChatTemplate(large).ok());
}

// What has a family's markers and is not sure to have its layout, or one layout at all.
TEST(TemplateRecogniserTest, RefusesWhatIsNotSure) {
  struct Other {
    std::string jinja;
    const char* found;
  };
  const std::string user = R"({{ '<|im_start|>user\n' + m.content + '<|im_end|>\n' }})";
  const Other others[] = {
      {Loop("\\n", " /no_think", "\\n", ""), "found ' /no_think' between a message and its end"},
      {Loop(": ", "", "\\n", ""), "found ': ' between a role and a message"},
      {Loop("\\n", "", "</s>", ""), "found '</s>' after the end of a message"},
      {user + R"({{ '<|im_start|>assistant\n' + m.content + '\n<|im_end|>\n' }})",
       "between a message and its end"},
      {user + R"({{ '<|im_start|>assistant\n' + m.content + '<|im_end|>' + eos_token }})",
       "after the end of a message"},
      {R"({{ '<|im_start|>human\n' + m.content + '<|im_end|>\n' }}{{ '<|im_start|>bot\n' }})",
       "found a role named 'human'"},
      {user + R"({{ '<|im_start|>assistant\n' }}{% if style == 'b' %}{{ 'B' }}{% endif %})",
       "found a beginning of the answer that depends on 'if style == \\'b\\''"},
      {R"({{ '<|im_start|>' }}{{ message }})", "found no message that ends"},
      {R"({{ '[INST] ' + m.content + ' [/INST]<think>\n' }})", "found '<think>\\n' after [/INST]"},
      {R"({{ '[INST]Q: ' + m.content + '[/INST]' }})", "found 'Q: ' after [INST]"},
      {R"({{ '[INST]' + m.content + '\n[/INST]' }})", "found '\\n' before [/INST]"},
  };
  for (const Other& other : others) {
    SCOPED_TRACE(other.jinja);
    const absl::StatusOr<RecognisedTemplate> found = RecogniseChatTemplate(other.jinja);
    ASSERT_FALSE(found.ok());
    const std::string message(found.status().message());
    EXPECT_THAT(message, HasSubstr("chat template: expected the layout of "));
    EXPECT_THAT(message, HasSubstr(other.found));
    EXPECT_THAT(message, HasSubstr("choose one with --template: llama2, llama3, chatml, "));
  }
}

}  // namespace
}  // namespace tvl
