"""External sources: repositories and versions (sources.tsv), and their checkouts in the work directory."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).resolve().parent / "sources.tsv"
# Columns of docs/compatibility.md with their repositories: for Composer, JavaScript and a kernel.
LOCK_FILES = {"lock file": "oroinc/platform-application"}
JAVASCRIPT = {"Oro": "oroinc/platform"}
KERNEL = {**JAVASCRIPT, "Symfony": "symfony/symfony", "DBAL": "doctrine/dbal", "ORM": "doctrine/orm",
          "DoctrineBundle": "doctrine/DoctrineBundle", "Gos WebSocketBundle": "GeniusesOfSymfony/WebSocketBundle"}


class Source(NamedTuple):
    """A line of the table."""

    repository: str
    ref: str
    serves: tuple
    paths: tuple

    @property
    def directory(self):
        """The name of its checkout."""
        return f"{self.repository.replace('/', '+')}@{self.ref}"


def read_table(text=None):
    """The sources of sources.tsv. Raises ValueError with the number of an invalid line."""
    sources = []
    for number, line in enumerate((TABLE.read_text() if text is None else text).splitlines(), 1):
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) not in (3, 4) or not all(fields) or fields[0].count("/") != 1:
            raise ValueError(f"sources.tsv, line {number}: three or four columns are required: {line!r}")
        repository, ref, serves, *paths = fields
        sources.append(Source(repository, ref, tuple(serves.split()), tuple(" ".join(paths).split())))
    for source in sources:
        twice = [other for other in sources if other.repository == source.repository
                 and "lock" not in source.serves and set(other.serves) & set(source.serves)]
        if len(twice) > 1:
            raise ValueError(f"sources.tsv: {source.repository} has two versions for {' '.join(source.serves)}")
    return sources


def versions(sources, version, columns):
    """Versions of the sources for an Oro version: {column: version}."""
    refs = {source.repository: source.ref for source in sources if version in source.serves}
    named = {column: refs[repository].removeprefix("v") for column, repository in columns.items()}
    return {column: f"{version}, commit {ref[:10]}" if len(ref) == 40 else ref for column, ref in named.items()}


def git_directory(clones, repository):
    """The git directory of a clone below CLONES, bare or with a work tree; None if there is none."""
    flat = repository.replace("/", "+")
    places = [repository, f"{repository}.git", f"{repository}/.git", f"{flat}/repo"]
    return next((clones / place for place in places if (clones / place / "objects").is_dir()), None)


class Checkouts:
    """The checked out sources. Existing checkouts of the right version are kept."""

    def __init__(self, work):
        self.directory = work / "sources"
        self.sources = read_table()

    def bring(self, clones):
        """Checks out everything from the clones. Raises LookupError with all missing clones and versions."""
        missing = []
        for source in self.sources:
            target = self.directory / source.directory
            stamp = self.directory / f"{source.directory}.paths"
            if stamp.is_file() and stamp.read_text() == " ".join(source.paths):
                continue
            git = git_directory(clones, source.repository)
            if git is None:
                missing.append(f"git clone --bare https://github.com/{source.repository} {clones}/{source.repository}.git")
                continue
            command = ["git", f"--git-dir={git}"]
            if subprocess.run([*command, "cat-file", "-e", f"{source.ref}^{{commit}}"], stderr=subprocess.DEVNULL).returncode:
                missing.append(f"git --git-dir={git} fetch https://github.com/{source.repository} {source.ref}")
                continue
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            archive = subprocess.Popen([*command, "archive", source.ref, *source.paths], stdout=subprocess.PIPE)
            subprocess.run(["tar", "--extract", "--directory", target], stdin=archive.stdout, check=True)
            if archive.wait():
                raise LookupError(f"{source.repository} {source.ref}: git archive failed")
            stamp.write_text(" ".join(source.paths))
        if missing:
            raise LookupError("Sources are missing. Fetch them with these commands:\n" + "\n".join(dict.fromkeys(missing)))

    def of(self, serves):
        """The sources that serve an Oro version or a check."""
        return [source for source in self.sources if serves in source.serves]

    def path(self, repository, serves):
        """The checkout of one repository for an Oro version or a check."""
        source = next(source for source in self.of(serves) if source.repository == repository)
        return self.directory / source.directory

    def lock(self, version):
        """The application of an Oro version: its composer.json and its composer.lock."""
        source = next(s for s in self.of("lock") if version in s.serves)
        place = self.directory / source.directory
        return json.loads((place / "composer.json").read_text()), json.loads((place / "composer.lock").read_text())

    def autoload(self, version):
        """Rules of Composer's autoloader: namespaces with their directories, and files to load immediately."""
        namespaces, files = {}, []
        for source in self.of(version):
            place = self.directory / source.directory
            if not (place / "composer.json").is_file():
                continue
            rules = json.loads((place / "composer.json").read_text()).get("autoload", {})
            for prefix, paths in rules.get("psr-4", {}).items():
                for path in [paths] if isinstance(paths, str) else paths:
                    namespaces.setdefault(prefix, []).append(f"{place}/{path.strip('/')}".rstrip("/"))
            files += [f"{place}/{file}" for file in rules.get("files", [])]
        return {"namespaces": namespaces, "files": files}
