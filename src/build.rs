//! The build script: it compresses the page, so that the program holds it as it goes over the wire,
//! makes one file of the client and its modules, and writes the tables of `chat/protocol/nfc.rs`.
//! To link the library that makes them would take two crates more than the program may have. It
//! also has the linker make the program shorter.
//!
//! It does not know the code that uses its files, which lie in the build's own folder.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, compose, decompose_canonical};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=www");
    println!("cargo::rerun-if-changed=src/build.rs");
    pack_relocations();
    fold_identical_functions();
    let [root, out] = ["CARGO_MANIFEST_DIR", "OUT_DIR"].map(env::var_os);
    let root = PathBuf::from(root.ok_or(io::ErrorKind::NotFound)?);
    let out = PathBuf::from(out.ok_or(io::ErrorKind::NotFound)?);
    compress(&root.join("www"), &out)?;
    fs::write(out.join("nfc.rs"), nfc_tables())
}

/// Has the linker pack the relocations of the program (`DT_RELR`): mostly those of vtables and
/// constants, each one bit instead of 24 bytes. The program is 22,400 bytes shorter.
///
/// The program then needs glibc 2.36, so a machine with an older one builds it as before. musl's
/// loaders differ, and a loader that ignores the table would crash.
fn pack_relocations() {
    let is_same = env::var("HOST").ok() == env::var("TARGET").ok();
    let is_linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    let glibc = || {
        let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    };
    let is_glibc = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    if is_same && is_linux && is_glibc && glibc().is_some_and(|version| version >= (2, 36)) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Has the linker keep one of several functions with equal code, most of them copies of a generic
/// function for different types. The program is 8,300 bytes shorter.
///
/// lld does it, which Rust brings along for most targets; ld does not. So the linker is asked, by
/// an empty program.
fn fold_identical_functions() {
    const ARGUMENT: &str = "-Wl,--icf=all";
    let links = || {
        let [rustc, target, out] = ["RUSTC", "TARGET", "OUT_DIR"].map(env::var_os);
        let mut command = Command::new(rustc?);
        command.args(["-", "--crate-name=probe", "--out-dir"]).arg(out?);
        command.arg("--target").arg(target?).args(["-C", &format!("link-arg={ARGUMENT}")]);
        if let Ok(linker) = env::var("RUSTC_LINKER") {
            command.args(["-C", &format!("linker={linker}")]);
        }
        let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
        command.args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        child.stdin.take()?.write_all(b"fn main() {}").ok()?;
        Some(child.wait().ok()?.success())
    };
    // Elsewhere, each function is to have a name of its own in a backtrace.
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if is_release && links() == Some(true) {
        println!("cargo::rustc-link-arg-bins={ARGUMENT}");
    }
}

/// Writes each file of the page as gzip (RFC 1952), under its own name, without its comments, which
/// are a quarter of it, and without indentation, which is a fiftieth. Zopfli finds a shorter form
/// than zlib does, by a fortieth. Pictures that are compressed
/// already would grow, so they stay as they are.
fn compress(www: &Path, out: &Path) -> io::Result<()> {
    for entry in fs::read_dir(www)? {
        let path = entry?.path();
        let Some(name) = path.file_name() else { continue };
        let content = fs::read(&path)?;
        let bytes = match path.extension().and_then(|ending| ending.to_str()) {
            Some("png") => content,
            Some("js" | "css" | "html") => {
                let text = if name == "client.js" {
                    without_types(&condensed(&bundle(www, "client.js", &mut Vec::new())?))
                } else {
                    condensed(&String::from_utf8(content).map_err(io::Error::other)?)
                };
                gzip(text.as_bytes())?
            }
            _ => gzip(&content)?,
        };
        fs::write(out.join(name), bytes)?;
    }
    Ok(())
}

/// Returns a module as one piece with those that it imports: each once, behind its own imports, and
/// without `export` but for the module itself. Programs fetch one file.
fn bundle(www: &Path, name: &str, done: &mut Vec<String>) -> io::Result<String> {
    let (mut imported, mut own) = (String::new(), String::new());
    let mut is_import = false;
    for line in fs::read_to_string(www.join(name))?.lines() {
        is_import |= line.starts_with("import ");
        if !is_import {
            own += &format!("{line}\n");
        } else if let Some((_, from)) = line.split_once("from \"./") {
            is_import = false;
            let module = from.trim_end_matches("\";");
            if !done.iter().any(|one| one == module) {
                done.push(module.to_owned());
                imported += &bundle(www, module, done)?.replace("\nexport ", "\n");
            }
        }
    }
    Ok(imported + &own)
}

/// Leaves out empty lines, as no line of a bundle has the number that it has in `www/`, and the
/// types inside lines.
fn without_types(text: &str) -> String {
    let without = |line: &str| match (line.find("/** @type"), line.find("*/ ")) {
        (Some(start), Some(end)) => format!("{}{}\n", &line[..start], &line[end + 3..]),
        _ => format!("{line}\n"),
    };
    text.lines().filter(|line| !line.is_empty()).map(without).collect()
}

/// Empties the lines that are nothing but comments, and takes the indentation from all others. Each
/// stays at its number, so an error in a browser's console leads to the right line of `www/`.
fn condensed(text: &str) -> String {
    let mut block_end: Option<&str> = None;
    let line_left = |line: &str| {
        let trimmed = line.trim();
        if let Some(end) = block_end {
            block_end = Some(end).filter(|end| !trimmed.ends_with(*end));
            return "\n".to_owned();
        }
        let end = [("/*", "*/"), ("<!--", "-->")]
            .into_iter()
            .find(|(start, _)| trimmed.starts_with(start));
        match end {
            Some((_, end)) if !trimmed.contains(end) => block_end = Some(end),
            Some((_, end)) if trimmed.ends_with(end) => {}
            _ if trimmed.starts_with("//") => {}
            _ => return format!("{trimmed}\n"),
        }
        "\n".to_owned()
    };
    text.lines().map(line_left).collect()
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, bytes, &mut out)?;
    Ok(out)
}

