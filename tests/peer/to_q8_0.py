"""to_q8_0.py IN.gguf OUT.gguf: the same model with matrices of 8 bits (Q8_0) where their rows are whole blocks. IN's tensors
are F32, F16 or Q8_0. Run with tests/support and tests/architectures in PYTHONPATH.
"""

import sys

import gguf_reader
import make_gguf

BLOCK = 32


def typed(value, integer=4):
    """A value with a type that readers take: of numbers those of llama.cpp's own files, u32, f32, and arrays of i32."""
    if isinstance(value, str):
        return (make_gguf.STRING, value.encode(errors="surrogateescape"))
    if isinstance(value, list):
        items = [typed(item, integer=5) for item in value]
        return (make_gguf.ARRAY, (items[0][0], [item for _, item in items]))
    return (7 if isinstance(value, bool) else integer if isinstance(value, int) else 6, value)


def main(source, out):
    metadata, tensors = gguf_reader.read(source)
    gguf = make_gguf.Gguf()
    gguf.metadata = {key: typed(value) for key, value in metadata.items()}
    for name, numbers in tensors.items():
        kind = "Q8_0" if numbers.ndim == 2 and numbers.shape[1] % BLOCK == 0 else "F32"
        data = make_gguf.PACKERS[kind](numbers.ravel().tolist())
        gguf.tensors.append(make_gguf.Tensor(name, numbers.shape[::-1], kind, data, []))
    with open(out, "wb") as file:
        file.write(gguf.bytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
