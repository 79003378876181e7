"""clang-tidy over the product's sources, as actions of the build: `./bazelw build --config=clang-tidy //...`.

So each file is looked at with the flags that it is compiled with, and only when something changed. Tests,
and what only tests may use, are left out: GoogleTest's macros make them slow to analyse, up to a minute a
file where the product's take ten seconds.
"""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")

_RULES = ["cc_binary", "cc_library"]

def _flags(target, ctx):
    """The compiler's flags for the target's sources."""
    toolchain = find_cpp_toolchain(ctx)
    features = cc_common.configure_features(
        ctx = ctx,
        cc_toolchain = toolchain,
        requested_features = ctx.features,
        unsupported_features = ctx.disabled_features + ["layering_check", "module_maps"],
    )
    cpp = ctx.fragments.cpp
    variables = cc_common.create_compile_variables(
        cc_toolchain = toolchain,
        feature_configuration = features,
        user_compile_flags = cpp.copts + cpp.cxxopts + ctx.rule.attr.copts,
    )
    context = target[CcInfo].compilation_context
    folders = [("-I", context.includes), ("-iquote", context.quote_includes), ("-isystem", context.system_includes)]
    return (
        cc_common.get_memory_inefficient_command_line(
            action_name = ACTION_NAMES.cpp_compile,
            feature_configuration = features,
            variables = variables,
        ) +
        ["-D" + define for define in context.defines.to_list() + context.local_defines.to_list()] +
        [word for flag, paths in folders for path in paths.to_list() for word in [flag, path]]
    )

def _clang_tidy_impl(target, ctx):
    if ctx.rule.kind not in _RULES or ctx.rule.attr.testonly or target.label.workspace_name or CcInfo not in target:
        return []
    flags = _flags(target, ctx)
    headers = target[CcInfo].compilation_context.headers
    outputs = []
    for source in [file for attr in ctx.rule.attr.srcs for file in attr.files.to_list()]:
        if source.extension != "cc" or not source.is_source:
            continue
        output = ctx.actions.declare_file("%s.%s.clang-tidy" % (ctx.label.name, source.basename))
        ctx.actions.run_shell(
            command = 'log=$1; shift; "$@" >"$log" 2>&1 || { cat "$log"; exit 1; }',
            arguments = [
                output.path,
                "clang-tidy",
                "--quiet",
                "--config-file=" + ctx.file._config.path,
                source.path,
                "--",
            ] + flags,
            inputs = depset([source, ctx.file._config], transitive = [headers]),
            mnemonic = "ClangTidy",
            outputs = [output],
            progress_message = "clang-tidy " + source.short_path,
            use_default_shell_env = True,
        )
        outputs.append(output)
    return [OutputGroupInfo(clang_tidy = depset(outputs))]

clang_tidy = aspect(
    implementation = _clang_tidy_impl,
    attrs = {
        "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:current_cc_toolchain"),
        "_config": attr.label(default = "//:.clang-tidy", allow_single_file = True),
    },
    fragments = ["cpp"],
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
)