/// Returns the tables of Unicode normalization form C (UAX 15), as Rust.
fn nfc_tables() -> String {
    let chars = || '\u{300}'..=char::MAX;
    let is_hangul = |char: char| ('\u{ac00}'..='\u{d7a3}').contains(&char);
    let never = chars().filter(|char| char.nfc().ne([*char])).map(|char| (char, 0));
    let classes = chars().map(|char| (char, canonical_combining_class(char)));
    let mut text = String::new();
    push_ranges(&mut text, "NEVER", never);
    push_ranges(&mut text, "CLASSES", classes.filter(|(_, class)| *class > 0));
    let mut pairs: Vec<(u32, u32)> = ('\0'..=char::MAX)
        .filter(|char| !is_hangul(*char))
        .filter_map(pair)
        .map(|(first, second)| (first.into(), second.into()))
        .collect();
    pairs.sort_unstable();
    let (short, long): (Vec<_>, Vec<_>) =
        pairs.into_iter().partition(|(first, second)| *first.max(second) <= u16::MAX.into());
    writeln!(text, "const PAIRS: &[(u16, u16)] = &{short:?};").expect("a string takes all");
    writeln!(text, "const LONG_PAIRS: &[(u32, u32)] = &{long:?};").expect("a string takes all");
    text
}

/// Returns the two characters that are written as this one in form C, if there are such.
fn pair(char: char) -> Option<(char, char)> {
    let mut parts = Vec::new();
    decompose_canonical(char, |part| parts.push(part));
    let second = parts.pop()?;
    let mut first = parts.into_iter().nfc();
    let pair = (first.next()?, second);
    (compose(pair.0, pair.1) == Some(char)).then_some(pair)
}

/// Appends a table of ranges, each with the value that its characters have in common: a range is
/// one number, with the first character from bit 11 on, how many follow it in bits 8 to 10, and the
/// value in bits 0 to 7.
fn push_ranges(text: &mut String, name: &str, values: impl Iterator<Item = (char, u8)>) {
    let mut ranges: Vec<(u32, u32, u8)> = Vec::new();
    for (char, value) in values {
        match ranges.last_mut() {
            Some((first, more, known))
                if *known == value && *more < 7 && *first + *more + 1 == char as u32 =>
            {
                *more += 1;
            }
            _ => ranges.push((char as u32, 0, value)),
        }
    }
    let packed: Vec<u32> = ranges
        .into_iter()
        .map(|(first, more, value)| first << 11 | more << 8 | u32::from(value))
        .collect();
    writeln!(text, "const {name}: &[u32] = &{packed:?};").expect("a string takes all");
}
