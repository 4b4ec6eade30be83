"""Checks that Composer's solver accepts the bundle with the packages in the lock file of each Oro application."""

import json
import re
import subprocess

from processes import last_words
from roots import REPOSITORY

VERSIONS = ("5.0", "5.1", "6.0", "6.1", "7.0")


def run(report, work, checkouts):
    """Resolves each application with the bundle offline, from the packages of its lock file only."""
    for version in VERSIONS:
        application, lock = checkouts.lock(version)
        bundle = {**json.loads((REPOSITORY / "composer.json").read_text()), "version": "1.0.0", "dist": {"type": "path", "url": str(REPOSITORY)}}
        known = {}
        for package in [*lock["packages"], *lock["packages-dev"], bundle]:
            known.setdefault(package["name"], {})[package["version"]] = package
        directory = work / "run" / f"composer-{version}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "packages.json").write_text(json.dumps({"packages": known}))
        (directory / "composer.json").write_text(json.dumps({
            "repositories": [{"type": "composer", "url": f"file://{directory}"}, {"packagist": False}],
            "minimum-stability": "dev",
            "require": {name: constraint for name, constraint in application["require"].items() if name in known} | {"orosync/orosync": "1.0.0"},
        }))
        solver = subprocess.run(
            ["composer", "update", "--dry-run", "--no-plugins", "--no-scripts", "--no-dev", "--ignore-platform-reqs", "--no-interaction"],
            cwd=directory, capture_output=True, text=True, env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": directory, "COMPOSER_ALLOW_SUPERUSER": "1"})
        conflict = re.search(r"- (orosync/orosync .*)", solver.stderr)
        pinned = {package["name"]: package["version"] for package in lock["packages"]}
        report.add("Composer resolves", version, solver.returncode == 0, conflict[1] if conflict and solver.returncode else
                   last_words(solver.stderr) if solver.returncode else f"DBAL {pinned['doctrine/dbal']}, ORM {pinned['doctrine/orm']}")
