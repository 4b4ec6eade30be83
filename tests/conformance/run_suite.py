"""Runs the converted Autobahn test suite and writes its results: run_suite.py client|server PORTED OUTDIR URL CASE...

`client` attacks the server at URL and ends when all cases are done. `server` listens at URL, and ends when a client asks for
/stopServer. Either way OUTDIR/index.json has the results; nothing is judged here.
"""

import sys

mode, ported, outdir, url, *cases = sys.argv[1:]
sys.path.insert(0, ported)

from autobahntestsuite import choosereactor  # noqa: E402,F401 - must come first: it installs the reactor
from autobahn.twisted.websocket import listenWS  # noqa: E402
from autobahntestsuite import fuzzing  # noqa: E402
from twisted.internet import reactor  # noqa: E402

spec = {"outdir": outdir, "cases": cases, "exclude-cases": [], "exclude-agent-cases": {}}
if mode == "client":
    fuzzing.startClient({**spec, "servers": [{"agent": "orosync", "url": url}]})
else:
    listenWS(fuzzing.FuzzingServerFactory({**spec, "url": url}))
reactor.run()
