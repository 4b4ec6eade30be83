//! Sessions that are resumed with resume tickets, and disconnects, which revoke these tickets.

use orosync_link::{Options, Publisher};
use orosync_protocol::disconnect::Disconnect;
use orosync_protocol::ticket::{Role, Signer};
use serde_json::{Value, json};

use crate::client::{Client, Received};
use crate::server::Server;
use crate::{SECRET, wait};

/// The close code for "reconnect with a new ticket".
pub const NEW_TICKET: Received = Received::Close(4010);

/// Calls a procedure without arguments and returns its result.
pub fn call(client: &mut Client, procedure: &str) -> Value {
    client.send_text(&json!([2, "1", procedure]).to_string());
    let answer: Value = serde_json::from_str(&client.text()).expect("JSON");
    assert_eq!((&answer[0], &answer[1]), (&json!(3), &json!("1")), "{answer}");
    answer[2].clone()
}

/// The id of this session.
pub fn session_id(client: &mut Client) -> String {
    call(client, "orosync/session")["session"].as_str().expect("an id").to_owned()
}

/// Requests a resume ticket for this session.
pub fn resume_ticket(client: &mut Client) -> String {
    let answer = call(client, "orosync/resume");
    answer["ticket"].as_str().unwrap_or_else(|| panic!("no ticket: {answer}")).to_owned()
}

/// The request header that presents this resume ticket.
pub fn offer(ticket: &str) -> String {
    format!("Sec-WebSocket-Protocol: orosync.1, wamp, orosync.ticket.{ticket}\r\n")
}

/// Opens a session with a resume ticket.
pub fn resume(server: &Server, ticket: &str) -> Client {
    Client::anonymous(server, &offer(ticket))
}

/// Presents a resume ticket and asserts that it is rejected and counted with this reason.
pub fn assert_rejected(server: &Server, ticket: &str, reason: &str) {
    let metric = format!("orosync_tickets_rejected_total{{reason=\"{reason}\"}}");
    let before = server.metric(&metric);
    let mut client = Client::connect(server);
    let head = client.handshake("/", &offer(ticket));
    assert!(head.starts_with("HTTP/1.1 101 "), "{reason}: {head}");
    assert_eq!(client.receive(), NEW_TICKET, "{reason}");
    server.await_metric(&metric, before + 1.0);
}

/// Publishes a disconnect and waits for its acknowledgement.
pub fn disconnect(server: &Server, whom: &Disconnect) {
    let options = Options::new(server.endpoint().parse().expect("an endpoint"), signer());
    let mut publisher = Publisher::new(options);
    publisher.publish(whom.message().expect("a message").lend()).expect("the queue has room");
    assert!(publisher.flush(wait::LIMIT), "the disconnect was not acknowledged");
}

/// The signer of the publishers' tickets.
pub fn signer() -> Signer {
    Signer::from_secret(SECRET.as_bytes()).expect("long enough")
}

/// The disconnect for all sessions of this user.
pub fn user(uid: u64) -> Disconnect {
    Disconnect::Id { role: Role::User, uid: uid.into() }
}
