"""Tests that need models or texts from @shared_data.

    load("//tools/bazel:shared_data.bzl", "shared_data_test")

    shared_data_test(
        kind = cc_test,
        name = "golden_test",
        srcs = ["golden_test.cc"],
        args = ["$(location @shared_data//:stories260K.bin)"],
        shared_data = ["stories260K.bin"],
    )

`shared_data` is added to the test's `data`. Where a file of it is absent there is no test, and
./bazelw test and .ci/run list it as not run.
"""

load("@shared_data//:defs.bzl", "SHARED_DATA_FILES", "SHARED_DATA_FILES_PRESENT")

def _not_run_impl(_ctx):
    return []

not_run = rule(
    implementation = _not_run_impl,
    doc = "Stands in for a test whose data is absent.",
    attrs = {"note": attr.string(mandatory = True)},
)

def shared_data_test(kind, name, shared_data, data = [], **kwargs):
    """Defines a test of rule `kind`, if the files `shared_data` are there.

    Args:
      kind: the rule, cc_test or sh_test.
      name: the test's name.
      shared_data: names in @shared_data, such as "stories260K.bin".
      data: as in the rule.
      **kwargs: passed on to the rule.
    """
    absent = []
    for file in shared_data:
        if file not in SHARED_DATA_FILES:
            fail("%s: @shared_data has no %s; it has %s" % (name, file, ", ".join(SHARED_DATA_FILES.keys())))
        if file not in SHARED_DATA_FILES_PRESENT:
            absent.append("../shared/" + SHARED_DATA_FILES[file])
    if absent:
        not_run(
            name = name,
            note = "//%s:%s needs %s" % (native.package_name(), name, ", ".join(absent)),
        )
    else:
        kind(
            name = name,
            data = data + ["@shared_data//:" + file for file in shared_data],
            **kwargs
        )
