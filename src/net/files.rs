//! Files that are read on the loop's thread: those of `--www`, certificate and key, the password,
//! the token of the API.
//!
//! **Invariants**
//! - Nothing here waits for another program.
//!
//! It does not know the content of a file.

use std::fs;
use std::io;
use std::path::Path;

/// Reads a regular file whole.
///
/// # Errors
/// Also for anything else: to open a FIFO would stop the loop until another program writes to it,
/// and a device may have no end.
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.is_file() {
        return fs::read(path);
    }
    Err(io::Error::other("it is not a regular file"))
}

/// Reads the first `bytes_max` bytes of a regular file.
///
/// # Errors
/// Those of [`read_regular`].
#[cfg(any(feature = "host", feature = "api"))]
pub fn read_short(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    use std::io::Read;

    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(bytes_max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(all(test, any(feature = "host", feature = "api")))]
mod tests {
    use super::*;

    #[test]
    fn long_file_is_read_up_to_the_bound_and_no_device_at_all() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/net/files.rs");
        let start = read_short(&source, 8).expect("this file");
        assert_eq!(start, b"//! File");
        assert!(read_short(&source, 1 << 20).expect("this file").len() > 1000);
        assert!(read_short(Path::new("/dev/zero"), 8).is_err());
    }
}
