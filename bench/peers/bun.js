// Bun, with its own `publish`, which is implemented by uWebSockets.

const port = Number(process.argv[2]);

const server = Bun.serve({
    port,
    hostname: '127.0.0.1',
    fetch(request, server) {
        const [, kind, topic] = new URL(request.url).pathname.split('/');
        return server.upgrade(request, { data: { kind, topic } }) ? undefined : new Response('', { status: 400 });
    },
    websocket: {
        idleTimeout: 0,
        backpressureLimit: 64 << 20,
        perMessageDeflate: false,
        open(socket) {
            if (socket.data.kind === 'sub') {
                // A page that shows several records subscribes to each.
                for (const topic of socket.data.topic.split(',')) {
                    socket.subscribe(topic);
                }
            }
        },
        message(socket, text) {
            server.publish(text.slice(0, 4), text);
        },
    },
});
