"""@machine: platforms and C++ toolchains, written for the host's operating system and CPU.

@machine//:aarch64 and @machine//:x86_64 are platforms of the host's operating system, so that
--config=m2 is a native build on a Mac and a cross build for Linux elsewhere.

@machine//gcc:all and @machine//clang:all are the toolchains for Linux hosts: native, and from x86-64
to aarch64. On macOS they are empty, and Bazel's own toolchain for Xcode is used.
"""

load("//tools/bazel:host.bzl", "host_cpu", "host_os", "words")

_CPUS = ["aarch64", "x86_64"]

def _include_directories(repository_ctx, command):
    """Returns the folders in which this compiler looks for headers, in its order."""
    result = repository_ctx.execute(command + ["-xc++", "-E", "-v", "/dev/null"])
    if result.return_code != 0:
        fail("%s -v failed: %s" % (" ".join(command), result.stderr))
    directories = []
    listing = False
    for line in result.stderr.split("\n"):
        if line.startswith("#include <"):
            listing = True
        elif line.startswith("End of search list"):
            listing = False
        elif listing:
            # Bazel compares with the paths in the compiler's dependency files, which can be either.
            folder = repository_ctx.path(line.strip())
            for path in [str(folder), str(folder.realpath)]:
                if path not in directories:
                    directories.append(path)

    # clang's sanitizers read their lists of exceptions from here.
    resources = repository_ctx.execute(command + ["-print-resource-dir"])
    if resources.return_code == 0:
        directories.append(resources.stdout.strip() + "/share")
    return directories

def _accepts(repository_ctx, command, flag):
    return repository_ctx.execute(command + ["-Werror", flag, "-xc", "-fsyntax-only", "/dev/null"]).return_code == 0

def _native_flags(repository_ctx, command, cpu):
    """Flags for exactly this machine's CPU."""
    if cpu == "x86_64":
        flags = ["-march=native"]

        # Highway 1.0.3 does not know AVX512-FP16, and compilers then use it where it was not asked for.
        if _accepts(repository_ctx, command, "-mno-avx512fp16"):
            flags.append("-mno-avx512fp16")
        return flags

    # Not -mcpu=native: it enables SVE, for which the layout and the kernels are not made.
    info = words(repository_ctx.execute(["grep", "-m1", "^Features", "/proc/cpuinfo"]).stdout)
    if "i8mm" in info and "bf16" in info:
        return ["-march=armv8.4-a+fp16+bf16+i8mm"]
    if "asimddp" in info and "asimdhp" in info:
        return ["-march=armv8.2-a+fp16+dotprod"]
    return ["-march=armv8-a"]

def _module_map(repository_ctx, path, directories):
    """Writes the map of the compiler's and the system's headers, which every target may include."""
    listing = repository_ctx.execute(["find", "-L"] + directories + ["-type", "f"]).stdout
    headers = {name: None for name in listing.split("\n") if name}
    repository_ctx.file(path, "module \"crosstool\" [system] {\n%s}\n" % "".join(
        ["  textual header \"%s\"\n" % name for name in headers],
    ))

def _cc_toolchain(repository_ctx, compiler, host, cpu):
    """Returns a BUILD file's text for the toolchain that runs on `host` and makes code for `cpu`."""
    cross = cpu != host
    triple = cpu + "-linux-gnu"
    prefix = triple + "-" if cross else ""
    driver = "clang" if compiler == "clang" else prefix + "gcc"
    binutils = prefix + "ar"
    package = None
    if not repository_ctx.which(driver):
        package = {"clang": "clang", "gcc": "build-essential"}.get(driver, "crossbuild-essential-arm64")
    elif not repository_ctx.which(binutils):
        package = "crossbuild-essential-arm64" if cross else "build-essential"

    message = None
    if cross and cpu != "aarch64":
        message = "Building for %s on %s is not supported." % (cpu, host)
    elif package:
        message = "%s is missing: apt-get install %s" % (
            driver if package in ["clang", "build-essential"] else triple + "-gcc",
            package,
        )
    if message:
        return "missing_cc_toolchain(\n    cpu = %r,\n    host = %r,\n    message = %r,\n)\n" % (cpu, host, message)

    target = ["--target=" + triple] if cross and compiler == "clang" else []
    command = [str(repository_ctx.which(driver))] + target
    tools = {"gcc": command[0]}
    for tool in ["ar", "ld", "nm", "objcopy", "objdump", "strip", "gcov", "cpp"]:
        tools[tool] = str(repository_ctx.which(prefix + tool) or "/usr/bin/" + prefix + tool)
    directories = _include_directories(repository_ctx, command)
    if compiler == "clang":
        # A missing libc++ adds nothing.
        for folder in _include_directories(repository_ctx, command + ["-stdlib=libc++"]):
            if folder not in directories:
                directories.append(folder)
        _module_map(repository_ctx, "clang/%s.modulemap" % cpu, directories)
    return "linux_cc_toolchain(\n%s)\n" % "".join(["    %s = %r,\n" % item for item in [
        ("compiler", compiler),
        ("cpu", cpu),
        ("host", host),
        ("include_directories", directories),
        ("native_flags", [] if cross else _native_flags(repository_ctx, command, cpu)),
        ("target_flags", target),
        ("tools", tools),
    ]])

def _machine_repository_impl(repository_ctx):
    os = host_os(repository_ctx)
    cpu = host_cpu(repository_ctx)
    if cpu not in _CPUS:
        fail("This project builds on x86-64 and ARM64 machines, and this one is %s." % cpu)

    platforms = ['package(default_visibility = ["//visibility:public"])\n']
    for name in _CPUS:
        platforms.append("""
platform(
    name = "{cpu}",
    constraint_values = [
        "@platforms//cpu:{cpu}",
        "@platforms//os:{os}",
    ],
)
""".format(cpu = name, os = os))
    repository_ctx.file("BUILD", "".join(platforms))

    header = (
        'load("@tvl//tools/bazel:cc_toolchains.bzl", "linux_cc_toolchain", "missing_cc_toolchain")\n\n' +
        'package(default_visibility = ["//visibility:public"])\n'
    )
    for compiler in ["gcc", "clang"]:
        toolchains = [header]
        if os == "linux":
            toolchains += ["\n" + _cc_toolchain(repository_ctx, compiler, cpu, target) for target in _CPUS]
        repository_ctx.file(compiler + "/BUILD", "".join(toolchains))

machine_repository = repository_rule(
    implementation = _machine_repository_impl,
    configure = True,
    environ = ["PATH", "TVL_PACKAGES"],
    local = True,
)
