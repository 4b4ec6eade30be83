"""An echo server that changes what it repeats, for a control that must fail: altering_echo.py

Prints the port that it listens on.
"""

import sys

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet import reactor


class AlteringEcho(WebSocketServerProtocol):
    def onMessage(self, payload, isBinary):
        self.sendMessage(payload + b"!", isBinary)


factory = WebSocketServerFactory()
factory.protocol = AlteringEcho
print(reactor.listenTCP(0, factory, interface="127.0.0.1").getHost().port)
sys.stdout.flush()
reactor.run()
