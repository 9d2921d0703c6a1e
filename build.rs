//! Cargo looks at Rust sources only; the migrations become part of the executable too.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
