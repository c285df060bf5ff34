//! What fuzzers have found to be worth keeping, given to the same checks again: see `tests/fuzz/`.

#[path = "fuzz/targets.rs"]
mod targets;

/// Gives each file of a corpus to its check.
fn replay(corpus: &str, check: fn(&[u8])) {
    let folder = format!("{}/tests/fuzz/corpus/{corpus}", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("a corpus") {
        let path = entry.expect("an entry").path();
        // Shown when the check fails.
        println!("{}", path.display());
        check(&std::fs::read(&path).expect("a file"));
        count += 1;
    }
    assert!(count > 0, "there is something to replay");
}

#[test]
fn heads() {
    replay("http", targets::http::check);
}

#[test]
fn frames() {
    replay("frames", targets::frames::check);
}

#[test]
fn lines() {
    replay("line", targets::line::check);
}

#[test]
fn turns() {
    replay("turns", targets::turns::check);
}
