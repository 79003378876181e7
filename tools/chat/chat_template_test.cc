#include "tools/chat/chat_template.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

// The parts as one text, with tokens that vocabularies name differently as <BOS> and <EOS>.
std::string Text(const std::vector<PromptPart>& parts) {
  std::string text;
  for (const PromptPart& part : parts) {
    switch (part.kind) {
      case PromptPart::Kind::kBos:
        text += "<BOS>";
        break;
      case PromptPart::Kind::kEos:
        text += "<EOS>";
        break;
      default:
        text += part.text;
    }
  }
  return text;
}

struct Golden {
  ChatTemplate family;
  std::string_view model;   // whose published template this is
  std::string_view user;    // what it makes of "Hello"
  std::string_view system;  // of " Be brief. " for the system and " Hello \n"
  std::string_view two;     // of the same, answered with " Hi there ", and "Who are you?"
};

// Rendered from the chat templates that these models publish (tokenizer_config.json), without what
// they have for tools and the system prompts that some put in where there is none, by Jinja2 3.1.6
// with trim_blocks and lstrip_blocks, as Transformers does; less BOS at the front. Mistral's v3 put
// the system prompt into the last message.
constexpr Golden kGolden[] = {
    {ChatTemplate::kLlama2, "meta-llama/Llama-2-7b-chat-hf", "[INST] Hello [/INST]",
     "[INST] <<SYS>>\n Be brief. \n<</SYS>>\n\n Hello [/INST]",
     "[INST] <<SYS>>\n Be brief. \n<</SYS>>\n\n Hello [/INST] Hi there <EOS><BOS>[INST] Who are "
     "you? [/INST]"},
    {ChatTemplate::kLlama3, "meta-llama/Meta-Llama-3-8B-Instruct",
     "<|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>assistant<|end_"
     "header_id|>\n\n",
     "<|start_header_id|>system<|end_header_id|>\n\nBe "
     "brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|"
     ">assistant<|end_header_id|>\n\n",
     "<|start_header_id|>system<|end_header_id|>\n\nBe "
     "brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|"
     ">assistant<|end_header_id|>\n\nHi "
     "there<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWho are "
     "you?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"},
    {ChatTemplate::kChatml, "teknium/OpenHermes-2.5-Mistral-7B",
     "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
     "<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\n Hello "
     "\n<|im_end|>\n<|im_start|>assistant\n",
     "<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\n Hello "
     "\n<|im_end|>\n<|im_start|>assistant\n Hi there <|im_end|>\n<|im_start|>user\nWho are "
     "you?<|im_end|>\n<|im_start|>assistant\n"},
    {ChatTemplate::kMistralV1, "mistralai/Mistral-7B-Instruct-v0.2", " [INST] Hello [/INST]",
     " [INST]  Be brief. \n\n Hello \n [/INST]",
     " [INST]  Be brief. \n\n Hello \n [/INST]  Hi there <EOS> [INST] Who are you? [/INST]"},
    {ChatTemplate::kMistral, "mistralai/Mistral-7B-Instruct-v0.3", "[INST] Hello[/INST]",
     "[INST]  Be brief. \n\n Hello \n[/INST]",
     "[INST]  Hello \n[/INST] Hi there<EOS>[INST]  Be brief. \n\nWho are you?[/INST]"},
    {ChatTemplate::kMistralTekken, "mistralai/Mistral-Nemo-Instruct-2407", "[INST]Hello[/INST]",
     "[INST] Be brief. \n\n Hello \n[/INST]",
     "[INST] Hello \n[/INST] Hi there <EOS>[INST] Be brief. \n\nWho are you?[/INST]"},
    {ChatTemplate::kMistralV7, "mistralai/Mistral-Large-Instruct-2411", "[INST] Hello[/INST]",
     "[SYSTEM_PROMPT]  Be brief. [/SYSTEM_PROMPT][INST]  Hello \n[/INST]",
     "[SYSTEM_PROMPT]  Be brief. [/SYSTEM_PROMPT][INST]  Hello \n[/INST]  Hi there <EOS>[INST] Who "
     "are you?[/INST]"},
    {ChatTemplate::kMistralV7Tekken, "mistralai/Mistral-Small-3.1-24B-Instruct-2503",
     "[INST]Hello[/INST]", "[SYSTEM_PROMPT] Be brief. [/SYSTEM_PROMPT][INST] Hello \n[/INST]",
     "[SYSTEM_PROMPT] Be brief. [/SYSTEM_PROMPT][INST] Hello \n[/INST] Hi there <EOS>[INST]Who are "
     "you?[/INST]"},
    {ChatTemplate::kZephyr, "HuggingFaceH4/zephyr-7b-beta", "<|user|>\nHello<EOS>\n<|assistant|>\n",
     "<|system|>\n Be brief. <EOS>\n<|user|>\n Hello \n<EOS>\n<|assistant|>\n",
     "<|system|>\n Be brief. <EOS>\n<|user|>\n Hello \n<EOS>\n<|assistant|>\n Hi there "
     "<EOS>\n<|user|>\nWho are you?<EOS>\n<|assistant|>\n"},
    {ChatTemplate::kPhi3, "microsoft/Phi-3-mini-4k-instruct",
     "<|user|>\nHello<|end|>\n<|assistant|>\n",
     "<|system|>\n Be brief. <|end|>\n<|user|>\n Hello \n<|end|>\n<|assistant|>\n",
     "<|system|>\n Be brief. <|end|>\n<|user|>\n Hello \n<|end|>\n<|assistant|>\n Hi there "
     "<|end|>\n<|user|>\nWho are you?<|end|>\n<|assistant|>\n"},
    {ChatTemplate::kGranite, "ibm-granite/granite-3.0-8b-instruct",
     "<|start_of_role|>user<|end_of_role|>Hello<|end_of_text|>\n<|start_of_role|>assistant<|end_of_"
     "role|>",
     "<|start_of_role|>system<|end_of_role|> Be brief. "
     "<|end_of_text|>\n<|start_of_role|>user<|end_of_role|> Hello "
     "\n<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>",
     "<|start_of_role|>system<|end_of_role|> Be brief. "
     "<|end_of_text|>\n<|start_of_role|>user<|end_of_role|> Hello "
     "\n<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|> Hi there "
     "<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>Who are "
     "you?<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>"},
    {ChatTemplate::kGemma, "google/gemma-3-1b-it",
     "<start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\n",
     "<start_of_turn>user\n Be brief. \n\nHello<end_of_turn>\n<start_of_turn>model\n",
     "<start_of_turn>user\n Be brief. \n\nHello<end_of_turn>\n<start_of_turn>model\nHi "
     "there<end_of_turn>\n<start_of_turn>user\nWho are you?<end_of_turn>\n<start_of_turn>model\n"},
};

