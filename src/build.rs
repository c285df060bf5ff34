//! The build script: it compresses the page, so that the program holds it as it goes over the wire.
//!
//! Each file of `www/` becomes one of the same name in the build's own folder, as gzip (RFC 1952).
//! Pictures that are compressed already would grow, so they stay as they are.

use std::path::Path;
use std::{env, fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=www");
    println!("cargo::rerun-if-changed=src/build.rs");
    let root = env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?;
    let out = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    for entry in fs::read_dir(Path::new(&root).join("www"))? {
        let path = entry?.path();
        let Some(name) = path.file_name() else { continue };
        let mut bytes = fs::read(&path)?;
        if path.extension().is_none_or(|ending| ending != "png") {
            bytes = gzip(&bytes)?;
        }
        fs::write(Path::new(&out).join(name), bytes)?;
    }
    Ok(())
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    io::copy(&mut &*bytes, &mut encoder)?;
    encoder.finish()
}
