//! `docs/security.md` covers each requirement, and the tests that it names exist.

use super::{quoted, read, root};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

/// Requirements of levels 1 and 2 in each chapter of ASVS 5.0: a section's number, then its requirements.
const REQUIREMENTS: [&str; 17] = [
    "1:1-2 2:1-9 3:1-11 4:1-3 5:1-2",
    "1:1-3 2:1-3 3:1-4 4:1-1",
    "2:1-2 3:1-4 4:1-6 5:1-5 7:1-2",
    "1:1-3 2:1-1 3:1-2 4:1-4",
    "1:1-1 2:1-3 3:1-2 4:1-3",
    "1:1-3 2:1-12 3:1-4 4:1-4 5:1-5 6:1-3 8:1-4",
    "1:1-3 2:1-4 3:1-2 4:1-5 5:1-2 6:1-2",
    "1:1-2 2:1-3 3:1-1 4:1-1",
    "1:1-3 2:1-4",
    "1:1-2 2:1-2 3:1-4 4:1-11 5:1-5 6:1-2 7:1-3",
    "1:1-2 2:1-3 3:1-3 4:1-4 5:1-1 6:1-1",
    "1:1-3 2:1-2 3:1-4",
    "1:1-1 2:1-5 3:1-2 4:1-5",
    "1:1-2 2:1-4 3:1-3",
    "1:1-3 2:1-3 3:1-7",
    "1:1-1 2:1-5 3:1-4 4:1-3 5:1-3",
    "1:1-1 2:1-4 3:1-2",
];

/// Statuses of a requirement. Those that are not met must be explained in a section of their own.
const STATUSES: [&str; 5] = ["yes", "partly", "no", "operator", "n/a"];

/// A requirement: chapter, section, number.
type RequirementNumber = [u32; 3];

/// An entry of the list: its requirements, their status, and the evidence.
struct Entry {
    about: Vec<RequirementNumber>,
    status: String,
    shown_by: String,
    text: String,
}

fn document() -> String {
    read("docs/security.md")
}

fn range(text: &str) -> RangeInclusive<u32> {
    let (first, last) = text.split_once('-').expect("first-last");
    first.parse().expect("a number")..=last.parse().expect("a number")
}

fn required() -> BTreeSet<RequirementNumber> {
    let sections = REQUIREMENTS.iter().zip(1..).flat_map(|(sections, chapter)| {
        sections.split(' ').map(move |section| (chapter, section.split_once(':').expect("a section")))
    });
    sections
        .flat_map(|(chapter, (section, numbers))| {
            let section = section.parse().expect("a section's number");
            range(numbers).map(move |number| [chapter, section, number])
        })
        .collect()
}

/// Parses the requirements of an entry: `1.2.4`, several with commas, `1.2.6–8`, a section `6.5`, or a chapter `10`.
fn named(cell: &str) -> Vec<RequirementNumber> {
    let all = required();
    let mut named = Vec::new();
    for part in cell.split(", ") {
        let (start, last) = part.split_once('–').map_or((part, None), |(start, last)| (start, Some(last)));
        let start: Vec<u32> = start.split('.').map(|number| number.parse().expect(cell)).collect();
        let found = all.iter().filter(|number| match last {
            Some(last) => {
                number[..2] == start[..2] && (start[2]..=last.parse().expect(cell)).contains(&number[2])
            }
            None => number.starts_with(&start),
        });
        let before = named.len();
        named.extend(found.copied());
        assert!(named.len() > before, "{part} is no requirement of level 1 or 2");
    }
    named
}

