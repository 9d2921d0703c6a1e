//! `docs/api.md` does what it says: every command block of it is run, in order, in one shell, and what it prints is compared with
//! the block behind it, or with nothing where there is none. `…` there stands for anything, and line breaks and spaces don't count.

use crate::support::{PATIENCE, on_both};
use regex::Regex;
use std::{fmt::Write, fs, path::Path, process::Stdio};
use tokio::{process::Command, time::timeout};

/// Where the document's bar is.
const BAR: &str = "http://127.0.0.1:8080";

/// Commands, and what they print.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    commands: String,
    prints: String,
}

/// The command blocks (`sh`) of a document, each with the block of another kind that follows it.
fn blocks(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (at, part) in document.split("```").enumerate() {
        let (kind, text) = part.split_once('\n').unwrap_or((part, ""));
        match (at % 2, kind) {
            (0, _) => {}
            (_, "sh") => blocks.push(Block { commands: text.to_owned(), prints: String::new() }),
            _ => blocks.last_mut().expect("an answer to something").prints.push_str(text),
        }
    }
    blocks
}

/// One script that keeps what each block prints in a file of its own.
fn script(blocks: &[Block], folder: &Path) -> String {
    let mut script = "set -u\n".to_owned();
    for (at, Block { commands, .. }) in blocks.iter().enumerate() {
        write!(script, "{{\n{commands}}} >'{}/{at}' 2>&1\n", folder.display()).unwrap();
    }
    script
}

/// Whether this was printed, but for spaces and line breaks.
fn is_as_said(said: &str, printed: &str) -> bool {
    let dense = |text: &str| text.split_whitespace().collect::<String>();
    let parts: Vec<_> = dense(said).split('…').map(regex::escape).collect();
    Regex::new(&format!("^{}$", parts.join(".*?"))).unwrap().is_match(&dense(printed))
}

on_both! {
    async fn every_command_in_the_walk_through_does_what_it_says(bar) {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md");
        let document = fs::read_to_string(document).unwrap();
        assert!(document.contains(BAR));
        let blocks = blocks(&document.replace(BAR, &bar.url));
        assert!(blocks.len() > 15);
        let folder = tempfile::tempdir().unwrap();
        let mut shell = Command::new("bash");
        shell.args(["-c", &script(&blocks, folder.path())]).stdin(Stdio::null()).kill_on_drop(true);
        timeout(PATIENCE * 2, shell.status()).await.expect("an end in time").expect("bash");
        for (at, Block { commands, prints }) in blocks.iter().enumerate() {
            let printed = fs::read_to_string(folder.path().join(at.to_string())).unwrap_or_default();
            assert!(is_as_said(prints, &printed), "\n{commands}\nshould print\n{prints}\nand prints\n{printed}");
        }
    }
}

#[test]
fn an_answer_is_compared_with_what_is_said() {
    assert!(is_as_said("{\"id\":\"…\",\n \"n\":1}", "{\"id\":\"7\",\"n\":1}\n"));
    assert!(!is_as_said("{\"id\":\"…\",\"n\":1}", "{\"id\":\"7\",\"n\":2}"));
    assert!(!is_as_said("", "curl: (7)"));
    assert!(!is_as_said("a.c", "abc"));
    assert_eq!(
        blocks("x\n```sh\na\n```\n```text\nb\n```\ny\n```sh\nc\n```\n"),
        [
            Block { commands: "a\n".into(), prints: "b\n".into() },
            Block { commands: "c\n".into(), prints: String::new() }
        ]
    );
}
