"""Runs the converted Autobahn test suite against a server: run_suite.py PORTED OUTDIR URL CASE...

Writes the results to OUTDIR/index.json without judging them, and ends after the last case.
"""

import sys

ported, outdir, url, *cases = sys.argv[1:]
sys.path.insert(0, ported)

from autobahntestsuite import choosereactor  # noqa: E402,F401 - must come first: it installs the reactor
from autobahntestsuite import fuzzing  # noqa: E402
from twisted.internet import reactor  # noqa: E402

fuzzing.startClient({
    "outdir": outdir,
    "servers": [{"agent": "orosync", "url": url}],
    # The default of a second, after which the suite reports an unclean close, is too short on a busy machine.
    "options": {"openHandshakeTimeout": 30, "closeHandshakeTimeout": 30, "serverConnectionDropTimeout": 30},
    "cases": cases,
    "exclude-cases": [],
    "exclude-agent-cases": {},
})
reactor.run()
