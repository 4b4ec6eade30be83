//! For conformance suites, with the feature `echo` alone: one connection to a server, on which each message is answered with
//! itself until the server closes it. The publisher's own connection, without its thread.

use std::error::Error;

use tungstenite::Message;

use crate::connect::Connector;
use crate::doorbell::Doorbell;
use crate::options::Options;

/// Connects, and answers until the connection is closed, or breaks.
pub fn echo(options: &Options) -> Result<(), Box<dyn Error>> {
    let doorbell = Doorbell::default();
    doorbell.install()?;
    let Some(mut transport) = Connector::new(options).connect("nobody", &doorbell, &|| false)? else {
        return Ok(());
    };
    loop {
        if !transport.is_drained() {
            transport.flush()?;
        }
        if transport.is_drained()
            && let Some(message) = transport.receive()?
        {
            match message {
                Message::Text(_) | Message::Binary(_) => transport.send(message)?,
                Message::Close(_) => return Ok(()),
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        } else if doorbell.wait(Some(transport.interest()), None) {
            transport.handle_readable();
        }
    }
}
