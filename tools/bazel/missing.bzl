"""Stands in for something that this machine lacks, and says how to get it."""

def _missing_impl(ctx):
    fail("\n\n  " + ctx.attr.message + "\n")

# Fails only when something that is built depends on it, so that a missing package stops nothing else.
missing = rule(
    implementation = _missing_impl,
    attrs = {"message": attr.string(mandatory = True)},
)
