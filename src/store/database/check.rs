//! The check of a store that is not opened, for `sotto --check`.
//!
//! **Invariants**
//! - Nothing is changed or made, and no lock is taken: the check can run beside a server, and as
//!   another user, whose files SQLite would leave behind.
//!
//! It does not know whether the tables are whole: the server checks that when it starts.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{Access, access};

use super::{FILE, check_kind, is_missing, refuse_lone_log};

/// The bytes of a header of SQLite (sqlite.org/fileformat.html, 1.3).
const HEADER_BYTES: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";
/// The places of two numbers in the header: four bytes each, the highest first.
const FORMAT_AT: usize = 60;
const APPLICATION_AT: usize = 68;

/// Returns an error if a server could not use the store in a folder.
pub fn check(folder: &Path) -> Result<(), String> {
    if is_missing(folder)? {
        let parent = folder.parent().filter(|parent| *parent != Path::new(""));
        return check_access(parent.unwrap_or(Path::new(".")), true);
    }
    check_access(folder, true)?;
    let path = folder.join(FILE);
    if is_missing(&path)? {
        return refuse_lone_log(folder);
    }
    check_access(&path, false)?;
    let mut header = [0; HEADER_BYTES];
    let read = File::open(&path).and_then(|mut file| file.read_exact(&mut header));
    let is_sqlite = read.is_ok() && header.starts_with(MAGIC);
    let number = |at| header[at..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let application = if is_sqlite { number(APPLICATION_AT) } else { 0 };
    check_kind(&path, application.into(), number(FORMAT_AT).into())
}

/// Returns an error if this user may not write to a file, or make files in a folder.
fn check_access(path: &Path, is_folder: bool) -> Result<(), String> {
    let shown = path.display();
    if is_folder && !path.is_dir() {
        return Err(format!("{shown} is not a folder: choose another for --store"));
    }
    let wanted = if is_folder { Access::WRITE_OK | Access::EXEC_OK } else { Access::WRITE_OK };
    access(path, wanted | Access::READ_OK)
        .map_err(|error| format!("cannot use {shown} for --store: {error}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::Folder;
    use super::super::{Database, LOG_FILE};
    use super::*;

    #[track_caller]
    fn check_refuses(folder: &Path, words: &str) {
        let sentence = check(folder).expect_err("a fault");
        assert!(sentence.contains(words) && !sentence.contains('\n'), "{sentence}");
    }

    #[test]
    fn check_passes_where_a_server_could_start_or_runs() {
        let Folder(folder) = &Folder::new();
        assert_eq!(check(folder), Ok(()), "it could be made");
        let database = Database::open(folder, &[7; 32]).expect("a new store");
        assert_eq!(check(folder), Ok(()), "a server uses it");
        drop(database);
        let files = || fs::read_dir(folder).expect("a folder").count();
        let before = files();
        assert_eq!((check(folder), files()), (Ok(()), before));
    }

    #[test]
    fn check_refuses_what_a_server_would_refuse() {
        let Folder(folder) = &Folder::new();
        check_refuses(&folder.join("a/b"), "is not a folder");
        fs::create_dir(folder).expect("a folder");
        fs::write(folder.join(LOG_FILE), "a log").expect("a file");
        check_refuses(folder, "is not: put the file back");
        fs::remove_file(folder.join(LOG_FILE)).expect("it is there");
        fs::write(folder.join(FILE), "text").expect("a file");
        check_refuses(folder, "is not a store of sotto");
        check_refuses(&folder.join(FILE), "is not a folder");
        let mut header = [0; HEADER_BYTES];
        header[..MAGIC.len()].copy_from_slice(MAGIC);
        header[APPLICATION_AT..][..4].copy_from_slice(b"sott");
        header[FORMAT_AT + 3] = 99;
        fs::write(folder.join(FILE), header).expect("a file");
        check_refuses(folder, "has format 99");
    }
}
