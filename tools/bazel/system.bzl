"""@system: the libraries that the system's package manager provides, found through pkg-config.

Each target @system//:NAME stands for @system//x86_64:NAME or @system//aarch64:NAME. The one that is
not the host's is Debian's multi-arch package. Where a package is missing, its target fails when
something that is built needs it, with a sentence that names the package; nothing else is affected.
"""

load("//tools/bazel:host.bzl", "host_cpu", "host_os", "words")

def _library(debian, brew, pkg_config, macos = None):
    return struct(debian = debian, brew = brew, pkg_config = pkg_config, macos = macos)

def _absl(name):
    return _library("libabsl-dev", "abseil", "absl_" + name)

# Target -> Debian package, Homebrew formula, pkg-config module; or, of a library that comes with macOS,
# the option that links it.
_LIBRARIES = {
    "absl_status": _absl("status"),
    "absl_statusor": _absl("statusor"),
    "absl_str_format": _absl("str_format"),
    "absl_strings": _absl("strings"),
    "benchmark": _library("libbenchmark-dev", "google-benchmark", "benchmark"),
    "cli11": _library("libcli11-dev", "cli11", "CLI11"),
    "edit": _library("libedit-dev", None, "libedit", macos = "-ledit"),
    "gmock": _library("libgmock-dev", "googletest", "gmock"),
    "gtest": _library("libgtest-dev", "googletest", "gtest"),
    "gtest_main": _library("libgtest-dev", "googletest", "gtest_main"),
    "highway": _library("libhwy-dev", "highway", "libhwy"),
    "nlohmann_json": _library("nlohmann-json3-dev", "nlohmann-json", "nlohmann_json"),
    "pcre2": _library("libpcre2-dev", "pcre2", "libpcre2-8"),
    "xxhash": _library("libxxhash-dev", "xxhash", "libxxhash"),
}

# Highway picks its one instruction set by the compiler's flags, and says so here because the default,
# targets for dispatch at run time, does not compile for CPUs that have all of AVX-512. The layout and
# the kernels are made for NEON, not for SVE.
_DEFINES = {
    ("highway", "aarch64"): [
        "HWY_COMPILE_ONLY_STATIC",
        "HWY_DISABLED_TARGETS=(HWY_SVE|HWY_SVE2|HWY_SVE_256|HWY_SVE2_128)",
    ],
    ("highway", "x86_64"): ["HWY_COMPILE_ONLY_STATIC"],
}

# Packages of headers, one for all architectures.
_HEADER_ONLY = ["libcli11-dev", "nlohmann-json3-dev"]

# With --config=libcxx GoogleTest is built from the package's sources: a library made for another C++
# standard library cannot be linked. Abseil has no such package, and what needs it is not linked then.
_GOOGLETEST_SOURCES = "/usr/src/googletest"

_GOOGLETEST = """
cc_library(
    name = "gtest",
    srcs = [
        "googlemock/src/gmock-all.cc",
        "googletest/src/gtest-all.cc",
    ],
    hdrs = glob([
        "googlemock/include/**/*.h",
        "googletest/include/**/*.h",
    ]),
    textual_hdrs = glob([
        "googlemock/src/*",
        "googletest/src/*",
    ]),
    copts = ["-w"],
    features = ["-layering_check"],
    includes = [
        "googlemock",
        "googlemock/include",
        "googletest",
        "googletest/include",
    ],
)

cc_library(
    name = "gtest_main",
    srcs = ["googlemock/src/gmock_main.cc"],
    # Tests that name gtest_main alone include these.
    hdrs = glob([
        "googlemock/include/**/*.h",
        "googletest/include/**/*.h",
    ]),
    copts = ["-w"],
    features = ["-layering_check"],
    deps = [":gtest"],
)

alias(
    name = "gmock",
    actual = ":gtest",
)
"""

# Parts of libc, which stays shared.
_LIBC = ["-ldl", "-lm", "-lpthread", "-lrt"]

_CPUS = ["aarch64", "x86_64"]

def _pkg_config(repository_ctx, cross_cpu, arguments):
    """Returns pkg-config's words for the host, or for `cross_cpu` if not None; None if it failed."""
    environment = {}
    if cross_cpu:
        environment["PKG_CONFIG_LIBDIR"] = \
            "/usr/lib/%s-linux-gnu/pkgconfig:/usr/share/pkgconfig" % cross_cpu
    result = repository_ctx.execute(["pkg-config"] + arguments, environment = environment)
    return words(result.stdout) if result.return_code == 0 else None

def _link_options(repository_ctx, os, words, folder):
    """Replaces -lNAME by the static archive wherever the package has one."""
    options = []
    for word in words:
        archive = "%s/lib%s.a" % (folder, word[2:])
        if not word.startswith("-l") or word in _LIBC or not repository_ctx.path(archive).exists:
            options.append(word)
        elif archive not in options:
            options.append(archive)
    if os == "linux":
        # Debian builds Highway and Google Benchmark as shared objects only. Highway's is not needed
        # by what its headers inline, and then it is not recorded in the binary.
        return ["-Wl,--push-state,--as-needed"] + options + ["-Wl,--pop-state"]
    return options

