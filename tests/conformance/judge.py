"""Judges the results of a run: judge.py INDEX.JSON COUNT [NON-STRICT CASE...]

Each case must be OK or INFORMATIONAL; the named cases may also be NON-STRICT. COUNT is the required number of cases, because the suite
always ends with exit code 0, and a case that it skipped is missing in its results.
"""

import collections
import json
import sys

index, count, *non_strict = sys.argv[1:]
with open(index, encoding="utf-8") as file:
    (results,) = json.load(file).values()
bad = []
for case, result in results.items():
    allowed = {"OK", "INFORMATIONAL"} | ({"NON-STRICT"} if case in non_strict else set())
    if result["behavior"] not in allowed or result["behaviorClose"] not in {"OK", "INFORMATIONAL"}:
        bad.append(f"{case}: {result['behavior']}, closing: {result['behaviorClose']}")
if len(results) != int(count):
    bad.append(f"{len(results)} cases were run instead of {count}")
tally = collections.Counter(result["behavior"] for result in results.values())
print(", ".join(f"{number} {behavior}" for behavior, number in sorted(tally.items())))
print(*bad, sep="\n", end="\n" if bad else "")
sys.exit(bool(bad))
