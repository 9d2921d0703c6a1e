//! The log of a role, in a file.

use serde_json::Value;
use std::{
    fs::{self, File},
    process::Stdio,
};
use tempfile::NamedTempFile;

pub struct Log(NamedTempFile);

impl Log {
    pub fn new() -> Self {
        Self(NamedTempFile::new().expect("a file"))
    }

    pub fn file(&self) -> Stdio {
        File::options().append(true).open(self.0.path()).expect("a file").into()
    }

    pub fn text(&self) -> String {
        fs::read_to_string(self.0.path()).expect("the log")
    }

    /// Parses its lines, each of which is a JSON object.
    pub fn objects(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines();
        lines.map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }
}
