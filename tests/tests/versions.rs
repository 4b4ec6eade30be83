//! Server and extension of different versions, as during an upgrade (`docs/deploy.md`).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;

use orosync_tests::php;
use orosync_tests::proxy::Proxy;
use orosync_tests::server::Server;
use orosync_tests::wait::LIMIT;

/// The current version of the link protocol, and an unknown one of the same length.
const LINK: &str = "orosync.link.1";
const NEWER_LINK: &str = "orosync.link.9";

/// A proxy that forwards handshakes with the version of a newer extension. Returns its address and the server's responses.
fn as_newer_extension(server: SocketAddr) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (answers, answered) = mpsc::channel();
    thread::spawn(move || {
        for publisher in listener.incoming() {
            let mut publisher = publisher.expect("a connection");
            let request = head(&mut publisher);
            assert!(request.contains(LINK), "{request}");
            let mut target = TcpStream::connect(server).expect("the server listens");
            target.write_all(request.replace(LINK, NEWER_LINK).as_bytes()).expect("it reads");
            let answer = head(&mut target);
            // Errors mean that the publisher or the test has ended.
            let _ = publisher.write_all(answer.as_bytes());
            let _ = answers.send(answer);
        }
    });
    (address, answered)
}

fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("a whole head") == 1 {
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn an_extension_newer_than_its_server_keeps_messages_until_the_server_is_upgraded() {
    let (old, new) = (Server::start(), Server::start());
    let (as_newer, answers) = as_newer_extension(old.address());
    let proxy = Proxy::to(as_newer);
    let script = r#"var_dump(orosync_publish("oro/ping", 1), orosync_flush(30));"#;
    let publisher = php::command(&proxy.endpoint())
        .args(["-r", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("php starts");
    let answer = answers.recv_timeout(LIMIT).expect("the old server answers");
    assert!(!answer.contains("orosync.link"), "{answer}");

    proxy.open(new.address());
    let output = publisher.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "bool(true)\nbool(true)\n", "{stderr}");
    assert!(stderr.contains("the same version"), "{stderr}");
}
