//! What becomes part of the executable and is no Rust source: the migrations, the page at `/docs`, and the commit it is built from.

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

const OURS: &str = "src/http/openapi/swagger_ui/start.js";

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo looks at Rust sources only.
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={OURS}");
    say_what_is_built()?;
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

/// The commit, where the build was told (`SHAKERQUEUE_REVISION`): sources alone don't say which they are.
fn say_what_is_built() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=SHAKERQUEUE_REVISION");
    let version = env::var("CARGO_PKG_VERSION")?;
    let given = env::var("SHAKERQUEUE_REVISION").ok();
    let revision = given.filter(|revision| !["", "unknown"].contains(&revision.as_str()));
    let whole = revision.as_ref().map_or(version.clone(), |revision| format!("{version} ({revision})"));
    println!("cargo::rustc-env=VERSION_AND_REVISION={whole}");
    println!("cargo::rustc-env=REVISION={}", revision.as_deref().unwrap_or("unknown"));
    Ok(())
}
