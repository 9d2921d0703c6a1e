//! What is run: by `.ci/run` and all that it calls, and by tests.

use super::{
    super::{documents, files, name, read, root},
    told::{ROLES, SHELLS, blocks, words},
};
use regex::Regex;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

/// What begins everything that CI runs.
const FIRST: &str = "ci";

/// Beginnings of commands that no check can run, and why.
const ELSEWHERE: [(&str, &str); 5] = [
    ("docker run", "it starts an image that was published"),
    ("git config blame.ignoreRevsFile", "it sets up a developer's own clone"),
    ("git tag -a", "it publishes a release"),
    ("gh attestation verify", "it asks for a release that was published"),
    ("docker buildx imagetools inspect", "it asks for an image that was published"),
];

pub struct Runs {
    /// The makefile's targets: what is behind the colon, and the recipe.
    targets: BTreeMap<String, String>,
    /// Those of them that are run.
    run: BTreeSet<String>,
    /// The scripts that are run.
    scripts: BTreeMap<String, String>,
    /// The tests' and the measurements' sources, without comments, and what is walked through in documents.
    sources: String,
    /// The walk-throughs' sources.
    walks: String,
}

impl Runs {
    pub fn of_this_repository() -> Self {
        let mut scripts = Vec::new();
        for folder in [".ci", "tests", "deploy"] {
            let entries = fs::read_dir(root().join(folder)).into_iter().flatten();
            let paths = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
            scripts.extend(
                paths.map(|path| (name(&path), read(&path))).filter(|(_, text)| text.starts_with("#!")),
            );
        }
        let scripts: Vec<_> = scripts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let mut runs = Self::of(&read("Makefile"), &scripts);
        // What checks the documents names commands that nobody runs.
        let sources = [files("tests", "rs"), files("benches", "rs")].concat();
        let sources = sources.iter().filter(|path| !name(path).starts_with("tests/api/documents"));
        let without_comments = |text: String| -> String {
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            lines.flat_map(|line| [line, "\n"]).collect()
        };
        runs.sources = sources.map(|path| without_comments(read(path))).collect();
        let walks = files("tests/api/walkthrough", "rs");
        runs.walks = walks.iter().map(|path| without_comments(read(path))).collect();
        for path in documents() {
            let (document, text) = (name(&path), read(&path));
            let walked = blocks(&text, &SHELLS).filter(|block| runs.walks_through(&document, block));
            // They are run, and so is the same command elsewhere.
            let walked: String = walked.collect();
            runs.sources += &walked;
        }
        runs
    }

    /// With this makefile and these scripts.
    pub fn of(makefile: &str, scripts: &[(&str, &str)]) -> Self {
        let head = Regex::new(r"^([a-z][a-z-]*):([^=].*)?$").expect("a pattern");
        let mut targets: BTreeMap<String, String> = BTreeMap::new();
        let mut target = None;
        for line in makefile.lines() {
            if let Some(found) = head.captures(line) {
                let needs = found.get(2).map_or("", |needs| needs.as_str());
                let needs = needs.split("##").next().unwrap_or_default().split_whitespace();
                // What it needs is made as if its recipe said so.
                let needs = needs.flat_map(|need| ["make ", need, "\n"]).collect();
                target = Some(found[1].to_owned());
                targets.insert(found[1].to_owned(), needs);
            } else if let (Some(target), true) = (&target, line.starts_with('\t')) {
                let recipe = targets.get_mut(target).expect("a target");
                *recipe += line.trim_start_matches(['\t', '@', '-']);
                recipe.push('\n');
            } else {
                target = None;
            }
        }
        let all: BTreeMap<_, _> = scripts.iter().copied().collect();
        let (mut run, mut called) = (BTreeSet::new(), BTreeMap::new());
        let mut open = vec![format!("make {FIRST}")];
        while let Some(text) = open.pop() {
            let text = bare(&text);
            for target in targets_in(&text) {
                if let Some(recipe) = targets.get(&target).filter(|_| run.insert(target.clone())) {
                    open.push(recipe.clone());
                }
            }
            for (script, content) in all.iter().filter(|(script, _)| is_called(script, &text)) {
                if called.insert((*script).to_owned(), (*content).to_owned()).is_none() {
                    open.push((*content).to_owned());
                }
            }
        }
        Self { targets, run, scripts: called, sources: String::new(), walks: String::new() }
    }

    /// Why a command is not run, if that is so.
    pub fn why_not(&self, command: &str) -> Option<String> {
        let mut words = words(command);
        match words.next()? {
            "make" => self.why_not_make(words),
            "shakerqueue" => self.why_not_role(&words.collect::<Vec<_>>()),
            role if ROLES.contains(&role) => {
                self.why_not_role(&[role].into_iter().chain(words).collect::<Vec<_>>())
            }
            _ => self.why_not_named(command),
        }
    }

