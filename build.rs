//! What becomes part of the executable and is no Rust source: the migrations, and the page at `/docs`.

use flate2::{Compression, write::GzEncoder};
use std::{
    borrow::Cow,
    env,
    error::Error,
    fs::{self, File},
    io::{Cursor, Read, Write},
    path::PathBuf,
};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// What the page needs of Swagger UI, and what its licence asks to pass on: our name, theirs.
const PARTS: [(&str, &[&str]); 3] = [
    ("swagger-ui-bundle.js", &["dist/swagger-ui-bundle.js"]),
    ("swagger-ui.css", &["dist/swagger-ui.css"]),
    ("licence.txt", &["NOTICE", "LICENSE"]),
];

const OURS: &str = "src/http/docs/start.js";

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo looks at Rust sources only.
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={OURS}");
    let folder = PathBuf::from(env::var("OUT_DIR")?);
    let keep = |name: &str, bytes: &[u8]| -> Result<(), Box<dyn Error>> {
        let mut file = GzEncoder::new(File::create(folder.join(format!("{name}.gz")))?, Compression::best());
        file.write_all(bytes)?;
        Ok(file.finish()?.sync_all()?)
    };
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for (name, theirs) in PARTS {
        let mut bytes = Vec::new();
        for file in theirs {
            // Everything is in a folder that is named by the version.
            let is_it = |path: &Cow<str>| path.split_once('/').is_some_and(|(_, path)| path == *file);
            let inside = archive.file_names().filter_map(Result::ok).find(is_it).map(Cow::into_owned);
            let inside = inside.ok_or_else(|| format!("Swagger UI has no {file}"))?;
            archive.by_name(&inside)?.read_to_end(&mut bytes)?;
        }
        keep(name, &bytes)?;
    }
    keep("start.js", &fs::read(OURS)?)
}
