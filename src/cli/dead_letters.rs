//! `shakerqueue dead-letters`

use super::{
    error::{CliError, say},
    startup,
};
use crate::{
    cli::deployment::Deployment,
    config::Database,
    domain::{
        dead_letter::{DeadLetter, Resolution},
        ids::DeadLetterId,
        text::printable,
    },
    services::dead_letters::{DeadLetterFilter, DeadLetters},
};
use clap::{Args, Subcommand};

/// What to do with them.
#[derive(Debug, Args)]
pub struct DeadLetterArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists them, newest first: one a line, its columns separated by tabs.
    List {
        #[command(flatten)]
        database: Database,
        /// Also those about which something was decided.
        #[arg(long)]
        all: bool,
    },
    /// Shows one with its message.
    Show {
        #[command(flatten)]
        database: Database,
        /// Which, as the list names it.
        id: DeadLetterId,
    },
    /// Stores their orders after all, each under the id that its guest knows. Safe to repeat.
    Replay {
        #[command(flatten)]
        database: Database,
        #[command(flatten)]
        which: SelectionArgs,
    },
    /// Gives them up. They can still be listed, shown and replayed.
    Discard {
        #[command(flatten)]
        database: Database,
        #[command(flatten)]
        which: SelectionArgs,
    },
}

/// Which letters.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SelectionArgs {
    /// Which, as the list names them.
    ids: Vec<DeadLetterId>,
    /// All that wait for a decision.
    #[arg(long)]
    all: bool,
}

/// Letters read at a time.
const PAGE_LETTERS: i64 = 100;

/// Shows letters or decides about them.
pub async fn run(DeadLetterArgs { action }: DeadLetterArgs) -> Result<(), CliError> {
    match action {
        Action::List { database, all } => {
            let letters = open(database).await?;
            let filter = if all { DeadLetterFilter::All } else { DeadLetterFilter::Open };
            say("id\torder\tcreated\tattempts\tresolution\treason");
            each(&letters, filter, |letter| say(line(letter))).await
        }
        Action::Show { database, id } => {
            let found = open(database).await?.find(id).await?;
            let (letter, payload) =
                found.ok_or_else(|| CliError::new(format!("there is no dead letter {id}")))?;
            say(whole(&letter, &payload));
            Ok(())
        }
        Action::Replay { database, which } => {
            decide(&open(database).await?, which, Resolution::Replayed).await
        }
        Action::Discard { database, which } => {
            decide(&open(database).await?, which, Resolution::Discarded).await
        }
    }
}

async fn open(database: Database) -> Result<DeadLetters, CliError> {
    let deployment = Deployment::database(database)?;
    startup::ready_database(&deployment, false).await?;
    Ok(DeadLetters::new(deployment.store))
}

/// Decides about each, whatever becomes of the others.
async fn decide(letters: &DeadLetters, which: SelectionArgs, what: Resolution) -> Result<(), CliError> {
    let mut ids = which.ids;
    if which.all {
        each(letters, DeadLetterFilter::Open, |letter| ids.push(letter.id)).await?;
    }
    let (all, mut left) = (ids.len(), 0);
    for id in ids {
        let decided = match what {
            Resolution::Replayed => letters.replay(id, None).await,
            Resolution::Discarded => letters.discard(id, None).await,
        };
        match decided {
            Ok(_) => say(format_args!("{id}: {what}")),
            Err(error) => {
                left += 1;
                say(format_args!("{id}: {error}"));
            }
        }
    }
    match left {
        0 => Ok(()),
        _ => Err(CliError::new(format!("{left} of {all} dead letters stay as they are"))),
    }
}

/// Visits every letter, page after page.
async fn each(
    letters: &DeadLetters,
    filter: DeadLetterFilter,
    mut visit: impl FnMut(&DeadLetter),
) -> Result<(), CliError> {
    let mut after = None;
    loop {
        let page = letters.page(filter, after, PAGE_LETTERS).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.created_at, last.id));
        page.iter().for_each(&mut visit);
    }
}

fn line(letter: &DeadLetter) -> String {
    let DeadLetter { id, attempts, created_at, .. } = letter;
    let order = letter.order_id.map_or_else(|| "-".to_owned(), |order| order.to_string());
    let resolution = letter.resolution.map_or("open", |(what, ..)| what.as_str());
    // What a reason quotes must not look like further lines or columns.
    let reason = shown(&letter.reason);
    format!("{id}\t{order}\t{created_at}\t{attempts}\t{resolution}\t{reason}")
}

fn whole(letter: &DeadLetter, payload: &[u8]) -> String {
    let order = letter.order_id.map_or_else(|| "unknown".to_owned(), |order| order.to_string());
    let resolution = match letter.resolution {
        None => "open".to_owned(),
        Some((what, at, by)) => {
            let by = by.map_or_else(|| "an operator".to_owned(), |by| by.to_string());
            format!("{what} at {at} by {by}")
        }
    };
    format!(
        "id:           {}\norder:        {order}\nreason:       {}\nattempts:     {}\nfirst failed: {}\ngiven up:     {}\nresolution:   {resolution}\nmessage:\n{}",
        letter.id,
        shown(&letter.reason),
        letter.attempts,
        letter.first_failed_at,
        letter.created_at,
        shown(&String::from_utf8_lossy(payload)),
    )
}

/// Text of others, with nothing in it that a terminal would obey.
fn shown(text: &str) -> String {
    text.chars().flat_map(printable).collect()
}
