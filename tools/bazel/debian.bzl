"""What Debian's Bazel 4.2.3 lacks to build without a network.

Bazel's own tools load these repositories. Upstream's releases fetch them; Debian's would too, if its
packages or the stand-ins here did not come first.
"""

# The native rules under rules_cc's names: Debian's package of rules_cc is too new for this Bazel.
_RULES_CC = """
cc_binary = native.cc_binary
cc_import = native.cc_import
cc_library = native.cc_library
cc_proto_library = native.cc_proto_library
cc_test = native.cc_test
cc_toolchain = native.cc_toolchain
cc_toolchain_suite = native.cc_toolchain_suite
fdo_prefetch_hints = native.fdo_prefetch_hints
fdo_profile = native.fdo_profile
objc_import = native.objc_import
objc_library = native.objc_library
"""

# Loaded by every test, and run by `bazel coverage` only, which therefore does not work here.
_REMOTE_COVERAGE_TOOLS = """
filegroup(
    name = "coverage_report_generator",
    visibility = ["//visibility:public"],
)
"""

def _files_repository_impl(repository_ctx):
    for path, text in repository_ctx.attr.files.items():
        repository_ctx.file(path, text)

_files_repository = repository_rule(
    implementation = _files_repository_impl,
    attrs = {"files": attr.string_dict(mandatory = True)},
)

def debian_repositories():
    """Defines the missing repositories if this is Debian's Bazel; call it first in WORKSPACE."""
    if native.bazel_version:
        return
    _files_repository(
        name = "rules_cc",
        files = {"cc/BUILD": "", "cc/defs.bzl": _RULES_CC},
    )
    _files_repository(
        name = "remote_coverage_tools",
        files = {"BUILD": _REMOTE_COVERAGE_TOOLS},
    )
    native.local_repository(name = "rules_java", path = "/usr/share/bazel/rules/java")
    native.local_repository(name = "rules_proto", path = "/usr/share/bazel/rules/proto")
