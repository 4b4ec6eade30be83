"""Attacks a server with the converted Autobahn test suite and writes its results: run_suite.py PORTED OUTDIR URL CASE...

Ends when all cases are done. OUTDIR/index.json then has the results; nothing is judged here.
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
    # A second by default, after which the suite calls a close unclean: not enough on a busy machine.
    "options": {"openHandshakeTimeout": 30, "closeHandshakeTimeout": 30, "serverConnectionDropTimeout": 30},
    "cases": cases,
    "exclude-cases": [],
    "exclude-agent-cases": {},
})
reactor.run()
