use super::{documents, read};
use std::collections::BTreeSet;

/// Returns the anchors of a document's headings, as GitHub builds them.
fn anchors(document: &str) -> BTreeSet<String> {
    let headings = document.lines().filter_map(|line| line.strip_prefix('#'));
    headings
        .map(|heading| {
            let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
        })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let documents = documents();
    assert!(documents.len() > 8, "they are found: {documents:?}");
    let (mut links, mut dead) = (0, Vec::new());
    for from in documents {
        let text = read(&from);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            links += 1;
            let (file, anchor) =
                link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
            let to = if file.is_empty() { from.clone() } else { from.with_file_name(file) };
            let leads = file.contains("://")
                || to.exists() && anchor.is_none_or(|anchor| anchors(&read(&to)).contains(anchor));
            if !leads {
                dead.push(format!("{}: {link}", from.display()));
            }
        }
    }
    assert!(links > 30, "they are found: {links}");
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}
