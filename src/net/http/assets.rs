//! The page: the files of `www/`, built into the program, and the security fields of its responses.
//!
//! **Invariants**
//! - Only names in [`FILES`] are looked up, in the program or in a folder, so no path can lead out
//!   of either.
//!
//! It does not know requests, nor how a response is written.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

use data_encoding::HEXLOWER;
use sha1_smol::Sha1;

use crate::net::files::read_regular;

/// The fields that isolate the page, each ending in CRLF, for every response but a 101.
///
/// The policy allows only what the page uses: no inline script or style, no frame around the page,
/// no form sent to a server, and (Trusted Types) no string turned into HTML.
pub const SECURITY_FIELDS: &str = concat!(
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; ",
    "connect-src 'self'; img-src 'self' data:; manifest-src 'self'; worker-src 'self'; ",
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; ",
    "require-trusted-types-for 'script'\r\n",
    "X-Content-Type-Options: nosniff\r\n",
    "Referrer-Policy: no-referrer\r\n",
    "Cross-Origin-Resource-Policy: same-origin\r\n",
    "Cross-Origin-Opener-Policy: same-origin\r\n",
);

/// The name under which the page's version is served, which is no file: a page compares it with its
/// own, and the service worker keeps the files of one version together.
pub const VERSION: &str = "version";

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const PNG: &str = "image/png";
const MANIFEST: &str = "application/manifest+json";

/// Every file of `www/`; a test compares this table with the folder.
pub static FILES: [Asset; 38] = [
    Asset::new("index.html", HTML, include_bytes!("../../../www/index.html")),
    Asset::new("style.css", CSS, include_bytes!("../../../www/style.css")),
    Asset::new("chat.css", CSS, include_bytes!("../../../www/chat.css")),
    Asset::new("main.js", JAVASCRIPT, include_bytes!("../../../www/main.js")),
    Asset::new("store.js", JAVASCRIPT, include_bytes!("../../../www/store.js")),
    Asset::new("state.js", JAVASCRIPT, include_bytes!("../../../www/state.js")),
    Asset::new("conversations.js", JAVASCRIPT, include_bytes!("../../../www/conversations.js")),
    Asset::new("identity.js", JAVASCRIPT, include_bytes!("../../../www/identity.js")),
    Asset::new("outgoing.js", JAVASCRIPT, include_bytes!("../../../www/outgoing.js")),
    Asset::new("unsaved.js", JAVASCRIPT, include_bytes!("../../../www/unsaved.js")),
    Asset::new("search.js", JAVASCRIPT, include_bytes!("../../../www/search.js")),
    Asset::new("signals.js", JAVASCRIPT, include_bytes!("../../../www/signals.js")),
    Asset::new("bounded.js", JAVASCRIPT, include_bytes!("../../../www/bounded.js")),
    Asset::new("protocol.js", JAVASCRIPT, include_bytes!("../../../www/protocol.js")),
    Asset::new("socket.js", JAVASCRIPT, include_bytes!("../../../www/socket.js")),
    Asset::new("history.js", JAVASCRIPT, include_bytes!("../../../www/history.js")),
    Asset::new("saving.js", JAVASCRIPT, include_bytes!("../../../www/saving.js")),
    Asset::new("remembered.js", JAVASCRIPT, include_bytes!("../../../www/remembered.js")),
    Asset::new("tab.js", JAVASCRIPT, include_bytes!("../../../www/tab.js")),
    Asset::new("back.js", JAVASCRIPT, include_bytes!("../../../www/back.js")),
    Asset::new("view.js", JAVASCRIPT, include_bytes!("../../../www/view.js")),
    Asset::new("gestures.js", JAVASCRIPT, include_bytes!("../../../www/gestures.js")),
    Asset::new("list.js", JAVASCRIPT, include_bytes!("../../../www/list.js")),
    Asset::new("log.js", JAVASCRIPT, include_bytes!("../../../www/log.js")),
    Asset::new("row.js", JAVASCRIPT, include_bytes!("../../../www/row.js")),
    Asset::new("dom.js", JAVASCRIPT, include_bytes!("../../../www/dom.js")),
    Asset::new("dates.js", JAVASCRIPT, include_bytes!("../../../www/dates.js")),
    Asset::new("text.js", JAVASCRIPT, include_bytes!("../../../www/text.js")),
    Asset::new("skeleton.js", JAVASCRIPT, include_bytes!("../../../www/skeleton.js")),
    Asset::new("sw.js", JAVASCRIPT, include_bytes!("../../../www/sw.js")),
    Asset::new("version.js", JAVASCRIPT, include_bytes!("../../../www/version.js")),
    Asset::new("words.js", JAVASCRIPT, include_bytes!("../../../www/words.js")),
    Asset::new("attention.js", JAVASCRIPT, include_bytes!("../../../www/attention.js")),
    Asset::new(
        "manifest.webmanifest",
        MANIFEST,
        include_bytes!("../../../www/manifest.webmanifest"),
    ),
    Asset::new("icon.svg", SVG, include_bytes!("../../../www/icon.svg")),
    Asset::new("icon-unread.svg", SVG, include_bytes!("../../../www/icon-unread.svg")),
    Asset::new("icon-192.png", PNG, include_bytes!("../../../www/icon-192.png")),
    Asset::new("icon-512.png", PNG, include_bytes!("../../../www/icon-512.png")),
];

