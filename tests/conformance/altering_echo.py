"""An echo server that alters each message, for a control run that must fail: altering_echo.py

Prints its port.
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
