//! Measures the speed of the system against what its parts reach alone, on the same machine in the same run.
//!
//! `make bench` runs this; `docs/performance.md` says how to read it.

#![allow(clippy::indexing_slicing, clippy::expect_used, reason = "a harness may fail where it stands")]

mod client;
mod figures;
#[path = "../../tests/harness/mod.rs"]
mod harness;
mod parts;
mod plot;
mod report;
mod rows;
mod stage;
mod streams;

use clap::Parser;
use harness::{Result, folder::Folder, programs::Programs, wait};
use rows::{Bench, Row};
use stage::Stage;
use std::{net::SocketAddr, path::PathBuf, process::ExitCode};
use tokio::time::Instant;

/// Concurrent clients where throughput is measured.
pub const CONNECTIONS: usize = 64;

/// Measures the system and its parts.
#[derive(Parser)]
#[command(name = "load")]
struct Arguments {
    /// Rows to measure, by name; by default all that are not long
    #[arg(long = "row", value_name = "NAME", value_delimiter = ',')]
    rows: Vec<String>,

    /// Rounds: measurements of each thing
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=100))]
    rounds: u8,

    /// Folder for `results.json` and `results.svg`
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    out: PathBuf,

    /// Keep the folder with the logs
    #[arg(long)]
    keep: bool,

    /// Lists the rows and exits
    #[arg(long)]
    list: bool,

    /// Serve the bare handler and nothing else, which is how this program starts it
    #[arg(long, hide = true)]
    bare_handler: Option<SocketAddr>,

    /// Passed by Cargo, and ignored
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    fn chosen(&self) -> Result<Vec<&'static Row>> {
        let by_name = |name: &String| {
            rows::ALL.iter().find(|row| row.name == name).ok_or_else(|| format!("there is no row {name:?}"))
        };
        if self.rows.is_empty() {
            return Ok(rows::ALL.iter().filter(|row| !row.long).collect());
        }
        Ok(self.rows.iter().map(by_name).collect::<std::result::Result<_, _>>()?)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(address) = arguments.bare_handler {
        return match actix_web::rt::System::new().block_on(parts::handler::serve(address)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    // The system ends the started processes with this thread, which lives as long as the program.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(start(&arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn start(arguments: &Arguments) -> Result<()> {
    if arguments.list {
        for Row { name, what, .. } in rows::ALL {
            println!("{name:<20} {what}");
        }
        return Ok(());
    }
    let chosen = arguments.chosen()?;
    let folder = Folder::new("shakerqueue-bench.")?;
    let ended = tokio::select! {
        ended = run(arguments, &chosen, &folder) => ended,
        () = wait::interrupted() => Err("interrupted".into()),
    };
    if arguments.keep || ended.is_err() {
        println!("logs and data: {}", folder.path.display());
    } else {
        folder.remove();
    }
    ended
}

async fn run(arguments: &Arguments, chosen: &[&Row], folder: &Folder) -> Result<()> {
    let programs = Programs::found()?;
    let mut stage = Stage::set(&programs, &folder.path).await?;
    let mut report = report::Report::new(arguments.rounds);
    println!("{}", report::head());
    for row in chosen {
        let begun = Instant::now();
        let bench = Bench { stage: &mut stage, rounds: arguments.rounds.into() };
        for measured in (row.run)(bench).await.map_err(|error| format!("{}: {error}", row.name))? {
            println!("{}", report::line(&measured));
            report.add(measured);
        }
        report.took(row.name, begun.elapsed());
        // Written after each row: an interrupted run leaves its results.
        report.write(&arguments.out)?;
    }
    println!("{}; {}", report.summary(), arguments.out.join("results.{json,svg}").display());
    Ok(())
}
