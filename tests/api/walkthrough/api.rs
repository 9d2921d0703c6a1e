//! `docs/api.md`: runs every command block, in order, in one shell, and compares the output with the block behind it,
//! or with nothing if there is none. `…` stands for any text. Line breaks and spaces don't count.

use super::{folder, run, with};
use crate::documents::commands::{API_DOCUMENT, Block, blocks};
use crate::support::{Bar, DatabaseKind, PostgreSql, Sqlite};
use regex::Regex;
use rstest::rstest;
use std::{fmt::Write, fs, path::Path};

/// URL of the bar in documents.
pub const BAR_URL: &str = "http://127.0.0.1:8080";

/// Builds one script that writes the output of each block to a file of its own.
fn script(blocks: &[Block], folder: &Path) -> String {
    // In a walk a failure is part of the story: what it prints is compared.
    let mut script = "set +e\n".to_owned();
    for (at, Block { commands, .. }) in blocks.iter().enumerate() {
        write!(script, "{{\n{commands}}} >'{}/{at}' 2>&1\n", folder.display()).unwrap();
    }
    script
}

/// Compares the output with the document, without spaces and line breaks.
fn is_as_said(said: &str, printed: &str) -> bool {
    let dense = |text: &str| text.split_whitespace().collect::<String>();
    let parts: Vec<_> = dense(said).split('…').map(regex::escape).collect();
    Regex::new(&format!("^{}$", parts.join(".*?"))).unwrap().is_match(&dense(printed))
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_in_the_walk_through_does_what_it_says(
    #[values(Sqlite, PostgreSql)] database: DatabaseKind,
) {
    let bar = Bar::open(database).await;
    let mut blocks = blocks(API_DOCUMENT);
    assert!(blocks.len() > 15);
    blocks[0].commands = with(&blocks[0].commands, BAR_URL, &bar.url);
    let (_kept, folder) = folder();
    run(&script(&blocks, &folder), &folder, &[]).await;
    for (at, Block { commands, prints }) in blocks.iter().enumerate() {
        let printed = fs::read_to_string(folder.join(at.to_string())).unwrap_or_default();
        assert!(is_as_said(prints, &printed), "\n{commands}\nshould print\n{prints}\nand prints\n{printed}");
    }
    bar.close().await;
}

#[test]
fn an_answer_is_compared_with_what_is_said() {
    assert!(is_as_said("{\"id\":\"…\",\n \"n\":1}", "{\"id\":\"7\",\"n\":1}\n"));
    assert!(!is_as_said("{\"id\":\"…\",\"n\":1}", "{\"id\":\"7\",\"n\":2}"));
    assert!(!is_as_said("", "curl: (7)"));
    assert!(!is_as_said("a.c", "abc"));
}
