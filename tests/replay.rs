//! The inputs that a fuzzer has found worth keeping, given to the same checks again.
//!
//! The checks are in `tests/fuzz/targets/`, the inputs in `tests/fuzz/corpus/`.

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
fn corpus_of_heads_passes_its_check() {
    replay("http", targets::http::check);
}

#[test]
fn corpus_of_frames_passes_its_check() {
    replay("frames", targets::frames::check);
}

#[test]
fn corpus_of_lines_passes_its_check() {
    replay("line", targets::line::check);
}

#[test]
fn corpus_of_turns_passes_its_check() {
    replay("turns", targets::turns::check);
}
