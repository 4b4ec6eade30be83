//! What does an idle session cost in the server's own memory?
//!
//! 10,000 sessions with an identity and one subscription each; the growth of the server's resident memory, divided. The
//! kernel's memory for a connection (about 4 KiB, the same for every server) is not in it.

use std::error::Error;

use orosync_bench::figures::quotient;
use orosync_bench::machine;
use orosync_bench::sessions::Sessions;
use orosync_tests::server::Server;
use serde_json::json;

const SESSIONS: usize = 10_000;
const WARM_UP: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start();
    // What the first sessions bring along (tables, buffers of the allocator) is not a session's.
    let warm = Sessions::open(server.address(), WARM_UP, "oro/maintenance")?;
    let before = server.resident_bytes();
    let sessions = Sessions::open(server.address(), SESSIONS, "oro/maintenance")?;
    let after = server.resident_bytes();
    let each = quotient(after - before, SESSIONS as u64);
    println!("Memory of an idle session\n{}\n", machine());
    println!("{:>10} sessions: {before:>12} bytes resident", warm.len());
    println!("{:>10} sessions: {after:>12} bytes resident", warm.len() + sessions.len());
    println!("{each:.0} bytes for each idle session");
    println!(
        "{}",
        json!({ "question": "Memory of an idle session", "machine": machine(), "sessions": SESSIONS, "bytes_each": each })
    );
    Ok(())
}
