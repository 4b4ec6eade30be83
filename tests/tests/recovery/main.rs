//! Recovery: a page that reconnects receives the events that it missed, or an incomplete answer. Covers positions, history, and the
//! answers of `orosync/subscribe`, `orosync/tags` and `orosync/resume`.

mod audience;
mod calls;
mod gaps;
mod memory;
mod moments;
mod order;
mod plain;
mod restarts;
mod tags;

use orosync_tests::server::Server;

/// A topic that anyone may subscribe to, with the default history.
const TOPIC: &str = "acme/orders";

/// Starts a server whose topics `acme/*` anyone may subscribe to, with additional configuration.
fn server_with(configuration: &str) -> Server {
    let open = "[[topics]]\npattern = \"acme/{name}\"\nsubscribe = \"anyone\"\npublish = \"publisher\"\n";
    Server::start_with(&format!("{configuration}{open}"))
}

/// Like [`server_with`], with the defaults.
fn server() -> Server {
    server_with("")
}

/// The offset of a position, which is opaque to clients.
fn offset(position: &str) -> u64 {
    let number = position.split_once('.').and_then(|(offset, _)| offset.parse().ok());
    number.unwrap_or_else(|| panic!("no offset in {position}"))
}

/// The position with a changed offset.
fn with_offset(position: &str, change: impl FnOnce(u64) -> u64) -> String {
    let (_, tag) = position.split_once('.').expect("an offset and a tag");
    format!("{}.{tag}", change(offset(position)))
}
