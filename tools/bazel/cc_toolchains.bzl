"""The C++ toolchains for Linux: gcc and clang, native and from x86-64 to aarch64.

Bazel's own detected toolchain cannot cross-compile; these take one compiler per target and keep the
flags in one place. What right answers need is in here, not in a .bazelrc, so that other workspaces,
and their kernels, get it by registering the toolchain. What depends on the device (-march) is in
devices.bazelrc.
"""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load(
    "@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl",
    "feature",
    "feature_set",
    "flag_group",
    "flag_set",
    "tool_path",
    "with_feature_set",
)
load("//tools/bazel:missing.bzl", "missing")

_COMPILE = [
    ACTION_NAMES.assemble,
    ACTION_NAMES.preprocess_assemble,
    ACTION_NAMES.c_compile,
    ACTION_NAMES.cpp_compile,
    ACTION_NAMES.cpp_header_parsing,
    ACTION_NAMES.linkstamp_compile,
]

_COMPILE_CXX = [
    ACTION_NAMES.cpp_compile,
    ACTION_NAMES.cpp_header_parsing,
    ACTION_NAMES.linkstamp_compile,
]

_LINK = [
    ACTION_NAMES.cpp_link_executable,
    ACTION_NAMES.cpp_link_dynamic_library,
    ACTION_NAMES.cpp_link_nodeps_dynamic_library,
]

# Without a device's config, x86-64 means AVX2 with FMA and F16C. -maes and -mpclmul are part of what
# Highway 1.0.3 calls AVX2: without them it silently falls back to SSSE3, whose MulAdd rounds twice.
_DEFAULT_DEVICE = {
    "aarch64": ["-march=armv8-a"],
    "x86_64": ["-march=x86-64-v3", "-maes", "-mpclmul"],
}

def _flags(actions, flags, **kwargs):
    return flag_set(actions = actions, flag_groups = [flag_group(flags = flags)], **kwargs)

def _feature(name, flags, enabled = False, actions = _COMPILE):
    # An empty flag_group is an error.
    return feature(name = name, enabled = enabled, flag_sets = [_flags(actions, flags)] if flags else [])

def _module_map_features():
    """What clang needs to check that a file includes only headers of its target's direct dependencies."""
    compile = [
        ACTION_NAMES.c_compile,
        ACTION_NAMES.cpp_compile,
        ACTION_NAMES.cpp_header_parsing,
    ]
    return [
        # Bazel then writes a module map for every cc_library.
        feature(name = "module_maps", enabled = True),
        feature(
            name = "use_module_maps",
            requires = [feature_set(features = ["module_maps"])],
            flag_sets = [_flags(compile, [
                "-fmodule-name=%{module_name}",
                "-fmodule-map-file=%{module_map_file}",
            ])],
        ),
        feature(
            name = "layering_check",
            implies = ["use_module_maps"],
            flag_sets = [flag_set(
                actions = compile,
                flag_groups = [
                    flag_group(flags = ["-fmodules-strict-decluse", "-Wprivate-header"]),
                    flag_group(
                        iterate_over = "dependent_module_map_files",
                        flags = ["-fmodule-map-file=%{dependent_module_map_files}"],
                    ),
                ],
            )],
        ),
    ]

