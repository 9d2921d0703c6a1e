//! Breaks servers, connections and processes under load, and checks that every accepted order is recorded exactly once.
//!
//! `make chaos` runs this. It starts PostgreSQL, `RabbitMQ`, two `serve` and two `work`, causes one fault after the
//! other while guests order and 20 people follow the orders on streams, and compares the answers and what the streams
//! sent with the database.

#![allow(clippy::indexing_slicing, reason = "a harness may fail where it stands")]

mod audit;
mod clock;
mod disk;
mod faults;
#[path = "../harness/mod.rs"]
mod harness;
mod ledger;
mod load;
mod proxy;
mod scenario;
mod scene;
mod table;
mod viewers;

use clap::Parser;
use faults::Fault;
use harness::folder::Folder;
use harness::postgres::Tuning;
use harness::programs::Programs;
use harness::servers::Servers;
use harness::{Result, wait};
use rand::{SeedableRng, rngs::StdRng};
use scenario::Outcome;
use std::{fs, path::Path, process::ExitCode, time::Duration};
use tokio::time::Instant;

/// Breaks things under load and looks for orders that were lost or recorded twice.
#[derive(Parser)]
#[command(name = "chaos")]
struct Arguments {
    /// Names of faults to run (all if not given).
    #[arg(long = "fault", value_name = "NAME", value_delimiter = ',')]
    faults: Vec<String>,

    /// Duration of each fault in seconds.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,

    /// Seed of the random choices. The machine's timing stays random.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Shows the number of answers of each kind, and the slowest answer.
    #[arg(long)]
    answers: bool,

    /// Keeps the folder with the logs, even without violations.
    #[arg(long)]
    keep: bool,

    /// Lists the faults and exits.
    #[arg(long)]
    list: bool,
}

impl Arguments {
    fn chosen(&self) -> Result<Vec<&'static Fault>> {
        if self.faults.is_empty() {
            return Ok(faults::ALL.iter().collect());
        }
        let by_name = |name: &String| {
            faults::ALL
                .iter()
                .find(|fault| fault.name == name)
                .ok_or_else(|| format!("there is no fault {name:?}"))
        };
        Ok(self.faults.iter().map(by_name).collect::<std::result::Result<_, _>>()?)
    }
}

// One thread: it leaves the machine to what is tested, and it lives as long as the processes that it starts, which the
// system ends with the thread that started them.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for fault in faults::ALL {
            println!("{:<30} {}", fault.name, fault.what);
        }
        return ExitCode::SUCCESS;
    }
    let folder = match Folder::new("shakerqueue-chaos.") {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("chaos: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = tokio::select! {
        ended = run(&arguments, &folder.path) => ended.map(|wrong| (wrong, wrong == 0 && !arguments.keep)),
        () = wait::interrupted() => Ok((1, true)),
    };
    // All that was started is gone by now, or told to go.
    match ended {
        Ok((_, true)) => folder.remove(),
        _ => println!("logs and data: {}", folder.path.display()),
    }
    match ended {
        Ok((0, _)) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the faults, and counts those with violations or errors.
async fn run(arguments: &Arguments, folder: &Path) -> Result<usize> {
    let chosen = arguments.chosen()?;
    let programs = Programs::found()?;
    let seed = arguments.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    println!("seed {seed}, {} s a fault", arguments.seconds);
    println!("{}", table::head());
    let begun = Instant::now();
    let mut servers = None;
    let (mut wrong, mut not_run) = (0, 0);
    for fault in &chosen {
        let started = match servers.take() {
            Some(servers) => servers,
            None => Servers::start(&programs, Tuning::SMALL, folder).await?,
        };
        let own = folder.join(fault.name);
        fs::create_dir_all(&own)?;
        // The same by itself as among the others.
        let seed =
            fault.name.bytes().fold(seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        let hold = Duration::from_secs(arguments.seconds);
        match scenario::run(fault, started, &own, hold, StdRng::seed_from_u64(seed)).await {
            Ok((back, outcome)) => {
                println!("{}", table::row(fault.name, &outcome));
                if arguments.answers
                    && let Some(answers) = table::answers(&outcome)
                {
                    println!("{answers}");
                }
                match outcome {
                    Outcome::Ran(report) => wrong += usize::from(report.verdict.violations() > 0),
                    Outcome::NotRun(_) => not_run += 1,
                }
                servers = Some(back);
            }
            Err(error) => {
                println!("{:<28}  FAILED: {error}", fault.name);
                wrong += 1;
            }
        }
    }
    let took = begun.elapsed().as_secs();
    println!("{} faults in {took} s: {wrong} with violations, {not_run} not run", chosen.len());
    Ok(wrong)
}
