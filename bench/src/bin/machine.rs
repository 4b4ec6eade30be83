//! Compares this machine with that of the published results. Runs before the benchmarks; `--json` prints the description that
//! they get.

use std::error::Error;
use std::fs;
use std::path::Path;

use clap::Parser;
use orosync_bench::host::Host;

/// Load average over one minute above which results are too noisy.
const QUIET: f64 = 0.5;

/// Compares this machine with that of the published results.
#[derive(Debug, Parser)]
struct Arguments {
    /// Print the description of this machine as JSON only.
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
    println!("\nDifferences and their effect on figures:");
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
            "  Other programs are running (load average {load:.1}), so figures will be noisy. Stop them during the run."
        );
    }
    Ok(())
}