def _include_folders(repository_ctx, cpu, words):
    """Makes folders that the compiler does not search by itself part of @system; returns their names."""
    folders = []
    for word in words:
        if word.startswith("-I") and word not in ["-I/usr/include", "-I/usr/local/include"]:
            name = "include" + word[2:].replace("/", "_")
            path = cpu + "/" + name
            if not repository_ctx.path(path).exists:
                repository_ctx.symlink(word[2:], path)
            if name not in folders:
                folders.append(name)
    return folders

def _define(repository_ctx, os, cpu, cross_cpu, name, library):
    """Returns the BUILD text of one library for one CPU."""
    if os == "osx" and library.macos:
        return "\ncc_library(\n    name = %r,\n    linkopts = [%r],\n)\n" % (name, library.macos)

    module = library.pkg_config
    folder = _pkg_config(repository_ctx, cross_cpu, ["--variable=libdir", module])
    if folder == None:
        package = library.debian
        if cross_cpu and package not in _HEADER_ONLY:
            package += ":arm64" if cpu == "aarch64" else ":amd64"
        install = "apt-get install " + package
        if os == "osx":
            package = library.brew
            install = "brew install " + package
        message = "%s is missing: %s" % (package, install)
        return "\nmissing(\n    name = %r,\n    message = %r,\n)\n" % (name, message)

    compile_flags = _pkg_config(repository_ctx, cross_cpu, ["--cflags", module])
    link_flags = _pkg_config(repository_ctx, cross_cpu, ["--libs"] + (["--static"] if os == "linux" else []) + [module])
    folders = _include_folders(repository_ctx, cpu, compile_flags)
    linkopts = []
    if link_flags:
        linkopts = _link_options(repository_ctx, os, link_flags, folder[0] if folder else "")
    return "\ncc_library(\n%s)\n" % "".join(["    %s = %s,\n" % item for item in [
        ("name", repr(name)),
        ("hdrs", "glob(%r)" % [folder + "/**" for folder in folders] if folders else "[]"),
        ("defines", [flag[2:] for flag in compile_flags if flag.startswith("-D")] +
                    _DEFINES.get((name, cpu), [])),
        ("includes", folders),
        ("linkopts", linkopts),
    ]])

def _system_repository_impl(repository_ctx):
    os = host_os(repository_ctx)
    host = host_cpu(repository_ctx)
    if not repository_ctx.which("pkg-config"):
        fail("pkg-config is missing: %s install pkg-config" % ("brew" if os == "osx" else "apt-get"))

    for cpu in _CPUS:
        text = 'load("@tvl//tools/bazel:missing.bzl", "missing")\n\n' + \
               'package(default_visibility = ["//:__pkg__"])\n'
        for name, library in _LIBRARIES.items():
            text += _define(repository_ctx, os, cpu, None if cpu == host else cpu, name, library)
        repository_ctx.file(cpu + "/BUILD", text)

    from_source = []
    text = 'package(default_visibility = ["//:__pkg__"])\n'
    if repository_ctx.path(_GOOGLETEST_SOURCES).exists:
        from_source = ["gmock", "gtest", "gtest_main"]
        for folder in ["googlemock", "googletest"]:
            repository_ctx.symlink("%s/%s" % (_GOOGLETEST_SOURCES, folder), "from_source/" + folder)
        text += _GOOGLETEST
    repository_ctx.file("from_source/BUILD", text)

    text = """package(default_visibility = ["//visibility:public"])

config_setting(
    name = "libcxx",
    define_values = {"stdlib": "libcxx"},
)
"""
    for cpu in _CPUS:
        text += """
config_setting(
    name = "{cpu}",
    constraint_values = ["@platforms//cpu:{cpu}"],
)
""".format(cpu = cpu)
    for name in _LIBRARIES:
        installed = name
        if name in from_source:
            installed += "_installed"
            text += """
alias(
    name = "{name}",
    actual = select({{
        ":libcxx": "//from_source:{name}",
        "//conditions:default": ":{installed}",
    }}),
)
""".format(name = name, installed = installed)
        text += """
alias(
    name = "{installed}",
    actual = select({{
        ":aarch64": "//aarch64:{name}",
        ":x86_64": "//x86_64:{name}",
    }}),
)
""".format(name = name, installed = installed)
    repository_ctx.file("BUILD", text)

# TVL_PACKAGES changes whenever packages are installed (bazelw sees to that), and the search is redone.
system_repository = repository_rule(
    implementation = _system_repository_impl,
    configure = True,
    environ = ["PATH", "PKG_CONFIG_PATH", "TVL_PACKAGES"],
    local = True,
)