/// A file of `www/`, as it was when the program was built.
pub struct Asset {
    /// The file's name in `www/`: one path segment without a slash.
    pub name: &'static str,
    /// The value of `Content-Type`.
    pub media_type: &'static str,
    /// The file's content.
    pub bytes: &'static [u8],
    /// The entity tag, computed at the first request, because the bytes never change.
    etag: OnceLock<String>,
}

impl Asset {
    const fn new(name: &'static str, media_type: &'static str, bytes: &'static [u8]) -> Asset {
        Asset { name, media_type, bytes, etag: OnceLock::new() }
    }
}

/// The source of the page's files.
pub enum Files {
    /// The program itself.
    BuiltIn,
    /// This folder, read again at each request, for work on the page.
    Folder(PathBuf),
}

/// A file that was found, ready to be served.
#[derive(Debug)]
pub struct File {
    /// The value of `Content-Type`.
    pub media_type: &'static str,
    /// The file's content.
    pub bytes: Cow<'static, [u8]>,
    /// The strong entity tag (RFC 9110, 8.8.3), quotes included; the same content has the same tag.
    pub etag: String,
}

impl Files {
    /// Looks up a file by its exact name; `Ok(None)` if there is none.
    ///
    /// # Errors
    /// If the file is in the folder but cannot be read. Built-in files never fail.
    pub fn find(&self, name: &str) -> io::Result<Option<File>> {
        if name == VERSION {
            return self.version().map(Some);
        }
        let Some(asset) = FILES.iter().find(|asset| asset.name == name) else {
            return Ok(None);
        };
        match self {
            Files::BuiltIn => Ok(Some(built_in(asset))),
            Files::Folder(folder) => match read_regular(&folder.join(asset.name)) {
                Ok(bytes) => Ok(Some(read_now(asset, bytes))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Returns the version of the page: a digest of the tags of all files.
    fn version(&self) -> io::Result<File> {
        let mut tags = String::new();
        for asset in &FILES {
            tags += &self.find(asset.name)?.map_or(String::new(), |file| file.etag);
        }
        let version = etag(tags.as_bytes());
        let bytes = version.trim_matches('"').as_bytes().to_vec().into();
        Ok(File { media_type: TEXT, bytes, etag: version })
    }
}

fn built_in(asset: &'static Asset) -> File {
    File {
        media_type: asset.media_type,
        bytes: Cow::Borrowed(asset.bytes),
        etag: asset.etag.get_or_init(|| etag(asset.bytes)).clone(),
    }
}

fn read_now(asset: &Asset, bytes: Vec<u8>) -> File {
    File { media_type: asset.media_type, etag: etag(&bytes), bytes: Cow::Owned(bytes) }
}

/// Returns the first 64 bits of the content's SHA-1 as an entity tag.
///
/// A tag only tells versions of one file apart, and an attacker able to forge one could change the
/// file, so neither the short length nor SHA-1's weakness matters.
fn etag(bytes: &[u8]) -> String {
    let digest = Sha1::from(bytes).digest().bytes();
    format!("\"{}\"", HEXLOWER.encode(&digest[..8]))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A folder under the system's temporary one, removed when dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("sotto-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn table_holds_every_file_of_www_and_no_other() {
        let www = concat!(env!("CARGO_MANIFEST_DIR"), "/www");
        let mut there: Vec<String> = fs::read_dir(www)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut table: Vec<&str> = FILES.iter().map(|asset| asset.name).collect();
        there.sort();
        table.sort();
        assert_eq!(there, table);
    }

    #[test]
    fn media_type_fits_the_ending_of_each_name() {
        for asset in &FILES {
            let expected = match asset.name.rsplit_once('.').unwrap().1 {
                "html" => "text/html; charset=utf-8",
                "css" => "text/css; charset=utf-8",
                "js" => "text/javascript; charset=utf-8",
                "svg" => "image/svg+xml",
                "png" => "image/png",
                "webmanifest" => "application/manifest+json",
                ending => panic!("no media type is known for .{ending}"),
            };
            assert_eq!(asset.media_type, expected, "{}", asset.name);
        }
    }

    #[test]
    fn security_fields_are_whole_lines() {
        let names: Vec<&str> = SECURITY_FIELDS
            .split_terminator("\r\n")
            .map(|line| line.split_once(": ").unwrap().0)
            .collect();
        assert_eq!(
            names,
            [
                "Content-Security-Policy",
                "X-Content-Type-Options",
                "Referrer-Policy",
                "Cross-Origin-Resource-Policy",
                "Cross-Origin-Opener-Policy",
            ]
        );
        assert!(SECURITY_FIELDS.ends_with("\r\n"));
        assert!(SECURITY_FIELDS.contains(": default-src 'none'; "));
        assert!(!SECURITY_FIELDS.contains("unsafe"));
    }

    #[test]
    fn built_in_file_is_found_by_its_exact_name_only() {
        for asset in &FILES {
            let file = Files::BuiltIn.find(asset.name).unwrap().unwrap();
            assert_eq!(&*file.bytes, asset.bytes);
            assert_eq!(file.etag, etag(asset.bytes));
        }
        for name in ["", "INDEX.HTML", "./index.html", "../Cargo.toml", "index"] {
            assert!(Files::BuiltIn.find(name).unwrap().is_none(), "{name}");
        }
    }

    #[test]
    fn folder_is_read_at_each_request_and_never_left() {
        let folder = Folder::new("anew");
        let files = Files::Folder(folder.0.clone());
        assert!(files.find("main.js").unwrap().is_none());

        fs::write(folder.0.join("main.js"), "one").unwrap();
        let one = files.find("main.js").unwrap().unwrap();
        fs::write(folder.0.join("main.js"), "two").unwrap();
        let two = files.find("main.js").unwrap().unwrap();
        assert_eq!((&*one.bytes, &*two.bytes), (&b"one"[..], &b"two"[..]));
        assert_ne!(one.etag, two.etag);

        fs::write(folder.0.join("secret"), "not served").unwrap();
        assert!(files.find("secret").unwrap().is_none());
    }

    #[test]
    fn name_that_is_no_regular_file_is_an_error_and_not_waited_for() {
        let folder = Folder::new("unreadable");
        let files = Files::Folder(folder.0.clone());
        fs::create_dir(folder.0.join("main.js")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(folder.0.join("style.css")).status();
        assert!(made.unwrap().success());
        std::os::unix::fs::symlink("/dev/zero", folder.0.join("store.js")).unwrap();
        for name in ["main.js", "style.css", "store.js"] {
            assert_eq!(files.find(name).unwrap_err().to_string(), "it is not a regular file");
        }
        // A link to a regular file is followed.
        fs::write(folder.0.join("elsewhere"), "x").unwrap();
        std::os::unix::fs::symlink("elsewhere", folder.0.join("view.js")).unwrap();
        assert_eq!(&*files.find("view.js").unwrap().unwrap().bytes, b"x");
    }

    #[test]
    fn version_changes_with_any_file() {
        let folder = Folder::new("version");
        let files = Files::Folder(folder.0.clone());
        let version = || files.find(VERSION).unwrap().unwrap().bytes;
        let mut seen = vec![version()];
        for (name, text) in [("main.js", "one"), ("main.js", "two"), ("icon.svg", "two")] {
            fs::write(folder.0.join(name), text).unwrap();
            seen.push(version());
            assert_eq!(seen.iter().filter(|earlier| **earlier == version()).count(), 1);
        }
        assert_eq!(Files::BuiltIn.find(VERSION).unwrap().unwrap().bytes.len(), 16);
    }

    #[test]
    fn entity_tag_is_the_beginning_of_the_sha1() {
        assert_eq!(etag(b"abc"), "\"a9993e364706816a\"");
    }
}
