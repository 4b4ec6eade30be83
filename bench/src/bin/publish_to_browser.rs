//! How long is it from `orosync_publish()` in an FPM request to the browser's event?
//!
//! Each request publishes the time at which it does so; the browser, one session, reads the same clock when the event is
//! there. Beside it, in turn: the same bytes from the same FPM worker straight into a socket of the reader (`pfsockopen`,
//! one `fwrite`), which is what the kernel takes without any server between. Requests come one at a time, 5 ms apart, so
//! that the publisher's thread has gone to sleep: the worst case.

use std::error::Error;
use std::io::Read;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use orosync_bench::figures::{Series, report};
use orosync_bench::machine::monotonic_ns;
use orosync_tests::client::{Client, WAMP};
use orosync_tests::php::Fpm;
use orosync_tests::server::Server;

const REQUESTS: usize = 1000;
const PAUSE: Duration = Duration::from_millis(5);

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start();
    let mut browser = Client::user(&server, WAMP, 1);
    browser.subscribe("oro/ping");
    let raw = TcpListener::bind("127.0.0.1:0")?;
    let fpm = Fpm::start(&server.endpoint(), 1, "");
    fpm.write("publish.php", r#"orosync_publish("oro/ping", hrtime(true));"#);
    let port = raw.local_addr()?.port();
    fpm.write(
        "raw.php",
        &format!("$s = pfsockopen('127.0.0.1', {port}); fwrite($s, sprintf('%020d', hrtime(true)));"),
    );

    let mut orosync = Series::new("orosync_publish to the event");
    let mut bare = Series::new("a bare socket from PHP to the reader");
    let mut first = Series::new("the first publish of a process");
    fpm.get("raw.php", "");
    let (mut direct, _) = raw.accept()?;
    let mut text = [0; 20];
    direct.read_exact(&mut text)?;
    for number in 0..=REQUESTS {
        thread::sleep(PAUSE);
        let sent = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let text = browser.text();
                (text, monotonic_ns())
            });
            fpm.get("publish.php", "");
            reader.join()
        });
        let (text, arrived) = sent.map_err(|_| "the browser received nothing")?;
        let published = text.trim_start_matches(r#"[8,"oro\/ping","#).trim_end_matches(']').parse::<u64>()?;
        if number == 0 { &mut first } else { &mut orosync }.add(arrived - published);

        thread::sleep(PAUSE);
        let arrived = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut text = [0; 20];
                direct.read_exact(&mut text).map(|()| (text, monotonic_ns()))
            });
            fpm.get("raw.php", "");
            reader.join()
        });
        let (text, arrived) = arrived.map_err(|_| "the reader received nothing")??;
        bare.add(arrived - std::str::from_utf8(&text)?.parse::<u64>()?);
    }
    report("From orosync_publish() in an FPM request to the browser's event", &[orosync, first], &[bare]);
    Ok(())
}
