"""What repository rules need to know of the host."""

def host_os(repository_ctx):
    """Returns the host's operating system by its name in @platforms//os: "linux" or "osx"."""
    return "osx" if repository_ctx.os.name.lower().startswith("mac") else "linux"

def host_cpu(repository_ctx):
    """Returns the host's CPU by its name in @platforms//cpu: "x86_64" or "aarch64"."""
    machine = repository_ctx.execute(["uname", "-m"]).stdout.strip()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)

def words(text):
    """Splits at white space."""
    return [word for word in text.replace("\n", " ").replace("\t", " ").split(" ") if word]
