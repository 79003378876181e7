#include "tools/chat/chat_template.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

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

// str.strip() of Python 3.11, asked for every code point.
TEST(ChatTemplateTest, TrimsTheWhiteSpaceOfPython) {
  const std::string_view white[] = {"\t",     "\n",     "\v",     "\f",     "\r",     "\x1c",
                                    "\x1d",   "\x1e",   "\x1f",   " ",      "\u0085", "\u00a0",
                                    "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004",
                                    "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
                                    "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};
  const std::string_view dark[] = {"\x1b",   "!",      "\x7f",   "\u0084", "\u0086", "\u009f",
                                   "\u00a1", "\u00ad", "\u167f", "\u1681", "\u180e", "\u1fff",
                                   "\u200b", "\u2027", "\u202a", "\u2030", "\u205e", "\u2060",
                                   "\u2fff", "\u3001", "\ufeff", "\xa0",   "\x85",   "\xe3\x80"};
  const auto user = [](ChatTemplate family, const std::string& text) {
    const std::vector<Exchange> one = {{.user = text}};
    const std::string out = Text(RenderChat(family, "", one));
    const std::string begin = family == ChatTemplate::kLlama2 ? "[INST] " : "user";
    return out.substr(out.find(begin) + begin.size());
  };
  for (const ChatTemplate family :
       {ChatTemplate::kLlama2, ChatTemplate::kLlama3, ChatTemplate::kGemma}) {
    for (const std::string_view w : white) {
      const std::string space(w);
      EXPECT_EQ(user(family, absl::StrCat(space, "\u3000 a", space, "b \u00a0", space)),
                user(family, absl::StrCat("a", space, "b")))
          << testing::PrintToString(space);
      EXPECT_EQ(user(family, space), user(family, ""));
    }
    for (const std::string_view d : dark) {
      const std::string text = absl::StrCat(std::string(d), "a", std::string(d));
      EXPECT_EQ(user(family, absl::StrCat(" ", text, " ")), user(family, text));
      EXPECT_NE(user(family, text), user(family, "a")) << testing::PrintToString(d);
    }
  }
  const std::vector<Exchange> kept = {{.user = "\u3000a "}};
  EXPECT_EQ(Text(RenderChat(ChatTemplate::kChatml, "", kept)),
            "<|im_start|>user\n\u3000a <|im_end|>\n<|im_start|>assistant\n");
}

// What a model's own template has that the family's has not.
TEST(ChatTemplateTest, VariantsOfALayout) {
  ChatLayout layout = ChatTemplate::kChatml;
  layout.before_text = "\n\n";
  layout.before_end = "\n";
  layout.after_end = "";
  layout.opening = "<think>\n";
  layout.trims = true;
  std::vector<Exchange> two = {{.user = " Hello ", .answer = "Hi"}, {.user = "Bye"}};
  EXPECT_EQ(Text(RenderChat(layout, " S", two)),
            "<|im_start|>system\n\nS\n<|im_end|><|im_start|>user\n\nHello\n<|im_end|>"
            "<|im_start|>assistant\n\nHi\n<|im_end|><|im_start|>user\n\nBye\n<|im_end|>"
            "<|im_start|>assistant\n\n<think>\n");
  // What the model wrote went on from the opening, which may be a token.
  two[0].answer_tokens = {5};
  EXPECT_EQ(Text(RenderChat(layout, "", two)),
            "<|im_start|>user\n\nHello\n<|im_end|><|im_start|>assistant\n\n<think>\nHi\n"
            "<|im_end|><|im_start|>user\n\nBye\n<|im_end|><|im_start|>assistant\n\n<think>\n");
  EXPECT_EQ(ChatMarkers(layout),
            (std::vector<std::string>{"<|im_start|>", "<|im_end|>", "<think>"}));
}

}  // namespace
}  // namespace tvl
