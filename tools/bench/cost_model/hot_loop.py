"""The loops that neon_handwritten spends its time in, found in the disassembly of its library."""

import re
import shutil
import subprocess

# The values of core/tile.h's WeightType, as demangled names have them.
TYPES = {1: "f32", 2: "f16", 3: "bf16", 4: "q8", 5: "q4", 6: "q4m", 7: "q4k", 8: "q5k", 9: "q6k"}

# What multiplies, and how many products that makes.
_PRODUCTS = {"fmla": 4, "sdot": 16, "smmla": 32, "smlal": 8, "smlal2": 8}
_MULTIPLY_ADD = re.compile(rf"({'|'.join(_PRODUCTS)})\b")
_BRANCH = re.compile(r"(?:b\.\w+|b|cbn?z|tbn?z)\s+(?:\S+, )*([0-9a-f]+) <")


class Loop:
    """The instructions of one loop, from its head to the branch back to it."""

    def __init__(self, instructions):
        self.instructions = instructions

    def count(self, pattern):
        return sum(1 for text in self.instructions if re.match(pattern, text))

    @property
    def lines(self):
        """Cache lines of weights that a round takes: as many as it asks for ahead into L1."""
        return self.count(r"prfm\s+pldl1strm")

    def products(self, instruction):
        """How many products of weights with inputs a round makes, which are made by `instruction`."""
        return self.count(rf"{instruction}\b") * _PRODUCTS[instruction]

    def vector_stack_accesses(self):
        """Loads and stores of vector registers in the function's frame."""
        return [text for text in self.instructions if re.match(r"(ld|st)\w+\s+(\{ ?)?[bhsdqv]\d.*\[(sp|x29)", text)]

    def assembly(self):
        """What an assembler takes, without the branch's target."""
        body = [text.split("//")[0].rstrip() for text in self.instructions]
        body[-1] = re.sub(r"[0-9a-f]+ <.*>", "0b", body[-1])
        return "0:\n" + "\n".join(body) + "\n"


def _functions(disassembly):
    """Yields (name, [(address, instruction)])."""
    name, code = None, []
    for line in disassembly.splitlines():
        if head := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            if name:
                yield name, code
            name, code = head[1], []
        elif row := re.match(r"\s*([0-9a-f]+):\t(.*)$", line):
            code.append((int(row[1], 16), row[2].rstrip()))
    if name:
        yield name, code


def _hottest(code):
    """The innermost loop with the most multiplications, or None."""
    index = {address: i for i, (address, _) in enumerate(code)}
    loops = []
    for end, (_, text) in enumerate(code):
        branch = _BRANCH.match(text)
        begin = index.get(int(branch[1], 16)) if branch else None
        if begin is not None and begin <= end:
            loops.append((begin, end))
    inner = [a for a in loops if not any(a != b and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    found = [Loop([text for _, text in code[begin : end + 1]]) for begin, end in inner]
    return max(found, key=lambda loop: loop.count(_MULTIPLY_ADD), default=None)


def _disassembled(library):
    objdump = shutil.which("aarch64-linux-gnu-objdump") or "objdump"
    command = [objdump, "--disassemble", "--demangle", "--no-show-raw-insn", library]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def gemv_loops(library):
    """{name of the weight type: its Gemv's hot loop} of libneon_handwritten.a."""
    loops = {}
    for name, code in _functions(_disassembled(library)):
        if gemv := re.search(r"NeonHandwritten::Gemv<\(tvl::WeightType\)(\d)>\(", name):
            loops[TYPES[int(gemv[1])]] = _hottest(code)
    missing = [name for name in TYPES.values() if not (loops.get(name) and loops[name].lines)]
    if missing:
        raise LookupError(f"{library}: found no hot loop of Gemv of {', '.join(missing)}")
    return {name: loops[name] for name in TYPES.values()}


# The functions that Gemm spends its time in, as demangled names have them: a whole pass of gemm_block.cc, and those of
# quantized_gemm.cc without and with minima, and with a scale for every 16 inputs.
_PASSES = {
    "f32": r"\bAddChain<6ul, 0ul>\(",
    "q8, q4": r"\bAddChunk<false, 32ul>\(",
    "q4m, q4k, q5k": r"\bAddChunk<true, 32ul>\(",
    "q6k": r"\bAddChunk<false, 16ul>\(",
}


def gemm_loops(library):
    """{name of the weight types: (the hot loop of their Gemm, what multiplies in it)} of libneon_handwritten.a. Without
    SDOT the quantised types have none of their own: they run Gemv's."""
    loops = {}
    for name, code in _functions(_disassembled(library)):
        for types, function in _PASSES.items():
            if re.search(function, name) and (loop := _hottest(code)):
                multiply = next(m for m in ("smmla", "sdot", "fmla") if loop.count(rf"{m}\b"))
                loops[types] = loop, multiply
    if set(loops) not in ({"f32"}, set(_PASSES)):
        raise LookupError(f"{library}: found hot loops of Gemm of {', '.join(loops) or 'nothing'} only")
    return {types: loops[types] for types in _PASSES if types in loops}
