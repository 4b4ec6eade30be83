//! What differs on this machine from that of the published results? Asked before a run; `--json` prints what the other
//! programs are told.

use std::error::Error;
use std::fs;
use std::path::Path;

use clap::Parser;
use orosync_bench::host::Host;

/// Above so many processes that run at the same time, on average over a minute, results are noise.
const QUIET: f64 = 0.5;

/// What differs on this machine from that of the published results?
#[derive(Debug, Parser)]
struct Arguments {
    /// Print this machine as JSON, and nothing else.
    #[arg(long)]
    json: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    if Arguments::parse().json {
        println!("{}", serde_json::to_string(&Host::ask())?);
        return Ok(());
    }
    let here = Host::here();
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("results-published");
    let properties = here.beside(&published)?;
    println!("# This machine\n");
    println!("  {:<20} {:<34} published results", "", "here");
    for property in &properties {
        let published = match property.published.as_slice() {
            [] => "not recorded".to_owned(),
            [one] if *one == property.here => "the same".to_owned(),
            several => several.join("; "),
        };
        println!("  {:<20} {:<34} {published}", property.name, property.here);
    }
    println!("\nWhat differs, and what that does to figures:");
    let mut same = true;
    for property in &properties {
        if let Some(effect) = property.effect {
            println!("  {}: {effect}", property.name);
            same = false;
        }
    }
    if same {
        println!("  nothing that is recorded.");
    }
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0);
    if load > QUIET {
        println!(
            "  Other programs are running ({load:.1} on average): figures will be noisy. Let nothing else run meanwhile."
        );
    }
    Ok(())
}