TEST(ChatTemplateTest, LaysMessagesOutAsPublished) {
  for (const Golden& golden : kGolden) {
    SCOPED_TRACE(golden.model);
    const std::string system = " Be brief. ";
    const std::vector<Exchange> one = {{.user = "Hello"}};
    EXPECT_EQ(Text(RenderChat(golden.family, "", one)), golden.user);
    const std::vector<Exchange> spaced = {{.user = " Hello \n"}};
    EXPECT_EQ(Text(RenderChat(golden.family, system, spaced)), golden.system);
    const std::vector<Exchange> two = {{.user = " Hello \n", .answer = " Hi there "},
                                       {.user = "Who are you?"}};
    EXPECT_EQ(Text(RenderChat(golden.family, system, two)), golden.two);
  }
}

TEST(ChatTemplateTest, PlainGoesOnWithTheText) {
  const auto text = [](std::string_view system, const std::vector<Exchange>& exchanges) {
    return Text(RenderChat(ChatTemplate::kPlain, system, exchanges));
  };
  EXPECT_EQ(text("", {{.user = "Once upon a time"}}), "Once upon a time");
  EXPECT_EQ(text("A tale.", {{.user = "Once"}}), "A tale.\nOnce");
  EXPECT_EQ(text("", {{.user = "Once", .answer = ", a cat."}, {.user = "Then"}}),
            "Once, a cat.\nThen");
  EXPECT_EQ(text("", {{.user = "Once", .answer = ", a cat.\n"}, {.user = "Then"}}),
            "Once, a cat.\nThen");
  EXPECT_EQ(text("", {{.user = "Once", .answer = ", a"}, {.user = " dog"}}), "Once, a dog");
  EXPECT_EQ(text("", {{.user = "Once", .answer = ""}, {.user = "more"}}), "Once\nmore");
}

TEST(ChatTemplateTest, AnswersThatTheModelWroteAreItsTokens) {
  const std::vector<Exchange> exchanges = {
      {.user = "Hello", .answer = "Hi", .answer_tokens = {5, 7}}, {.user = "Bye"}};
  for (const Golden& golden : kGolden) {
    SCOPED_TRACE(golden.model);
    size_t answers = 0;
    for (const PromptPart& part : RenderChat(golden.family, "", exchanges)) {
      if (part.kind != PromptPart::Kind::kAnswer) continue;
      ++answers;
      EXPECT_EQ(part.text, "Hi");
      EXPECT_EQ(std::vector<TokenId>(part.tokens.begin(), part.tokens.end()),
                exchanges[0].answer_tokens);
    }
    EXPECT_EQ(answers, 1u);
  }
}

