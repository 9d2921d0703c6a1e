//! Adds to the executable what is no Rust source: the migrations, the page at `/docs`, and the commit it is built from.

use flate2::{Compression, write::GzEncoder};
use std::{
    env,
    error::Error,
    fs::{self, File},
    io::{self, Cursor, Read, Write},
    path::Path,
};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// The parts of Swagger UI that the page needs, and the texts that its licence asks to pass on: our name, theirs.
const PARTS: [(&str, &[&str]); 3] = [
    ("swagger-ui-bundle.js", &["dist/swagger-ui-bundle.js"]),
    ("swagger-ui.css", &["dist/swagger-ui.css"]),
    ("licence.txt", &["NOTICE", "LICENSE"]),
];

const START_SCRIPT: &str = "src/http/openapi/swagger_ui/start.js";

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo looks at Rust sources only.
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={START_SCRIPT}");
    name_version()?;
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    // Everything is in a folder that is named by the version.
    let first = archive.name_for_index(0).ok_or("Swagger UI's archive is empty")??.into_owned();
    let folder = first.split('/').next().unwrap_or_default();
    for (name, theirs) in PARTS {
        let mut bytes = Vec::new();
        for file in theirs {
            archive.by_name(&format!("{folder}/{file}"))?.read_to_end(&mut bytes)?;
        }
        keep(name, &bytes)?;
    }
    Ok(keep("start.js", &fs::read(START_SCRIPT)?)?)
}

/// Writes a compressed part of the page to where the sources include it from.
fn keep(name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = env::var_os("OUT_DIR").unwrap_or_default();
    let file = File::create(Path::new(&folder).join(format!("{name}.gz")))?;
    let mut file = GzEncoder::new(file, Compression::best());
    file.write_all(bytes)?;
    file.finish()?.sync_all()
}

/// Passes on the version, and the commit if the build was told (`SHAKERQUEUE_REVISION`): sources alone don't name it.
fn name_version() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=SHAKERQUEUE_REVISION");
    let version = env::var("CARGO_PKG_VERSION")?;
    let given = env::var("SHAKERQUEUE_REVISION").ok();
    let revision = given.filter(|revision| !["", "unknown"].contains(&revision.as_str()));
    let whole = revision.as_ref().map_or(version.clone(), |revision| format!("{version} ({revision})"));
    println!("cargo::rustc-env=VERSION_AND_REVISION={whole}");
    println!("cargo::rustc-env=REVISION={}", revision.as_deref().unwrap_or("unknown"));
    Ok(())
}
