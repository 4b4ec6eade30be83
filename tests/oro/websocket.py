"""A minimal WebSocket client (RFC 6455) that returns frames unchanged."""

import base64
import json
import os
import socket
import struct
import time
from urllib.parse import quote


class WebSocket:
    """A session, starting with its handshake."""

    def __init__(self, port, ticket, path="/", secure=lambda connection: connection):
        self.socket = secure(socket.create_connection(("127.0.0.1", port), 5))
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET {path}?ticket={quote(ticket, safe='')} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
                             f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                             "Sec-WebSocket-Protocol: wamp\r\nOrigin: http://127.0.0.1\r\n\r\n").encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            self._read()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        self.status = int(head.split()[1])

    def send(self, *message):
        """Sends a WAMP message of less than 126 bytes."""
        self._send(1, json.dumps(message).encode())

    def _send(self, opcode, data):
        mask = os.urandom(4)
        assert len(data) < 126
        self.socket.sendall(bytes([0x80 | opcode, 0x80 | len(data)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def collect(self, seconds, until=lambda frames: False):
        """Text frames of this time, or until a condition holds for them; ("closed", code) last if the session ended."""
        frames, deadline = [], time.monotonic() + seconds
        while not until(frames) and (left := deadline - time.monotonic()) > 0:
            try:
                opcode, payload = self._frame(left)
            except TimeoutError:
                break
            except ConnectionError:
                return frames + [("closed", None)]
            if opcode == 1:
                frames.append(payload.decode())
            elif opcode == 9:
                self._send(10, payload)
            elif opcode == 8:
                return frames + [("closed", int.from_bytes(payload[:2], "big"))]
        return frames

    def _frame(self, timeout):
        """(opcode, payload). Raises TimeoutError, or ConnectionError at the end of the TCP connection."""
        self.socket.settimeout(timeout)
        while True:
            if len(self.buffer) >= 2:
                at, size = 2, self.buffer[1] & 127
                if size == 126:
                    at, size = 4, struct.unpack("!H", self.buffer[2:4])[0] if len(self.buffer) >= 4 else 1 << 16
                elif size == 127:
                    at, size = 10, struct.unpack("!Q", self.buffer[2:10])[0] if len(self.buffer) >= 10 else 1 << 32
                if len(self.buffer) >= at + size:
                    opcode, payload = self.buffer[0] & 15, self.buffer[at:at + size]
                    self.buffer = self.buffer[at + size:]
                    return opcode, payload
            self._read()

    def _read(self):
        more = self.socket.recv(65536)
        if not more:
            raise ConnectionError("the connection ended")
        self.buffer += more