    fn why_not_make<'a>(&self, words: impl Iterator<Item = &'a str>) -> Option<String> {
        let (settings, targets): (Vec<_>, Vec<_>) = words.partition(|word| word.contains('='));
        for target in &targets {
            let Some(recipe) = self.targets.get(*target) else {
                return Some(format!("there is no target {target}"));
            };
            if !self.run.contains(*target) {
                return Some(format!("nothing that .ci/run calls makes {target}"));
            }
            for (setting, value) in settings.iter().filter_map(|setting| setting.split_once('=')) {
                if !recipe.contains(&format!("$({setting})")) {
                    return Some(format!("{target} does not read {setting}"));
                }
                // Names of faults and rows stand in the sources.
                let is_known = |value: &&str| self.sources.contains(&format!("\"{value}\""));
                let mut values =
                    value.split(',').filter(|value| value.starts_with(|c: char| c.is_ascii_lowercase()));
                if let Some(unknown) = values.find(|value| !is_known(value)) {
                    return Some(format!("nothing is called {unknown}"));
                }
            }
        }
        targets.is_empty().then(|| "it has no target".to_owned())
    }

    fn why_not_role(&self, words: &[&str]) -> Option<String> {
        let (flags, rest): (Vec<_>, Vec<_>) = words.iter().copied().partition(|word| word.starts_with("--"));
        // A role, and of `dead-letters` what shall be done with them.
        let is_word = |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        let roles = if rest.first() == Some(&"dead-letters") { 2 } else { 1 };
        let roles: Vec<_> = rest.iter().take(roles).take_while(is_word).copied().collect();
        let asked = Command::new(env!("CARGO_BIN_EXE_shakerqueue")).args(&roles).arg("--help").output();
        let asked = asked.expect("it starts");
        if !asked.status.success() {
            return Some(format!("there is no role {}", roles.join(" ")));
        }
        let help = String::from_utf8_lossy(&asked.stdout);
        let flags = flags.into_iter().map(|flag| flag.split('=').next().unwrap_or(flag));
        let flags: Vec<_> = flags.filter(|flag| *flag != "--help").collect();
        if let Some(flag) = flags.iter().find(|flag| !help.split_whitespace().any(|word| word == **flag)) {
            return Some(format!("it has no {flag}"));
        }
        let mut untested =
            roles.iter().chain(&flags).filter(|word| !self.sources.contains(&format!("\"{word}\"")));
        untested.next().map(|word| format!("no test runs it with {word}"))
    }

    /// Whether a script or a test has this command. What is in capitals stands for the reader's own, and `…` for anything.
    fn why_not_named(&self, command: &str) -> Option<String> {
        if ELSEWHERE.iter().any(|(begins, _)| command.starts_with(begins)) {
            return None;
        }
        let own =
            Regex::new(r"\b[A-Z][A-Z_]+\b|\b[XYZ](?:\\\.[XYZ])+\b|vX(?:\\\.[XYZ])+\b|…").expect("a pattern");
        let words = command.split_whitespace().map(regex::escape);
        let words = words.map(|word| own.replace_all(&word, r"\S+").into_owned());
        let command = Regex::new(&words.collect::<Vec<_>>().join(r"\s+")).expect("a pattern");
        let named = self.scripts.values().any(|script| command.is_match(&without_comments(script)));
        let tested = command.is_match(&self.sources.replace("\\\"", "\""));
        (!named && !tested).then(|| "neither a test nor a script that .ci/run calls has it".to_owned())
    }

    /// Whether a walk-through takes this block of the document, or all of its blocks.
    pub fn walks_through(&self, document: &str, block: &str) -> bool {
        let all = Regex::new(r#"\bblocks\(\s*"([^"]+)"\s*\)"#).expect("a pattern");
        let one = Regex::new(r#"\bblock\(\s*"([^"]+)",\s*"([^"]+)",?\s*\)"#).expect("a pattern");
        all.captures_iter(&self.walks).any(|walk| &walk[1] == document)
            || one.captures_iter(&self.walks).any(|walk| &walk[1] == document && block.starts_with(&walk[2]))
    }

    /// Whether a test takes the SQL out of this document.
    pub fn tests_sql_of(&self, document: &str) -> bool {
        self.sources.contains(&format!("/{document}\")")) && self.sources.contains(r#"strip_prefix("sql\n")"#)
    }
}

fn without_comments(script: &str) -> String {
    let lines = script.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.map(|line| line.split(" # ").next().unwrap_or_default()).flat_map(|line| [line, "\n"]).collect()
}

/// A script without comments and what is between quotes: messages speak of commands, too.
fn bare(script: &str) -> String {
    let quoted = Regex::new(r#""[^"\n]*"|'[^'\n]*'"#).expect("a pattern");
    quoted.replace_all(&without_comments(script), "").into_owned()
}

/// The targets that `make` is called with.
fn targets_in(script: &str) -> Vec<String> {
    let make = Regex::new(r"(?m)(?:^|[\s(;&|])make((?:[ \t]+[^\s;&|)<>]+)+)").expect("a pattern");
    let words = make
        .captures_iter(script)
        .flat_map(|call| call[1].split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    words.filter(|word| !word.starts_with('-') && !word.contains('=')).collect()
}

/// Whether the script runs another one.
fn is_called(script: &str, by: &str) -> bool {
    let call = Regex::new(&format!(r"(?m)(?:^|[\s(;&|@]){}(?:$|[\s);&|])", regex::escape(script)));
    call.expect("a pattern").is_match(by)
}
