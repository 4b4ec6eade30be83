"""What is checked without anything of others: this directory's files, its table of sources, and the table in the documents."""

import subprocess
from pathlib import Path

from roots import REPOSITORY, ROOT_OF
from sources import read_table

HERE = Path(__file__).resolve().parent
DOCUMENT = REPOSITORY / "docs/compatibility.md"
PHP_OF_ROOT = {None: "8.2", "trixie": "8.4", "experimental": "8.5"}
COLUMNS = {"Oro": "oroinc/platform", "Symfony": "symfony/symfony", "DBAL": "doctrine/dbal", "ORM": "doctrine/orm",
           "DoctrineBundle": "doctrine/DoctrineBundle", "Gos WebSocketBundle": "GeniusesOfSymfony/WebSocketBundle"}


def version_rows(sources):
    """The rows that docs/compatibility.md has of the versions."""
    yield "| " + " | ".join([*COLUMNS, "PHP"]) + " |"
    yield "|" + " --- |" * (len(COLUMNS) + 1)
    for version, root in ROOT_OF.items():
        refs = {source.repository: source.ref for source in sources if version in source.serves and "lock" not in source.serves}
        cells = [refs[repository].removeprefix("v") for repository in COLUMNS.values()]
        if len(cells[0]) == 40:
            cells[0] = f"{version}, commit {cells[0][:10]}"
        yield "| " + " | ".join([*cells, PHP_OF_ROOT[root]]) + " |"


def faults():
    """What is wrong, a line each."""
    try:
        rows = list(version_rows(read_table()))
    except (ValueError, KeyError) as e:
        yield f"sources.tsv: {e}"
        return
    document = DOCUMENT.read_text()
    if "\n".join(rows) not in document:
        yield f"{DOCUMENT}: the versions are not those of sources.tsv, which are:\n" + "\n".join(rows)
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
    """Prints what is wrong; the exit code."""
    found = list(faults())
    for fault in found:
        print(f"test-oro: {fault}")
    return 1 if found else 0
