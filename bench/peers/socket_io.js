// Socket.IO: a topic is a room. WebSocket alone, so that nobody pays for long polling.

import { createServer } from 'node:http';
import { Server } from 'socket.io';

const port = Number(process.argv[2]);
const http = createServer();

const server = new Server(http, { transports: ['websocket'], pingInterval: 600_000, perMessageDeflate: false });

server.on('connection', (socket) => {
    socket.join(socket.handshake.query.topic);
    socket.on('pub', (topic, text) => server.to(topic).emit('e', text));
});

http.listen({ port, host: '127.0.0.1', backlog: 4096 });
