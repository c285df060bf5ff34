//! The habits of this code base, checked by reading its files.
//!
//! **Invariants**
//!
//! - A check fails with `file:line: sentence` for each broken habit, all of them at once.
//!
//! The grammar of Rust is not known here. A check looks at one line at a time.

use std::collections::BTreeSet;
use std::path::Path;

/// Folders with files of git, cargo, npm and the fuzzer, which have other habits.
const FOREIGN_FOLDERS: [&str; 4] = [".git", "target", "node_modules", "corpus"];

/// The number of a line, counted from 1, and a sentence about it.
type Complaint = (usize, String);

/// A file of the repository.
struct Source {
    /// Its path from the root of the repository.
    path: String,
    text: String,
}

impl Source {
    fn read(path: &Path) -> Source {
        let text = std::fs::read_to_string(root().join(path)).expect("text");
        let path = path.strip_prefix(root()).unwrap_or(path);
        Source { path: path.to_str().expect("UTF-8").into(), text }
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// Complains about each line of Rust with such code, comments and quoted text left out.
    fn complain(&self, sentence: &str, is_wrong: impl Fn(&str) -> bool) -> Vec<Complaint> {
        let wrong = self.lines().filter(|(_, line)| is_wrong(&code_and_comment(line).0));
        wrong.map(|(number, _)| (number, sentence.to_owned())).collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Reads all files below a folder that have one of these endings.
fn sources(folder: &str, endings: &[&str]) -> Vec<Source> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_str().expect("UTF-8");
            if path.is_dir() && !FOREIGN_FOLDERS.contains(&name) {
                folders.push(path);
            } else if path.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(Source::read(&path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "{folder} has files that end in {endings:?}");
    found
}

/// Fails with all complaints about all files.
#[track_caller]
fn check(sources: &[Source], complaints: impl Fn(&Source) -> Vec<Complaint>) {
    let mut all = String::new();
    for source in sources {
        for (line, sentence) in complaints(source) {
            all += &format!("\n{}:{line}: {sentence}", source.path);
        }
    }
    assert!(all.is_empty(), "{all}\n");
}

/// Splits a line of Rust into its code, without the text between quotes, and its comment.
fn code_and_comment(line: &str) -> (String, &str) {
    let (mut code, mut is_quoted) = (String::new(), false);
    for (at, char) in line.char_indices() {
        match char {
            '"' if !line[..at].ends_with(['\\', '\'']) => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '/' if line[at..].starts_with("//") => return (code, &line[at + 2..]),
            _ => code.push(char),
        }
    }
    (code, "")
}

fn is_part_of_name(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

// ---- the house ----

#[test]
fn unsafe_stands_in_the_counting_allocator_only() {
    check(&sources("", &[".rs"]), |source| {
        let is_unsafe = |code: &str| code.split(|c| !is_part_of_name(c)).any(|w| w == "unsafe");
        let complaints = source.complain("only tests/alloc.rs may use `unsafe`", is_unsafe);
        if source.path == "tests/alloc.rs" { Vec::new() } else { complaints }
    });
}

/// Checks that lines of a file name each of these files of `www/` once, behind one of `starts`.
fn check_list(path: &str, starts: &[&str], expected: &BTreeSet<String>) {
    check(&[Source::read(path.as_ref())], |list| {
        let (mut missing, mut complaints) = (expected.clone(), Vec::new());
        for (number, line) in list.lines() {
            let behind = starts.iter().find_map(|start| Some(line.split_once(start)?.1));
            let name = behind.and_then(|text| text.split('"').next());
            if let Some(name) = name.filter(|name| !missing.remove(*name)) {
                complaints.push((number, format!("{name} is twice here, or not in www/")));
            }
        }
        complaints.extend(missing.iter().map(|name| (1, format!("www/{name} is missing here"))));
        complaints
    });
}

#[test]
fn page_is_served_and_preloaded_file_by_file() {
    let entries = std::fs::read_dir(root().join("www")).expect("a folder");
    let name = |entry: std::fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
    let files: BTreeSet<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
    let scripts = files.iter().filter(|name| name.ends_with(".js")).cloned().collect();
    check_list("src/net/http/assets.rs", &["/www/"], &files);
    let starts = [r#"rel="modulepreload" href="/"#, r#"<script type="module" src="/"#];
    check_list("www/index.html", &starts, &scripts);
}
