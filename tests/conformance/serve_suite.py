"""Runs the converted Autobahn test suite against connecting clients: serve_suite.py PORTED OUTDIR SUBPROTOCOL CASE...

Prints its port. A client requests the cases one by one (/runCase?case=1&agent=NAME, starting with 1), then the report
(/updateReports?agent=NAME), which is written to OUTDIR/index.json without judging it. Runs until it is stopped.
"""

import socket
import sys

ported, outdir, subprotocol, *cases = sys.argv[1:]
sys.path.insert(0, ported)

from autobahntestsuite import choosereactor  # noqa: E402,F401 - must come first: it installs the reactor
from autobahntestsuite import fuzzing  # noqa: E402
from twisted.internet import reactor  # noqa: E402

on_connect = fuzzing.FuzzingServerProtocol.onConnect


def agree(self, request):
    """Selects the subprotocol, which a publisher requires. The suite itself selects none."""
    on_connect(self, request)
    return subprotocol if subprotocol in request.protocols else None


fuzzing.FuzzingServerProtocol.onConnect = agree
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
fuzzing.startServer({
    "outdir": outdir,
    "url": f"ws://127.0.0.1:{port}",
    "cases": cases,
    # As in run_suite.py.
    "options": {"openHandshakeTimeout": 30, "closeHandshakeTimeout": 30},
    "exclude-cases": [],
    "exclude-agent-cases": {},
}, None)
print("listening:", port, flush=True)
reactor.run()
