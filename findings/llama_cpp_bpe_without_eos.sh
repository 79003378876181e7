#!/bin/bash
# Guess: a GGUF file with a byte-level BPE vocabulary (tokenizer.ggml.model gpt2) that names no eos token has none: llama.cpp
# then ends a text at its limit, or at a token whose text it knows.
#
# Truth (llama.cpp of node-llama-cpp 3.22.1): without the keys both bos and eos are token 11, whatever that token is; the
# number is that of Falcon's <|endoftext|>. In GPT-2's order of letters token 11 is ",": a model without the key stops
# writing at its first comma. A file for SentencePiece without the keys gets 1 and 2, as one would guess.
#
# Why it matters: files that were cut down or made by hand lack the key, and sentences without commas look like a weak model,
# not like a missing key. Whoever reads such files has to decide between the same bits of behaviour and the right ones.
#
#   findings/llama_cpp_bpe_without_eos.sh      # needs node 20 and python3; installs 60 MB from npm
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

version=3.22.1
npm install --silent --no-audit --no-fund --ignore-scripts "node-llama-cpp@$version" >/dev/null
echo "node-llama-cpp $version"

cat >make.py <<'END'
"""make.py FILE [EOS]: a vocabulary of GPT-2's letters in their order, then "ab" and "<end>", of architecture llama."""
import struct, sys

printable = [b for b in range(256) if 33 <= b <= 126 or 0xA1 <= b <= 0xAC or b >= 0xAE]
letters = [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]
tokens, merges = letters + ["ab", "<end>"], ["a b"]

def text(s):
    s = s.encode()
    return struct.pack("<Q", len(s)) + s
def string(key, s): return text(key) + struct.pack("<I", 8) + text(s)
def strings(key, all): return text(key) + struct.pack("<IIQ", 9, 8, len(all)) + b"".join(map(text, all))
def number(key, n): return text(key) + struct.pack("<II", 4, n)

pairs = [string("general.architecture", "llama"), string("tokenizer.ggml.model", "gpt2"), string("tokenizer.ggml.pre", "gpt-2"),
         strings("tokenizer.ggml.tokens", tokens), strings("tokenizer.ggml.merges", merges),
         text("tokenizer.ggml.token_type") + struct.pack("<IIQ", 9, 5, len(tokens)) + struct.pack("<%di" % len(tokens), *[1] * (len(tokens) - 1), 3)]
if len(sys.argv) > 2:
    pairs.append(number("tokenizer.ggml.eos_token_id", int(sys.argv[2])))
with open(sys.argv[1], "wb") as out:
    out.write(b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(pairs))
END

cat >look.mjs <<'END'
import {getLlama, LlamaLogLevel} from "node-llama-cpp";
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.disabled});
for (const file of process.argv.slice(2)) {
  const model = await llama.loadModel({modelPath: file, vocabOnly: true});
  const ends = Array.from({length: 258}, (_, token) => token).filter((token) => model.isEogToken(token));
  console.log(`${file}: a text ends at ${ends.map((token) => `${token} "${model.detokenize([token], true)}"`).join(", ")}`);
}
process.exit(0);
END

python3 make.py named.gguf 257
python3 make.py unnamed.gguf
node look.mjs named.gguf unnamed.gguf | tee found
cat >expected <<'END'
named.gguf: a text ends at 257 "<end>"
unnamed.gguf: a text ends at 11 ","
END
diff expected found
