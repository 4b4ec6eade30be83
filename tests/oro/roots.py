"""The PHP of each Oro version: this machine's, or that of a root directory of `make test-matrix`."""

import fcntl
import os
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
TARGET = (REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target")).resolve()
# Oro pins PHP 8.1, 8.2, 8.3, 8.4 and 8.5; Debian 12 has 8.2.
ROOT_OF = {"5.0": None, "5.1": None, "6.0": "trixie", "6.1": "trixie", "7.0": "experimental"}


class Php:
    """The PHP of one Oro version, with the extension compiled for it."""

    def __init__(self, work, version):
        self.work = work
        self.root = ROOT_OF[version] and TARGET / "matrix/roots" / ROOT_OF[version]
        self.extension = "/var/cache/orosync/release/liborosync.so" if self.root else TARGET / "release/liborosync.so"

    def command(self, arguments, environment, directory, extension=True):
        """The command that runs PHP in a directory with this environment."""
        php = ["php", *(["-d", f"extension={self.extension}"] if extension else []), *arguments]
        variables = ["env", f"--chdir={directory}", *(f"{name}={value}" for name, value in environment.items())]
        if self.root is None:
            return [*variables, *php]
        return [HERE / "in-root", self.root, self.work / "share", REPOSITORY, TARGET, self.work, "--", *variables, *php]

    def version(self):
        """PHP's version."""
        command = self.command(["-r", "echo PHP_VERSION;"], {"PATH": "/usr/local/bin:/usr/bin:/bin"}, "/", extension=False)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def provide(work, version):
    """Creates the root directory of an Oro version and compiles the extension in it. Raises RuntimeError with the log's path."""
    root = ROOT_OF[version]
    if root is None:
        return
    if os.geteuid():
        raise RuntimeError(f"Oro {version} runs in a root directory, which only root can create and enter")
    if any(directory.is_relative_to("/tmp") for directory in (REPOSITORY, TARGET, work)):
        raise RuntimeError("a root directory has its own /tmp: move the repository and its target directory out of /tmp")
    matrix, scripts, log = TARGET / "matrix", REPOSITORY / "scripts/matrix", work / f"{root}.log"
    share = work / "share/sources"
    subprocess.run(["rm", "-rf", share], check=True)
    share.mkdir(parents=True)
    with subprocess.Popen(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY, stdout=subprocess.PIPE) as files, \
            subprocess.Popen(["tar", "--create", "--null", "--ignore-failed-read", "--files-from=-"], cwd=REPOSITORY, stdin=files.stdout,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as archive:
        subprocess.run(["tar", "--extract", "--no-same-owner", "--directory", share], stdin=archive.stdout, check=True)
    matrix.mkdir(exist_ok=True)
    with open(matrix / "lock", "w") as lock, open(log, "w") as output:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in ([scripts / "provide-root", root, matrix, work / "share", "build", "oro"],
                        [scripts / "isolated", scripts / "enter-root", matrix / "roots" / root, work / "share", "/share/sources/tests/oro/build-in-root"]):
            if subprocess.run(command, stdout=output, stderr=subprocess.STDOUT).returncode:
                raise RuntimeError(f"the root directory {root} could not be prepared; log: {log}")
