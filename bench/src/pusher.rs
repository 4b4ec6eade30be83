//! Pusher's HTTP interface: a message is a POST request, signed with HMAC-SHA256 over method, path and sorted parameters.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use sha2::Sha256;

/// The id of the application that the peer is started with.
const APP: &str = "bench-app";

/// Its key.
const KEY: &str = "bench-key";

/// Its secret.
const SECRET: &str = "bench-secret";

/// The request that publishes a text to a topic.
pub(crate) fn request(topic: usize, text: &str) -> Vec<u8> {
    let body = format!(r#"{{"name":"e","channel":"{topic:04}","data":"{text}"}}"#);
    let path = format!("/apps/{APP}/events");
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let digest = hex(&Md5::digest(body.as_bytes()));
    let parameters = format!("auth_key={KEY}&auth_timestamp={now}&auth_version=1.0&body_md5={digest}");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(format!("POST\n{path}\n{parameters}").as_bytes());
    let signature = hex(&mac.finalize().into_bytes());
    format!(
        "POST {path}?{parameters}&auth_signature={signature} HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
