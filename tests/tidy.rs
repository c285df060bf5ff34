//! The habits of this code base, checked by reading its files.
//!
//! **Invariants**
//!
//! - A check fails with `file:line: sentence` for each broken habit, all of them at once.
//! - An exception has its reason beside it.
//!
//! The grammar of Rust is not known here. A check looks at one line at a time, and relies on
//! rustfmt for the ends of items.

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

    /// Returns `true` if the file is for tests or benchmarks only.
    fn is_test(&self) -> bool {
        self.path.split('/').any(|part| ["tests", "tests.rs", "benches"].contains(&part))
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

/// Returns `true` if code has a path into the module `half` of this crate.
fn names(code: &str, half: &str) -> bool {
    code.match_indices(half).any(|(at, _)| {
        let (before, behind) = (&code[..at], &code[at + half.len()..]);
        let is_name = !before.ends_with(is_part_of_name) && !behind.starts_with(is_part_of_name);
        let begins_path = behind.starts_with("::") && !before.ends_with("::");
        let goes_on = ["crate::", "super::", "sotto::"].iter().any(|root| before.ends_with(root));
        is_name && (begins_path || goes_on || before.contains("crate::{"))
    })
}

/// Where the halves meet: the loop, its events, the figures of both, and the program.
const HALLWAY: [&str; 5] =
    ["src/server.rs", "src/server/", "src/event_loop.rs", "src/metrics.rs", "src/bin/"];

#[test]
fn chat_and_net_meet_in_the_hallway_only() {
    check(&sources("src", &[".rs"]), |source| {
        let [chat, net] = ["chat", "net"].map(|half| {
            let sentence = format!("{half} is named here, and only the hallway knows both halves");
            source.complain(&sentence, |code| names(code, half))
        });
        let is_hallway = HALLWAY.iter().any(|start| source.path.starts_with(start));
        match source.path.split(['/', '.']).nth(1) {
            Some("chat") => net,
            Some("net") => chat,
            _ if is_hallway || net.is_empty() => Vec::new(),
            _ => chat,
        }
    });
}

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
    // The service worker and the client of programs are no parts of the page.
    let others = ["sw.js", "client.js", "memory.js"];
    let is_part = |name: &&String| name.ends_with(".js") && !others.contains(&name.as_str());
    let scripts = files.iter().filter(is_part).cloned().collect();
    check_list("src/net/http/assets.rs", &["asset!(\""], &files);
    let starts = [r#"rel="modulepreload" href=""#, r#"<script type="module" src=""#];
    check_list("www/index.html", &starts, &scripts);
}

// ---- sizes ----

const COLUMNS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 700;
const FUNCTION_LINES_MAX: usize = 50;
const TEST_NAME_MAX: usize = 60;
/// Files that may be longer, each with its reason; an exception that is not needed fails, too.
const LONG_FILES: [(&str, &str); 0] = [];

#[test]
fn lines_are_at_most_100_columns_wide() {
    check(&sources("", &[".rs", ".js", ".mjs", ".css", ".md"]), |source| {
        let is_markdown = source.path.ends_with(".md");
        let (mut is_block, mut complaints) = (false, Vec::new());
        for (number, line) in source.lines() {
            is_block ^= is_markdown && line.trim_start().starts_with("```");
            // Tables and commands cannot be broken, nor can addresses. In a test, text from the
            // wire is easier to compare in one line.
            let may_be_wide = is_markdown && (is_block || line.starts_with('|'))
                || line.contains("://")
                || source.is_test() && line.contains(['"', '`']);
            let columns = line.chars().count();
            if columns > COLUMNS_MAX && !may_be_wide {
                complaints.push((number, format!("the line has {columns} columns")));
            }
        }
        complaints
    });
}

#[test]
fn files_are_at_most_700_lines_long() {
    check(&sources("", &[".rs", ".js", ".mjs", ".css", ".html"]), |source| {
        let lines = source.lines().count();
        let is_exception = LONG_FILES.iter().any(|(path, _)| *path == source.path);
        match (lines > FILE_LINES_MAX, is_exception) {
            (true, false) => vec![(lines, format!("{lines} lines: split it by topic"))],
            (false, true) => vec![(lines, "needs no exception in LONG_FILES any more".into())],
            _ => Vec::new(),
        }
    });
}

/// Returns the index of the last line of the item that begins at `start`, by its indentation.
fn end_of_item(lines: &[&str], start: usize) -> usize {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let is_end =
        |line: &&str| line.ends_with(['}', ';']) && indentation(line) == indentation(lines[start]);
    start + lines[start..].iter().position(is_end).expect("rustfmt aligns the end of an item")
}

/// Returns the name of the function that begins on this line.
fn function_name(line: &str) -> Option<&str> {
    let (before, behind) = line.split_once("fn ")?;
    let is_qualifier = |word: &str| word.starts_with("pub") || ["const", "async"].contains(&word);
    let is_item = before.split_whitespace().all(is_qualifier);
    behind.split(['(', '<']).next().filter(|_| is_item)
}

#[test]
fn functions_are_at_most_50_lines_long() {
    check(&sources("src", &[".rs"]), |source| {
        let lines: Vec<&str> = source.text.lines().collect();
        let (mut index, mut complaints) = (0, Vec::new());
        while index < lines.len() && !source.is_test() {
            if lines[index].trim() == "#[cfg(test)]" {
                index = end_of_item(&lines, index + 1);
            } else if let Some(name) = function_name(lines[index]) {
                let length = end_of_item(&lines, index) + 1 - index;
                if length > FUNCTION_LINES_MAX {
                    complaints.push((index + 1, format!("{name} has {length} lines: split it")));
                }
            }
            index += 1;
        }
        complaints
    });
}

// ---- words ----

#[test]
fn test_names_are_at_most_60_characters_long() {
    check(&sources("", &[".rs"]), |source| {
        let (mut is_test, mut complaints) = (false, Vec::new());
        for (number, line) in source.lines() {
            is_test |= line.trim() == "#[test]";
            let name = function_name(line).filter(|_| std::mem::take(&mut is_test));
            if let Some(name) = name.filter(|name| name.len() > TEST_NAME_MAX) {
                complaints.push((number, format!("the name has {} characters", name.len())));
            }
        }
        complaints
    });
}

/// Words that stand in for a noun, and how many of them 1,000 words of comments have at most.
const VAGUE_WORDS: [(&[&str], usize); 2] =
    [(&["who", "whom", "whose", "whoever", "somebody", "nobody"], 1), (&["what", "whatever"], 3)];

/// Returns the words in the comments of a file, each with the number of its line.
fn words(source: &Source) -> Vec<(usize, &str)> {
    let is_markdown = source.path.ends_with(".md");
    let words_of = |(number, line)| {
        let comment = if is_markdown { line } else { code_and_comment(line).1 };
        let words = comment.split(|char: char| !char.is_ascii_alphabetic() && char != '\'');
        words.filter(|word| !word.is_empty()).map(move |word| (number, word))
    };
    source.lines().flat_map(words_of).collect()
}

#[test]
fn comments_name_their_actors_and_things() {
    let sources = sources("src", &[".rs", ".md"]);
    let all: Vec<_> = sources.iter().flat_map(words).collect();
    for (vague, per_thousand) in VAGUE_WORDS {
        let is_vague = |(_, word): &(_, &str)| vague.contains(&&*word.to_lowercase());
        let found = all.iter().filter(|word| is_vague(word)).count();
        println!("{found} of {} words are of {vague:?}", all.len());
        if found * 1000 >= per_thousand * all.len() {
            check(&sources, |source| {
                let vague = words(source).into_iter().filter(is_vague);
                vague.map(|(line, word)| (line, format!("{word:?} instead of a noun"))).collect()
            });
        }
    }
}
