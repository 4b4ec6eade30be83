"""Results of the checks: a line for each during the run, a table at the end, and a file for each part."""

import datetime
import json

WORDS = {True: "holds", False: "FAILS", None: "not run"}
LIMIT = 300


class Report:
    """Outcomes by check and Oro version, in order of arrival."""

    def __init__(self):
        self.outcomes = {}
        self.part = {}

    def begin(self, versions):
        """Begins a part of the run. `versions`: {Oro version: {column of docs/compatibility.md: version}}."""
        self.part = {"run on": datetime.datetime.now(datetime.timezone.utc).date().isoformat(), "versions": versions, "checks": {}}

    def end(self, file):
        """Ends the part: writes its results to a file for scripts/compatibility-page."""
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(self.part))

    def add(self, check, version, holds, evidence=""):
        """Records and prints one outcome. `holds` None: the check could not be run; `evidence` contains the reason."""
        evidence = " ".join(str(evidence).split())
        holds = None if holds is None else bool(holds)
        print(f"{version:<7} {check:<44} {WORDS[holds]:<7} {evidence[:LIMIT]}", flush=True)
        for outcomes in (self.outcomes, self.part["checks"]):
            outcomes.setdefault(check, {})[version] = holds
        return bool(holds)

    @property
    def failed(self):
        """Number of failed checks."""
        return sum(holds is False for row in self.outcomes.values() for holds in row.values())

    @property
    def verdict(self):
        """The last line of a run."""
        outcomes = [holds for row in self.outcomes.values() for holds in row.values()]
        left_out = f", {outcomes.count(None)} not run" if None in outcomes else ""
        return (f"{self.failed} fail" if self.failed else "all hold") + left_out

    def table(self):
        """A row for each check, a column for each Oro version."""
        versions = sorted({version for row in self.outcomes.values() for version in row}, key=lambda v: (v == "master", v))
        lines = [f"{'':<48}" + "".join(f"{version:<8}" for version in versions)]
        for check, row in self.outcomes.items():
            words = (WORDS[row[version]] if version in row else "" for version in versions)
            lines.append(f"{check:<48}" + "".join(f"{word:<8}" for word in words))
        return "\n".join(line.rstrip() for line in lines)
