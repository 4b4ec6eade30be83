// Socket.IO, with a room for each topic. Only the WebSocket transport is enabled, which avoids the cost of long polling. With the port
// of a Redis and a key prefix, several servers share their events.

import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';

const [port, redis, prefix] = process.argv.slice(2);
const http = createServer();

const server = new Server(http, { transports: ['websocket'], pingInterval: 600_000, perMessageDeflate: false });

if (redis !== undefined) {
    const publisher = createClient({ socket: { host: '127.0.0.1', port: Number(redis) } });
    const subscriber = publisher.duplicate();
    await Promise.all([publisher.connect(), subscriber.connect()]);
    server.adapter(createAdapter(publisher, subscriber, { key: prefix }));
}

server.on('connection', (socket) => {
    socket.join(socket.handshake.query.topic);
    socket.on('pub', (topic, text) => server.to(topic).emit('e', text));
});

http.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 });
