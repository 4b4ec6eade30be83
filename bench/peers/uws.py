"""uWebSockets from Python (socketify), with the `publish` of the library."""

import sys

from socketify import App, CompressOptions, OpCode

app = App()


def upgrade(response, request, context):
    response.upgrade(
        request.get_header("sec-websocket-key"),
        request.get_header("sec-websocket-protocol"),
        request.get_header("sec-websocket-extensions"),
        context,
        request.get_parameter(0),
    )


settings = {
    "compression": CompressOptions.DISABLED,
    "max_payload_length": 1 << 20,
    "max_backpressure": 64 << 20,
    "idle_timeout": 0,
    "upgrade": upgrade,
}
app.ws("/sub/:topic", settings | {"open": lambda socket: socket.subscribe(socket.get_user_data())})
app.ws("/pub", settings | {"message": lambda socket, text, opcode: app.publish(text[:4], text, OpCode.TEXT)})
app.listen({"port": int(sys.argv[1]), "host": "127.0.0.1"})
app.run()
