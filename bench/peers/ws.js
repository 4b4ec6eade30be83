// The library ws, with a loop over the sockets of a topic, as in its documentation.

import { WebSocketServer } from 'ws';

const port = Number(process.argv[2]);
/** @type {Map<string, Set<import('ws').WebSocket>>} */
const topics = new Map();

const server = new WebSocketServer({ port, host: '127.0.0.1', backlog: 4096, perMessageDeflate: false });

server.on('connection', (socket, request) => {
    const [, kind, topic] = request.url.split('/');
    socket.on('error', () => socket.terminate());
    if (kind === 'pub') {
        socket.on('message', (data) => {
            const text = data.toString();
            for (const subscriber of topics.get(text.slice(0, 4)) ?? []) {
                subscriber.send(text);
            }
        });
        return;
    }
    const subscribers = topics.get(topic) ?? new Set();
    topics.set(topic, subscribers.add(socket));
    socket.on('close', () => subscribers.delete(socket));
});
