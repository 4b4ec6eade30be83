"""What the checks found: a line each while they run, and a table of all at the end."""

WORDS = {True: "holds", False: "FAILS", None: "not run"}
LIMIT = 300


class Report:
    """Outcomes by check and Oro version, in the order in which they came."""

    def __init__(self):
        self.outcomes = {}

    def add(self, check, version, holds, evidence=""):
        """Notes and prints one outcome; says whether it holds. None: it could not be run, and the evidence says why."""
        evidence = " ".join(str(evidence).split())
        holds = None if holds is None else bool(holds)
        print(f"{version:<7} {check:<44} {WORDS[holds]:<7} {evidence[:LIMIT]}", flush=True)
        self.outcomes.setdefault(check, {})[version] = holds
        return bool(holds)

    @property
    def failed(self):
        """How many checks have failed."""
        return sum(holds is False for row in self.outcomes.values() for holds in row.values())

    @property
    def verdict(self):
        """The last line of a run."""
        outcomes = [holds for row in self.outcomes.values() for holds in row.values()]
        left_out = f", {outcomes.count(None)} not run" if None in outcomes else ""
        return (f"{self.failed} fail" if self.failed else "all hold") + left_out

    def table(self):
        """A row for each check, a column for each Oro version; as docs/compatibility.md has it."""
        versions = sorted({version for row in self.outcomes.values() for version in row}, key=lambda v: (v == "master", v))
        rows = [["check", *versions]]
        for check, row in self.outcomes.items():
            rows.append([check, *(WORDS[row[version]] if version in row else "" for version in versions)])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
        return "\n".join([lines[0], "| " + " | ".join("---".ljust(width) for width in widths) + " |", *lines[1:]])
