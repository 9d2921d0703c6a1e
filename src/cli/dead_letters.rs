//! `shakerqueue dead-letters`

use super::{
    deployment::Deployment,
    error::{CliError, say},
    startup,
};
use crate::{
    config::DatabaseArgs,
    domain::{
        dead_letter::{DeadLetter, Resolution},
        ids::DeadLetterId,
        text::printable,
    },
    services::dead_letters::{DeadLetterFilter, DeadLetters},
};
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct DeadLetterArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists dead letters, newest first: one on each line, in columns that tabs separate.
    List {
        #[command(flatten)]
        database: DatabaseArgs,
        /// Include those that were replayed or discarded.
        #[arg(long)]
        all: bool,
    },
    /// Shows a dead letter and its message.
    Show {
        #[command(flatten)]
        database: DatabaseArgs,
        /// The dead letter's id, as in the list.
        id: DeadLetterId,
    },
    /// Records orders after all, each under the id that its customer knows. Safe to repeat.
    Replay {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        selection: SelectionArgs,
    },
    /// Discards dead letters. They can still be listed, shown and replayed.
    Discard {
        #[command(flatten)]
        database: DatabaseArgs,
        #[command(flatten)]
        selection: SelectionArgs,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SelectionArgs {
    /// The ids of dead letters, as in the list.
    ids: Vec<DeadLetterId>,
    /// All that were neither replayed nor discarded.
    #[arg(long)]
    all: bool,
}

const PAGE_LETTERS: i64 = 100;

pub(super) async fn run(DeadLetterArgs { action }: DeadLetterArgs) -> Result<(), CliError> {
    match action {
        Action::List { database, all } => {
            let letters = open(database).await?;
            let filter = if all { DeadLetterFilter::All } else { DeadLetterFilter::Open };
            say("id\torder\tcreated\tattempts\tresolution\treason");
            for_each_letter(&letters, filter, |letter| say(row(letter))).await
        }
        Action::Show { database, id } => {
            let found = open(database).await?.find(id).await?;
            let (letter, payload) =
                found.ok_or_else(|| CliError::new(format!("there is no dead letter {id}")))?;
            say(details(&letter, &payload));
            Ok(())
        }
        Action::Replay { database, selection } => {
            resolve(&open(database).await?, selection, Resolution::Replayed).await
        }
        Action::Discard { database, selection } => {
            resolve(&open(database).await?, selection, Resolution::Discarded).await
        }
    }
}

async fn open(database: DatabaseArgs) -> Result<DeadLetters, CliError> {
    let deployment = Deployment::database(database)?;
    startup::ready_database(&deployment, false).await?;
    Ok(DeadLetters { store: deployment.store })
}

/// Resolves each selected letter, also where others fail.
async fn resolve(
    letters: &DeadLetters,
    selection: SelectionArgs,
    resolution: Resolution,
) -> Result<(), CliError> {
    let mut ids = selection.ids;
    if selection.all {
        for_each_letter(letters, DeadLetterFilter::Open, |letter| ids.push(letter.id)).await?;
    }
    let (all, mut failed) = (ids.len(), 0);
    for id in ids {
        let resolved = match resolution {
            Resolution::Replayed => letters.replay(id, None).await,
            Resolution::Discarded => letters.discard(id, None).await,
        };
        match resolved {
            Ok(_) => say(format_args!("{id}: {resolution}")),
            Err(error) => {
                failed += 1;
                say(format_args!("{id}: {error}"));
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(CliError::new(format!("{failed} of {all} dead letters were not changed"))),
    }
}

async fn for_each_letter(
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

fn row(letter: &DeadLetter) -> String {
    let DeadLetter { id, attempts, created_at, .. } = letter;
    let order = letter.order_id.map_or_else(|| "-".to_owned(), |order| order.to_string());
    let resolution = letter.resolution.map_or("open", |(what, ..)| what.as_str());
    // A reason may quote a message, which must not look like further lines or columns.
    let reason = escaped(&letter.reason);
    format!("{id}\t{order}\t{created_at}\t{attempts}\t{resolution}\t{reason}")
}

fn details(letter: &DeadLetter, payload: &[u8]) -> String {
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
        escaped(&letter.reason),
        letter.attempts,
        letter.first_failed_at,
        letter.created_at,
        escaped(&String::from_utf8_lossy(payload)),
    )
}

/// Escapes everything that a terminal would obey.
fn escaped(text: &str) -> String {
    text.chars().flat_map(printable).collect()
}
