//! Lets a conformance suite attack the link's side of a connection: `echo_client ENDPOINT CASES`
//!
//! Connects to the suite's server once for each case, and once more to have the results written.

use std::error::Error;

use orosync_link::Options;
use orosync_link::echo::echo;
use orosync_protocol::ticket::Signer;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [endpoint, cases] = arguments.as_slice() else {
        return Err("usage: echo_client ENDPOINT CASES".into());
    };
    for case in 1..=cases.parse::<usize>()? {
        // Many cases end in an error, as they should: what it was like is for the suite to judge.
        let _ = echo(&options(&format!("{endpoint}/runCase?case={case}&agent=orosync"))?);
    }
    echo(&options(&format!("{endpoint}/updateReports?agent=orosync"))?)?;
    Ok(())
}

fn options(endpoint: &str) -> Result<Options, Box<dyn Error>> {
    Ok(Options::new(endpoint.parse()?, Signer::from_secret(&[b'x'; 32])?))
}
