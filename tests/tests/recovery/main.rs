//! A page that reconnects learns which events it missed, or that the answer is incomplete: positions, history, and the answers
//! of `orosync/subscribe`, `orosync/tags` and `orosync/resume`.

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

/// A topic that anyone may subscribe to, with the history that topics have.
const TOPIC: &str = "acme/orders";

/// A server with such topics and with these lines of configuration.
fn server_with(configuration: &str) -> Server {
    let open = "[[topics]]\npattern = \"acme/{name}\"\nsubscribe = \"anyone\"\npublish = \"publisher\"\n";
    Server::start_with(&format!("{configuration}{open}"))
}

/// The same with the defaults.
fn server() -> Server {
    server_with("")
}

/// What [`offset`] and [`with_offset`] know: to clients a position is opaque.
fn offset(position: &str) -> u64 {
    let number = position.split_once('.').and_then(|(offset, _)| offset.parse().ok());
    number.unwrap_or_else(|| panic!("no offset in {position}"))
}

/// The same position so many events later or earlier.
fn with_offset(position: &str, change: impl FnOnce(u64) -> u64) -> String {
    let (_, tag) = position.split_once('.').expect("an offset and a tag");
    format!("{}.{tag}", change(offset(position)))
}
