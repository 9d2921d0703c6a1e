//! Commands in documents work: a test runs each block of commands or SQL unless the block is exempt, and commands in
//! sentences exist.

use super::{documents, files, name, quoted, read};
use regex::Regex;
use std::{path::Path, process::Command};

/// Document whose blocks a walk-through runs all, in order.
pub const API_DOCUMENT: &str = "docs/api.md";

/// Blocks that no test runs: a text of each, and the reason.
const EXEMPT: [(&str, &str); 2] = [
    ("make run", ".ci/commands and .ci/try-readme run it, because it builds the program"),
    ("sha256sum --check", "it needs a published release; .ci/commands checks a file of its own"),
];

/// Commands that documents name without the program's name, followed by a flag: `seed --menu FILE`.
const COMMANDS: [&str; 7] = ["serve", "work", "seed", "migrate", "health", "dead-letters", "openapi"];

/// A block that readers run, and the first block of another kind behind it: its output, or a file that it needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    pub commands: String,
    pub prints: String,
}

fn parse(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for block in document.split("```").skip(1).step_by(2) {
        let (kind, text) = block.split_once('\n').unwrap_or((block, ""));
        match kind {
            "sh" | "sql" => blocks.push(Block { commands: text.to_owned(), prints: String::new() }),
            "bash" | "console" | "shell" | "zsh" => panic!("call blocks of commands sh, not {kind}: {text}"),
            _ => {
                if let Some(last) = blocks.last_mut().filter(|last| last.prints.is_empty()) {
                    text.clone_into(&mut last.prints);
                }
            }
        }
    }
    blocks
}

pub fn blocks(document: impl AsRef<Path>) -> Vec<Block> {
    parse(&read(document))
}

/// Returns the only block with this text in all documents but [`API_DOCUMENT`].
pub fn block(text: &str) -> Block {
    let documents = documents().into_iter().filter(|path| name(path) != API_DOCUMENT);
    let mut found: Vec<_> =
        documents.flat_map(blocks).filter(|block| block.commands.contains(text)).collect();
    assert_eq!(found.len(), 1, "blocks with {text:?}: {found:?}");
    found.remove(0)
}

/// Returns the reason if a text between backticks is a command of this project that does not work.
fn fault(span: &str) -> Option<String> {
    let is_setting = |word: &&str| word.contains('=');
    let words: Vec<_> = span.split_whitespace().skip_while(is_setting).collect();
    match words[..] {
        ["make", ref words @ ..] => fault_of_make(words),
        ["shakerqueue", ref words @ ..] => fault_of_program(words),
        [command, flag, ..] if COMMANDS.contains(&command) && flag.starts_with("--") => {
            fault_of_program(&words)
        }
        _ => None,
    }
}

fn fault_of_make(words: &[&str]) -> Option<String> {
    let makefile = read("Makefile");
    words.iter().find_map(|word| match word.split_once('=') {
        None => (!makefile.contains(&format!("\n{word}:"))).then(|| format!("no target {word}")),
        Some((setting, _)) => (!makefile.contains(&format!("$({setting})")) && setting != "COMPOSE")
            .then(|| format!("no target reads {setting}")),
    })
}

fn fault_of_program(words: &[&str]) -> Option<String> {
    let (flags, words): (Vec<_>, Vec<_>) = words.iter().copied().partition(|word| word.starts_with("--"));
    let depth = if words.first() == Some(&"dead-letters") { 2 } else { 1 };
    let is_command = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let commands: Vec<_> = words.into_iter().take(depth).take_while(is_command).collect();
    let asked = Command::new(env!("CARGO_BIN_EXE_shakerqueue")).args(&commands).arg("--help").output();
    let asked = asked.expect("it starts");
    if !asked.status.success() {
        return Some(format!("no command {commands:?}"));
    }
    let help = String::from_utf8_lossy(&asked.stdout);
    let mut flags = flags.iter().map(|flag| flag.split('=').next().unwrap_or(flag));
    let unknown = flags.find(|flag| *flag != "--help" && !help.split_whitespace().any(|word| word == *flag));
    unknown.map(|flag| format!("no flag {flag}"))
}

#[test]
fn every_block_of_commands_is_run_or_exempt() {
    let call = Regex::new(r#"\bblock\(\s*"([^"]+)""#).expect("a pattern");
    let sources: String = files("tests/api", "rs").iter().map(read).collect();
    let run: Vec<_> = call.captures_iter(&sources).map(|call| call.extract::<1>().1[0]).collect();
    assert!(run.len() > 8, "calls are found: {run:?}");
    let exempt = EXEMPT.map(|(text, _)| text);
    for text in exempt {
        block(text);
    }
    for path in documents().into_iter().filter(|path| name(path) != API_DOCUMENT) {
        for Block { commands, .. } in blocks(&path) {
            let known = run.iter().chain(&exempt).any(|text| commands.contains(text));
            assert!(known, "{}: no test runs this block, see EXEMPT:\n{commands}", name(&path));
        }
    }
}

#[test]
fn every_command_in_a_sentence_exists() {
    let mut faults = Vec::new();
    for path in documents() {
        let prose: String = read(&path).split("```").step_by(2).collect();
        let found = quoted(&prose).filter_map(|span| fault(span).map(|why| (span.to_owned(), why)));
        faults.extend(found.map(|(span, why)| format!("{}: `{span}`: {why}", name(&path))));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn commands_that_do_not_exist_are_found() {
    for span in [
        "make drinks",
        "make chaos WINE=red",
        "shakerqueue pour",
        "shakerqueue seed --wine red",
        "seed --wine",
        "shakerqueue dead-letters drink",
    ] {
        assert!(fault(span).is_some(), "{span}");
    }
    for span in [
        "make fuzz CASES=1000000",
        "CARGO_TARGET_DIR=x make chaos FAULT=broker-killed SEED=7",
        "shakerqueue dead-letters list --all",
        "seed --menu FILE",
        "serve",
        "curl --wine",
    ] {
        assert_eq!(fault(span), None, "{span}");
    }
}

#[test]
fn blocks_are_found_with_what_is_behind_them() {
    let block = |commands: &str, prints: &str| Block { commands: commands.into(), prints: prints.into() };
    let document =
        "x\n```json\n{}\n```\n```sh\na\n```\n```text\nb\n```\ny\n```json\n[]\n```\n```sql\nc\n```\n";
    assert_eq!(parse(document), [block("a\n", "b\n"), block("c\n", "")]);
}