def _config_impl(ctx):
    clang = ctx.attr.compiler == "clang"

    # `clang` links C, and leaves out the C++ part of the sanitizers' runtimes if not told.
    link_flags = ["-fsanitize-link-c++-runtime"] if clang else []
    opt = [with_feature_set(features = ["opt"])]
    dbg = [with_feature_set(features = ["dbg"])]
    libcxx = [with_feature_set(features = ["libcxx"])]
    libstdcxx = [with_feature_set(not_features = ["libcxx"])]
    features = [
        feature(name = "opt"),
        feature(name = "dbg"),
        feature(name = "fastbuild"),
        feature(
            name = "compile",
            enabled = True,
            flag_sets = [_flags(_COMPILE, ctx.attr.target_flags)] if ctx.attr.target_flags else [],
        ),
        feature(
            name = "compile_defaults",
            enabled = True,
            flag_sets = [
                # __DATE__ and the like would make two builds of one source differ.
                _flags(_COMPILE, [
                    "-Wno-builtin-macro-redefined",
                    '-D__DATE__="redacted"',
                    '-D__TIME__="redacted"',
                    '-D__TIMESTAMP__="redacted"',
                ]),
                _flags(_COMPILE, ["-pthread", "-fno-omit-frame-pointer", "-fstack-protector"]),
                _flags(_COMPILE, ["-O2", "-g0", "-DNDEBUG", "-ffunction-sections", "-fdata-sections"], with_features = opt),
                _flags(_COMPILE, ["-O0", "-g"], with_features = dbg),
            ],
        ),
        # A default: --cxxopt and copts come later and may ask for more.
        _feature("cxx20", ["-std=c++20"], enabled = True, actions = _COMPILE_CXX),
        # --features chooses between the two.
        _feature("default_device", _DEFAULT_DEVICE[ctx.attr.cpu], enabled = True),
        _feature("native_device", ctx.attr.native_flags),
        # --copt and copts. Bazel would put them after all features; named here, they end before the
        # one that follows.
        feature(
            name = "user_compile_flags",
            enabled = True,
            flag_sets = [flag_set(
                actions = _COMPILE,
                flag_groups = [flag_group(
                    expand_if_available = "user_compile_flags",
                    flags = ["%{user_compile_flags}"],
                    iterate_over = "user_compile_flags",
                )],
            )],
        ),
        # The order of every rounding is written in the source (core/kernel.h); the compiler must not
        # fuse, which is what gcc does in C++ by default. Here rather than in the copts of our kernels,
        # because kernels of other workspaces, and code of our headers that their files instantiate,
        # need it as well; last, because a user's -ffp-contract=fast would give other answers without
        # a word. Not a pragma: gcc ignores STDC FP_CONTRACT. With other toolchains,
        # core/compiler_check.h notices.
        _feature("canonical_rounding", ["-ffp-contract=off"], enabled = True),
        feature(
            name = "link_defaults",
            enabled = True,
            flag_sets = [
                _flags(_LINK, ctx.attr.target_flags + link_flags + ["-pthread", "-Wl,-z,relro,-z,now"]),
                _flags(_LINK, ["-Wl,--gc-sections"], with_features = opt),
                # Everything but libc is linked statically, so that a binary can be copied to a device.
                _flags(_LINK, ["-l:libstdc++.a"], with_features = libstdcxx),
                _flags(_LINK, ["-l:libc++.a", "-l:libc++abi.a"], with_features = libcxx),
                _flags(_LINK, ["-lm", "-static-libgcc"]),
            ],
        ),
        # clang's own standard library, which Apple's compiler uses too.
        feature(
            name = "libcxx",
            flag_sets = [_flags([ACTION_NAMES.cpp_compile, ACTION_NAMES.cpp_header_parsing], ["-stdlib=libc++"])],
        ),
    ] + (_module_map_features() if clang else [])
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        abi_libc_version = "glibc",
        abi_version = "gcc",
        compiler = ctx.attr.compiler,
        cxx_builtin_include_directories = ctx.attr.include_directories,
        features = features,
        host_system_name = "local",
        target_cpu = ctx.attr.cpu,
        target_libc = "glibc",
        target_system_name = ctx.attr.cpu + "-linux-gnu",
        tool_paths = [tool_path(name = name, path = path) for name, path in ctx.attr.tools.items()],
        toolchain_identifier = ctx.attr.compiler + "-" + ctx.attr.cpu,
    )

_cc_toolchain_config = rule(
    implementation = _config_impl,
    attrs = {
        "compiler": attr.string(mandatory = True, values = ["gcc", "clang"]),
        "cpu": attr.string(mandatory = True),
        "include_directories": attr.string_list(mandatory = True),
        "native_flags": attr.string_list(),
        "target_flags": attr.string_list(),
        "tools": attr.string_dict(mandatory = True),
    },
    provides = [CcToolchainConfigInfo],
)

def _toolchain(cpu, host, toolchain):
    native.toolchain(
        name = cpu,
        exec_compatible_with = ["@platforms//cpu:" + host, "@platforms//os:linux"],
        target_compatible_with = ["@platforms//cpu:" + cpu, "@platforms//os:linux"],
        toolchain = toolchain,
        toolchain_type = "@bazel_tools//tools/cpp:toolchain_type",
    )

def linux_cc_toolchain(compiler, cpu, host, include_directories, native_flags, target_flags, tools):
    """Defines the toolchain `cpu`: `compiler` on a Linux `host`, making code for Linux on `cpu`."""
    _cc_toolchain_config(
        name = cpu + "_config",
        compiler = compiler,
        cpu = cpu,
        include_directories = include_directories,
        native_flags = native_flags,
        target_flags = target_flags,
        tools = tools,
    )
    module_map = compiler == "clang"
    native.filegroup(
        name = cpu + "_files",
        srcs = [cpu + ".modulemap"] if module_map else [],
    )
    native.cc_toolchain(
        name = cpu + "_cc_toolchain",
        all_files = cpu + "_files",
        compiler_files = cpu + "_files",
        dwp_files = cpu + "_files",
        linker_files = cpu + "_files",
        module_map = cpu + ".modulemap" if module_map else None,
        objcopy_files = cpu + "_files",
        strip_files = cpu + "_files",
        supports_param_files = True,
        toolchain_config = cpu + "_config",
        toolchain_identifier = compiler + "-" + cpu,
    )
    _toolchain(cpu, host, cpu + "_cc_toolchain")

def missing_cc_toolchain(cpu, host, message):
    """Defines the toolchain `cpu` for a compiler that is not installed: using it fails with `message`."""
    missing(name = cpu + "_missing", message = message)
    _toolchain(cpu, host, cpu + "_missing")