/// Reads the list items that begin with numbers in bold: the numbers, and the rest on one line.
fn items(section: &str) -> Vec<(String, String)> {
    let items = section.split("\n- **").skip(1).filter(|item| begins_with_digit(item));
    items
        .map(|item| {
            let item = item.split("\n\n").next().unwrap_or_default();
            let (numbers, text) = item.split_once("** ").expect("numbers in bold");
            (numbers.to_owned(), text.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect()
}

/// Reads the entries about requirements: `**numbers** (status) summary: evidence`.
fn entries(document: &str) -> Vec<Entry> {
    let (_, list) = document.split_once("## The requirements").expect("the list");
    let entry = |(numbers, text): (String, String)| {
        let (status, rest) = text.trim_start_matches('(').split_once(") ").expect("a status");
        let (summary, shown_by) = rest.split_once(": ").expect("a summary");
        assert!(!summary.is_empty() && STATUSES.contains(&status), "{numbers}: {text}");
        let (status, shown_by) = (status.to_owned(), shown_by.to_owned());
        Entry { about: named(&numbers), status, shown_by, text }
    };
    items(list).into_iter().map(entry).collect()
}

fn begins_with_digit(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

/// Recognises the path of a test as cargo prints it.
fn is_test(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    text.contains("::") && text.split("::").all(is_word)
}

/// Returns the reason if there is no such test.
fn missing_test(name: &str) -> Option<String> {
    let words: Vec<&str> = name.split("::").collect();
    let (function, modules) = words.split_last()?;
    let reasons = ["tests/api", "src"].map(|base| missing_in(base, modules, function));
    reasons.into_iter().collect::<Option<Vec<_>>>().map(|reasons| reasons.join("; "))
}

/// Looks below this folder for a file, the modules in it, and the function.
fn missing_in(base: &str, modules: &[&str], function: &str) -> Option<String> {
    for depth in (1..=modules.len()).rev() {
        let (file, inner) = modules.split_at(depth);
        let text: String = module_files(&root().join(base).join(file.join("/"))).iter().map(read).collect();
        if text.is_empty() {
            continue;
        }
        let has = |start: &str, name: &str| {
            let mut names = text.split(start).skip(1).filter_map(|rest| rest.strip_prefix(name));
            names.any(|rest| !rest.starts_with(is_letter))
        };
        let module = inner.iter().find(|module| !has("mod ", module));
        let what = module.map(|module| format!("module {module}"));
        let what = what.or_else(|| (!has("fn ", function)).then(|| format!("function {function}")));
        return what.map(|what| format!("no {what} in {base}/{}", file.join("/")));
    }
    Some(format!("no such module in {base}"))
}

fn is_letter(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// Returns the files of a module: `name.rs` or `name/mod.rs`, and its test files such as `name_proptests.rs`.
fn module_files(path: &Path) -> Vec<PathBuf> {
    let main: Vec<_> =
        [path.with_extension("rs"), path.join("mod.rs")].into_iter().filter(|file| file.is_file()).collect();
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return main };
    let beside = format!("{}_", name.to_string_lossy());
    let files = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    let tests = files.filter(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&beside) && name.ends_with(".rs")
    });
    if main.is_empty() { main } else { main.iter().cloned().chain(tests).collect() }
}

#[test]
fn every_requirement_is_listed_once() {
    let mut counted: BTreeMap<RequirementNumber, usize> =
        required().into_iter().map(|number| (number, 0)).collect();
    assert_eq!(counted.len(), 253);
    for entry in entries(&document()) {
        for number in entry.about {
            *counted.get_mut(&number).expect("a requirement") += 1;
        }
    }
    counted.retain(|_, times| *times != 1);
    assert!(counted.is_empty(), "not there, or twice: {counted:?}");
}

#[test]
fn what_is_met_is_shown_and_what_is_not_is_explained() {
    let document = document();
    let (_, gaps) = document.split_once("## What is not met").expect("the gaps");
    let (gaps, _) = gaps.split_once("\n## ").expect("what is behind the gaps");
    let mut told = BTreeSet::new();
    for (numbers, _) in items(gaps) {
        told.extend(named(&numbers));
    }
    let mut open = BTreeSet::new();
    for entry in entries(&document) {
        let proof = quoted(&entry.shown_by).next().is_some() || entry.shown_by.contains("](");
        match entry.status.as_str() {
            "yes" => assert!(proof, "nothing shows it: {}", entry.text),
            "partly" | "no" => open.extend(entry.about),
            _ => assert!(entry.shown_by.len() > 3, "why? {}", entry.text),
        }
    }
    assert_eq!(told, open, "left: what is explained; right: what the list says is not met");
}

#[test]
fn every_test_that_it_names_exists() {
    let document = document();
    let tests: BTreeSet<_> = quoted(&document).filter(|text| is_test(text)).collect();
    assert!(tests.len() > 80, "they are found: {}", tests.len());
    let missing = tests.into_iter().filter_map(|name| missing_test(name).map(|why| format!("{name}: {why}")));
    let missing: Vec<_> = missing.collect();
    assert!(missing.is_empty(), "docs/security.md names tests that are not there:\n{}", missing.join("\n"));
}

#[test]
fn every_file_and_setting_that_it_names_exists() {
    let document = document();
    let settings = read("README.md") + &read(".env.example");
    let is_setting =
        |text: &str| text.contains('_') && text.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let is_file = |text: &str| {
        let of_ours =
            ["src/", "tests/", "docs/", "migrations/", ".ci/"].iter().any(|at| text.starts_with(at));
        !text.contains(' ')
            && (of_ours || ["toml", "yaml"].iter().any(|end| text.ends_with(&format!(".{end}"))))
    };
    for text in quoted(&document) {
        assert!(!is_setting(text) || settings.contains(text), "there is no setting {text}");
        assert!(!is_file(text) || root().join(text).exists(), "there is no file {text}");
    }
}

#[test]
fn the_checks_see_what_is_not_there() {
    assert_eq!(missing_test("documents::security::the_checks_see_what_is_not_there"), None);
    assert_eq!(missing_test("domain::text::tests::a_name_is_what_it_looks_like"), None);
    assert_eq!(missing_test("orders::guests_see_their_own_orders_and_nobody_elses"), None);
    for name in [
        "documents::security::nobody_wrote_this",
        "documents::security::the_checks_see",
        "no_such_module::the_checks_see_what_is_not_there",
        "domain::text::proofs::a_name_is_what_it_looks_like",
    ] {
        assert!(missing_test(name).is_some(), "{name}");
    }
    assert_eq!(named("1.2.6–8, 9.1"), [[1, 2, 6], [1, 2, 7], [1, 2, 8], [9, 1, 1], [9, 1, 2], [9, 1, 3]]);
    assert!(is_test("limits::addresses::a_budget") && !is_test("domain") && !is_test("Vec::new"));
}

/// Forbidden actions of `src`, and calls that do them.
const FORBIDDEN_CALLS: [(&str, &[&str]); 3] = [
    ("starts other programs", &["process::Command"]),
    ("asks other servers", &["reqwest", "hyper::client", "ureq"]),
    ("turns a check of types off", &["unsafe {", "transmute"]),
];

#[test]
fn the_program_starts_no_other_and_fetches_nothing() {
    let mut folders = vec![root().join("src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            // The first asks whether a role of ours is well, and is started by hand; the second sends traces where an operator says; the
            // third asks the broker's own management API; the log only names what it must not tell of.
            let text = read(&path);
            let is_meant = [
                "cli/health.rs",
                "telemetry/otlp_client.rs",
                "durability_check/management_api.rs",
                "telemetry/logs.rs",
            ]
            .iter()
            .any(|file| path.ends_with(file));
            for (what, words) in FORBIDDEN_CALLS {
                let found = words.iter().find(|word| text.contains(**word));
                assert!(found.is_none() || is_meant, "{} {what}: {found:?}", path.display());
            }
        }
    }
    assert!(files > 50, "the sources are found");
}
