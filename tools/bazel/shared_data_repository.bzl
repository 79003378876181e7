"""@shared_data: models and texts that some tests use and that are not part of this repository.

They lie in the folder `shared` beside the checkout, or in $TVL_SHARED_DIR. @shared_data//:NAME is the
file of that name; //tools/bazel:shared_data.bzl defines the tests that need them.
"""

_FILES = {
    "ggml-vocab-gpt-2.gguf": "data/ggml-vocab-gpt-2.gguf",
    "ggml-vocab-gpt-2.gguf.inp": "data/ggml-vocab-gpt-2.gguf.inp",
    "ggml-vocab-gpt-2.gguf.out": "data/ggml-vocab-gpt-2.gguf.out",
    "ggml-vocab-llama-spm.gguf": "data/ggml-vocab-llama-spm.gguf",
    "ggml-vocab-llama-spm.gguf.inp": "data/ggml-vocab-llama-spm.gguf.inp",
    "ggml-vocab-llama-spm.gguf.out": "data/ggml-vocab-llama-spm.gguf.out",
    "stories260K.bin": "data/stories260K.bin",
    "tales3M.bin": "model/tales3M.bin",
    "tales3M.tok.bin": "model/tales3M.tok.bin",
    "tales_valid.txt": "data/tales_valid.txt",
    "tok512.bin": "data/tok512.bin",
    "tokenizer.bin": "data/tokenizer.bin",
}

def _shared_data_repository_impl(repository_ctx):
    folder = repository_ctx.os.environ.get("TVL_SHARED_DIR")
    if folder:
        root = repository_ctx.path(folder)
    else:
        # The checkout itself: in another workspace Bazel's own path to it is a link.
        root = repository_ctx.path(Label("//:WORKSPACE")).realpath.dirname.dirname.get_child("shared")

    present = []
    for name, path in _FILES.items():
        file = repository_ctx.path("%s/%s" % (root, path))
        if file.exists:
            repository_ctx.symlink(file, name)
            present.append(name)
    repository_ctx.file("BUILD", "exports_files(%r)\n" % present)
    repository_ctx.file("defs.bzl", """# Name -> path in the folder.
SHARED_DATA_FILES = %r

# What is there of them.
SHARED_DATA_FILES_PRESENT = %r
""" % (_FILES, present))

# TVL_SHARED_FILES changes whenever the folder does (bazelw sees to that), and the search is redone.
shared_data_repository = repository_rule(
    implementation = _shared_data_repository_impl,
    configure = True,
    environ = ["TVL_SHARED_DIR", "TVL_SHARED_FILES"],
    local = True,
)
