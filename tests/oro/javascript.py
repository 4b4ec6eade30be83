"""Oro's own JavaScript: bundled with the module resolution of Oro's build, and run in Chromium (js/)."""

import json
import subprocess
from pathlib import Path

from processes import last_words
from roots import TARGET

JS = Path(__file__).resolve().parent / "js"
# Versions whose templates and JavaScript work without an application.
VERSIONS = ("4.2", "5.1", "6.1", "master")


def bundle(work, checkouts, version, public=None):
    """Bundles Oro's JavaScript into WORK/js/oro-VERSION.js; with other assets of OroSyncBundle (`public`), into WORK/js/elsewhere.

    Returns webpack's errors.
    """
    output = work / ("js/elsewhere" if public else "js")
    output.mkdir(parents=True, exist_ok=True)
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "ORO": version, "BUNDLES": checkouts.path("oroinc/platform", version) / "src/Oro/Bundle",
                   "AUTOBAHN": checkouts.path("crossbario/autobahn-js", "js"), "OUTPUT": output, "PUBLIC": public or ""}
    webpack = subprocess.run(["node", JS / "node_modules/webpack/bin/webpack.js", "--config", JS / "webpack.config.js"],
                             cwd=JS, capture_output=True, text=True, env=environment)
    return webpack.stdout + webpack.stderr if webpack.returncode else ""


def browse(report, work, checkouts, *arguments):
    """Runs checks in Chromium. The browser prints a line of JSON for each: [check, Oro version, result, evidence]."""
    version = arguments[1]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": work, "WORK": work,
                   "BUNDLES": checkouts.path("oroinc/platform", version) / "src/Oro/Bundle",
                   "TWIG": checkouts.path("twigphp/Twig", "js"), "SERVER": TARGET / "release/orosync-server"}
    browser = subprocess.run(["node", JS / "browser.js", *arguments], capture_output=True, text=True, timeout=600, env=environment)
    outcomes = [json.loads(line) for line in browser.stdout.splitlines() if line.startswith("[")]
    for check, version, holds, evidence in outcomes:
        report.add(check, version, holds, evidence)
    if browser.returncode or not outcomes:
        report.add(f"Oro's JavaScript in Chromium: {arguments[0]}", version, False, last_words(browser.stderr))


def run(report, work, checkouts):
    """Checks Oro's JavaScript of several versions with the server, without an application."""
    for version in VERSIONS:
        errors = bundle(work, checkouts, version)
        if errors:
            report.add("Oro's JavaScript is bundled", version, False, last_words(errors))
        else:
            browse(report, work, checkouts, "pages", version)
