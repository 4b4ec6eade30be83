//! An echo client for conformance suites, with the feature `echo` only: it returns each message until the server closes the
//! connection. It uses the publisher's own connection, without the link thread.

use std::error::Error;
use std::iter;
use std::time::Instant;

use tungstenite::Message;

use crate::connect::{Connected, Connector, Interruption};
use crate::doorbell::Doorbell;
use crate::options::Options;

struct Uninterrupted;

impl Interruption for Uninterrupted {
    fn is_stopped(&self) -> bool {
        false
    }

    fn failover_deadline(&self, _begun: Instant, _now: Instant) -> Option<Instant> {
        None
    }
}

/// Connects, and echoes messages until the connection is closed or broken.
pub fn echo(options: &Options) -> Result<(), Box<dyn Error>> {
    let doorbell = Doorbell::new();
    doorbell.install()?;
    let Some(endpoint) = options.endpoints.as_slice().first() else { return Ok(()) };
    let connected = Connector::new(options).connect(endpoint, "nobody", &doorbell, &Uninterrupted)?;
    let Some(Connected { mut transport, .. }) = connected else { return Ok(()) };
    loop {
        if !transport.is_drained() {
            transport.flush()?;
        }
        if transport.is_drained()
            && let Some(message) = transport.receive()?
        {
            match message {
                Message::Binary(frame) => transport.send_frame(frame.len(), iter::once(&frame[..]))?,
                Message::Text(_) => transport.send(message)?,
                Message::Close(_) => return Ok(()),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        } else if doorbell.wait(Some(transport.watch(false).as_poll()), None) {
            transport.handle_readable();
        }
    }
}
