"""The headers that libraries consist of, as files that a test can hand to a compiler."""

def _headers_impl(ctx):
    depsets = [dep[CcInfo].compilation_context.headers for dep in ctx.attr.deps]
    return [DefaultInfo(files = depset(transitive = depsets))]

headers = rule(
    implementation = _headers_impl,
    attrs = {"deps": attr.label_list(providers = [CcInfo])},
)
