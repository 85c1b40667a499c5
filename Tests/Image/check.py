"""The container image without a container engine: each step of the Dockerfile, carried out here.

The build stage's commands run on a copy of what .dockerignore lets in. The run stage's packages must
resolve, and hold every library that the binary loads. The binary then runs as a container would run
it: process 1 in a root of these libraries alone, which is read-only, as the user that the Dockerfile
names, with one volume. Needs root, Debian and Swift.

Usage: check.py [BINARY]: with a binary that exists the build stage is not carried out.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

# What debian:bookworm-slim has before anything is installed.
BASE_PACKAGES = {"libc6", "libgcc-s1", "libstdc++6"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
READY_SECONDS = 30
STOP_SECONDS = 10


def stages():
    """The Dockerfile's stages: lists of (instruction, argument)."""
    text = (REPOSITORY / "Dockerfile").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", " ")
    found = []
    for line in filter(None, text.splitlines()):
        instruction, _, argument = line.partition(" ")
        if instruction == "FROM":
            found.append([])
        found[-1].append((instruction, " ".join(argument.split())))
    return found


def arguments(stage, instruction):
    return [argument for name, argument in stage if name == instruction]


def packages(stage):
    """What the stage installs."""
    [command] = [c for c in arguments(stage, "RUN") if "apt-get install" in c]
    words = command.split("apt-get install")[1].split("&&")[0].split()
    return [word for word in words if not word.startswith("-")]


def build(stage, directory):
    """Carries out the build stage on what it is sent; its result is `directory/image`."""
    source = directory / "source"
    source.mkdir()
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            subprocess.check_call(["cp", "-a", REPOSITORY / line[1:], source])
    [command] = [c for c in arguments(stage, "RUN") if "swift build" in c]
    command = command.replace(" /image", f" {directory}/image")
    subprocess.check_call(command, shell=True, cwd=source)
    return directory / "image/gfpd"


def libraries(binary):
    """The files that the binary loads, by the names that it asks for."""
    lines = subprocess.check_output(["ldd", binary], text=True).splitlines()
    assert not any("not found" in line for line in lines), lines
    return sorted({path for line in lines for path in re.findall(r"/\S+", line)})


def check_packages(names, loaded):
    """The packages can be installed, and with the base hold all that is loaded."""
    subprocess.check_call(["apt-get", "-q", "-y", "--simulate", "install", *names], stdout=subprocess.DEVNULL)
    for path in loaded:
        spellings = {path, str(Path(path).resolve()), path.removeprefix("/usr")}
        owners = subprocess.run(
            ["dpkg", "-S", *spellings], capture_output=True, text=True, check=False
        ).stdout
        owner = re.match(r"[^:,]+", owners)
        assert owner, f"{path} is of no package"
        assert owner[0] in BASE_PACKAGES | set(names), f"{path} is of {owner[0]}, not installed"


def make_root(stage, binary, loaded, directory):
    """A root with the binary, what it loads, and the volume's directory."""
    root = directory / "root"
    for path in loaded:
        target = root / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    [copied] = [c for c in arguments(stage, "COPY") if c.split()[-1].endswith("/gfpd")]
    target = root / copied.split()[-1][1:]
    target.parent.mkdir(parents=True)
    shutil.copy(binary, target)
    [volume] = arguments(stage, "VOLUME")
    (root / volume[1:]).mkdir()
    (root / "proc").mkdir()
    return root


class Container:
    """The image at work."""

    def __init__(self, stage, root, volume, environment):
        [user] = arguments(stage, "USER")
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), f"the user is {user}"
        self.within = f"exec chroot --userspec={user} {root}"
        [pairs] = arguments(stage, "ENV")
        self.environment = {"PATH": PATH, **environment}
        self.environment |= dict(pair.split("=", 1) for pair in pairs.split())
        [entry] = arguments(stage, "ENTRYPOINT")
        [command] = arguments(stage, "CMD")
        [place] = arguments(stage, "VOLUME")
        script = (
            f"mount --bind {root} {root} && mount --bind {volume} {root}{place}"
            f" && mount -t proc proc {root}/proc && mount -o remount,bind,ro {root}"
            f" && {self.within} {' '.join(json.loads(entry) + json.loads(command))}"
        )
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def first_process(self):
        """Process 1 of the container, as it is called outside; nothing where there is none yet."""
        parent = self.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children")
        return children.read_text().strip() if children.exists() else ""

    def illness(self, stage):
        """What the Dockerfile's own check says; nothing where it succeeds."""
        [check] = arguments(stage, "HEALTHCHECK")
        command = json.loads(check[check.index("CMD ") + 4 :])
        script = f"{self.within} {' '.join(command)}"
        first = self.first_process()
        if not first:
            return "it has not begun"
        checked = subprocess.run(
            ["nsenter", "--target", first, "--mount", "--pid", "sh", "-c", script],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return checked.stderr or "no reason" if checked.returncode != 0 else ""

    def wait_until_healthy(self, stage):
        end = time.monotonic() + READY_SECONDS
        while illness := self.illness(stage):
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < end, f"not healthy in time: {illness}"
            time.sleep(0.1)

    def stop(self, stage):
        """What an engine does: the stop signal, to process 1."""
        [name] = arguments(stage, "STOPSIGNAL")
        start = time.monotonic()
        os.kill(int(self.first_process()), signal.Signals[name])
        assert self.process.wait(timeout=STOP_SECONDS) == 0, self.process.stderr.read()
        return time.monotonic() - start


def check_run(stage, root, directory):
    volume = directory / "volume"
    volume.mkdir(mode=0o750)
    owner = int(arguments(stage, "USER")[0].split(":")[0])
    os.chown(volume, owner, owner)

    open_to_all = Container(stage, root, volume, {})
    status = open_to_all.process.wait(timeout=READY_SECONDS)
    errors = open_to_all.process.stderr.read()
    assert status == 1 and "--tokens" in errors, f"it must say who is let in: {status} {errors}"

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"GFPD_INSECURE": "true", "GFPD_PORT": str(port)}
    before = sorted(root.rglob("*"))
    for sequence in (2, 3):
        container = Container(stage, root, volume, environment)
        container.wait_until_healthy(stage)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/machines/default/allocations",
            b"{}",
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["sequence"] == sequence
        seconds = container.stop(stage)
        print(f"entry {sequence} was written; stopped in {seconds:.1f} s")
    assert sorted(root.rglob("*")) == before
    assert {path.stat().st_uid for path in volume.iterdir()} == {owner}


def main():
    build_stage, run_stage = stages()
    assert arguments(run_stage, "FROM")[0].endswith("-slim")
    assert not any(name.endswith("-dev") for name in packages(run_stage))
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        given = sys.argv[1:]
        binary = Path(given[0]) if given else build(build_stage, directory)
        loaded = libraries(binary)
        if not given:
            check_packages(packages(run_stage), loaded)
        check_run(run_stage, make_root(run_stage, binary, loaded, directory), directory)
    print("the image holds")


if __name__ == "__main__":
    main()
