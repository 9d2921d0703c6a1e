//! The commands that a document tells its readers.

use super::super::quoted;

/// What blocks of commands are called.
pub const SHELLS: [&str; 5] = ["sh", "bash", "shell", "console", "zsh"];

/// With one of these a command begins. What begins with another word in a sentence is none: it may be a setting or a route.
const PROGRAMS: [&str; 26] = [
    "apt-get",
    "bash",
    "brew",
    "cargo",
    "cosign",
    "createdb",
    "curl",
    "diesel",
    "docker",
    "gh",
    "git",
    "gpg",
    "kubectl",
    "make",
    "openssl",
    "pg_dump",
    "pg_restore",
    "podman",
    "podman-compose",
    "promtool",
    "psql",
    "rabbitmqctl",
    "sha256sum",
    "shakerqueue",
    "sqlite3",
    "systemctl",
];

/// Roles, which stand for the program with that role where a flag follows.
pub const ROLES: [&str; 7] = ["serve", "work", "seed", "migrate", "health", "dead-letters", "openapi"];

/// The blocks of a document that are called one of these.
pub fn blocks<'a>(document: &'a str, kinds: &'a [&str]) -> impl Iterator<Item = &'a str> {
    let blocks = document.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    blocks.filter(move |(kind, _)| kinds.contains(kind)).map(|(_, text)| text)
}

/// The commands of a document, but for blocks that are run as they are.
pub fn commands(document: &str, is_run: impl Fn(&str) -> bool) -> Vec<String> {
    let blocks = blocks(document, &SHELLS).filter(|block| !is_run(block));
    let lines = blocks.map(|block| block.replace("\\\n", " "));
    let lines: Vec<_> = lines.flat_map(|block| block.lines().map(in_line).collect::<Vec<_>>()).collect();
    let prose: String = document.split("```").step_by(2).collect();
    let spans = quoted(&prose).map(on_one_line).filter(|span| is_command(span));
    lines.into_iter().filter(|line| !line.is_empty()).chain(spans).collect()
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line of a block without its comment and prompt.
fn in_line(line: &str) -> String {
    let line = if line.starts_with('#') { "" } else { line.split(" #").next().unwrap_or_default() };
    on_one_line(line.trim_start_matches("$ "))
}

/// Whether this is a program with something behind it.
fn is_command(span: &str) -> bool {
    let mut words = words(span);
    let (Some(program), Some(argument)) = (words.next(), words.next()) else {
        return false;
    };
    let of_ours = [".ci/", "tests/", "deploy/"].iter().any(|folder| program.starts_with(folder));
    let of_psql =
        program.strip_prefix('\\').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
    let role = ROLES.contains(&program) && argument.starts_with("--");
    PROGRAMS.contains(&program) || of_ours || of_psql || role
}

/// A command's words, without settings before it.
pub fn words(command: &str) -> impl Iterator<Item = &str> {
    let is_setting = |word: &&str| {
        word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
    };
    command.split_whitespace().skip_while(is_setting)
}

#[test]
fn commands_are_found_in_blocks_and_sentences() {
    let document = "Say `make\ndrinks N=2`, `make`, `A=b curl x`, `seed --x`, `work`, `make` or `\\copy x`.\n\
        ```sh\n# first\nmake a   # b\n$ c \\\n  d\n```\n```text\nmake e\n```\n```sh\nmake f\n```\n";
    let found = commands(document, |block| block.contains("make f"));
    assert_eq!(found, ["make a", "c d", "make drinks N=2", "A=b curl x", "seed --x", "\\copy x"]);
}