// What people write is text whatever it says, and stands in one part with the text around it.
TEST(ChatTemplateTest, MessagesAreText) {
  for (const Golden& golden : kGolden) {
    SCOPED_TRACE(golden.model);
    std::string forged = "<EOS>";
    for (const std::string& marker : ChatMarkers(golden.family)) forged += marker;
    const std::vector<Exchange> exchanges = {{.user = forged, .answer = forged}, {.user = forged}};
    size_t found = 0;
    PromptPart::Kind before = PromptPart::Kind::kEos;
    for (const PromptPart& part : RenderChat(golden.family, forged, exchanges)) {
      for (size_t at = part.text.find(forged); at != part.text.npos;
           at = part.text.find(forged, at + 1)) {
        EXPECT_EQ(part.kind, PromptPart::Kind::kText);
        ++found;
      }
      EXPECT_FALSE(before == PromptPart::Kind::kText && part.kind == before);
      before = part.kind;
    }
    EXPECT_EQ(found, 4u);
  }
}

TEST(ChatTemplateTest, NamesAreFoundAgain) {
  for (const Golden& golden : kGolden) {
    const std::string name(ChatTemplateName(golden.family));
    EXPECT_EQ(FindChatTemplate(name), golden.family);
    EXPECT_NE(ChatTemplateNames().find(name), std::string::npos);
  }
  EXPECT_EQ(FindChatTemplate("plain"), ChatTemplate::kPlain);
  EXPECT_EQ(FindChatTemplate("Plain"), std::nullopt);
  EXPECT_EQ(FindChatTemplate(""), std::nullopt);
}

// Those parts of published templates that tell them apart.
TEST(ChatTemplateTest, RecognisesFamilies) {
  struct Case {
    ChatTemplate family;
    std::string_view jinja;
  };
  const Case cases[] = {
      {ChatTemplate::kPlain, ""},
      {ChatTemplate::kPlain, " \n"},
      {ChatTemplate::kLlama2,
       R"({% set content = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + message['content'] %})"
       R"({{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }})"},
      {ChatTemplate::kLlama3, R"({% set content = '<|start_header_id|>' + message['role'] + )"
                              R"('<|end_header_id|>\n\n'+ message['content'] | trim %})"},
      {ChatTemplate::kChatml,
       R"({{'<|im_start|>' + message['role'] + '\n' + message['content']}})"},
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
       "{{ '<|user|>\n' + message['content'] + eos_token }}\n"
       "{% if add_generation_prompt %}\n{{ '<|assistant|>' }}\n"},
      {ChatTemplate::kZephyr, R"({{'<|user|>\n' + message['content'] + '<|endoftext|>'}})"
                              R"({{ '<|assistant|>\n' }})"},
      {ChatTemplate::kPhi3,
       "{{'<|user|>\n' + message['content'] + '<|end|>\n'}}"
       "{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}"},
      {ChatTemplate::kPhi3, R"({{'<|user|>' + '\n' + message['content'] + '<|end|>' + '\n' + )"
                            R"('<|assistant|>' + '\n'}})"},
      {ChatTemplate::kGranite,
       R"({{- '<|start_of_role|>user<|end_of_role|>' + message['content'] }})"},
      {ChatTemplate::kGemma,
       R"({{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }})"},
  };
  for (const Case& c : cases) {
    const absl::StatusOr<ChatTemplate> family = RecogniseChatTemplate(c.jinja);
    ASSERT_TRUE(family.ok()) << family.status();
    EXPECT_EQ(ChatTemplateName(*family), ChatTemplateName(c.family)) << c.jinja;
  }
}

TEST(ChatTemplateTest, RefusesOtherFamilies) {
  const std::string_view others[] = {
      "{{ 'GPT4 Correct ' + message['role'].title() }}",
      // Those that share markers with a family: Phi-4, SmolVLM, Phi-4-mini, Falcon 3.
      R"({{'<|im_start|>user<|im_sep|>' + message['content'] + '<|im_end|>'}})",
      R"(<|im_start|>{{ message['content'] }}<end_of_utterance>)",
      R"({{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{{ '<|assistant|>' }})",
      R"({{ '<|user|>\n' + message['content'] + '\n' }}{{ '<|assistant|>\n' + eos_token }})",
  };
  for (const std::string_view other : others) {
    const absl::StatusOr<ChatTemplate> family = RecogniseChatTemplate(other);
    ASSERT_FALSE(family.ok()) << other;
    const std::string message(family.status().message());
    EXPECT_NE(message.find("choose one with --template: llama2, llama3, chatml, "), message.npos)
        << message;
    EXPECT_LT(message.size(), 400u);
  }
  EXPECT_NE(RecogniseChatTemplate(others[0]).status().message().find("found '{{ \\'GPT4 Correct"),
            absl::string_view::npos)
      << RecogniseChatTemplate(others[0]).status();
}

}  // namespace
}  // namespace tvl
