"""All that a workspace needs to build tvl, this one and any other:

    local_repository(name = "tvl", path = "...")  # or http_archive, git_repository

    load("@tvl//tools/bazel:repositories.bzl", "tvl_repositories")

    tvl_repositories()

and in its .bazelrc a line that imports tools/bazel/devices.bazelrc.
"""

load("//tools/bazel:debian.bzl", "debian_repositories")
load("//tools/bazel:machine.bzl", "machine_repository")
load("//tools/bazel:shared_data_repository.bzl", "shared_data_repository")
load("//tools/bazel:system.bzl", "system_repository")

def tvl_repositories():
    """Defines the repositories that tvl's BUILD files name, and registers its toolchains."""
    debian_repositories()

    # This machine: its platforms and its compilers.
    machine_repository(name = "machine")

    # Abseil, GoogleTest, Google Benchmark, Highway, CLI11, libedit and more, found by pkg-config.
    system_repository(name = "system")

    # Models and texts that lie beside the checkout and that some tests use.
    shared_data_repository(name = "shared_data")

    # gcc is the default; --config=clang puts @machine//clang:all before it.
    native.register_toolchains("@machine//gcc:all")
