"""Checks that need no clones: the files of this directory, sources.tsv, and the versions of the last run."""

import json
import subprocess
from pathlib import Path

from parts import OF_CLONES, versions_of
from roots import REPOSITORY
from sources import read_table

HERE = Path(__file__).resolve().parent
RESULTS = REPOSITORY / "docs/compatibility.json"


def faults():
    """The faults, one line each."""
    try:
        sources = read_table()
    except ValueError as e:
        yield str(e)
        return
    results = json.loads(RESULTS.read_text())["oro"]
    for part in OF_CLONES:
        if results.get(part, {}).get("versions") != versions_of(part, sources):
            yield f"{part} was last run with versions other than those in sources.tsv. Run `make test-oro` and `make compatibility-page`"
    for checker, pattern in (("node --check", "js/*.js"), ("php -l", "application/**/*.php"), ("php -l", "js/*.php"), ("bash -n", "*-root")):
        for file in sorted(HERE.glob(pattern)):
            if subprocess.run([*checker.split(), file], stdout=subprocess.DEVNULL).returncode:
                yield f"{file}: not valid"
    for file in [HERE / "run", *sorted(HERE.glob("*.py"))]:
        try:
            compile(file.read_text(), file, "exec")
        except SyntaxError as e:
            yield f"{file}: {e}"


def run():
    """Prints the faults. Returns the exit code."""
    found = list(faults())
    for fault in found:
        print(f"test-oro: {fault}")
    return 1 if found else 0
