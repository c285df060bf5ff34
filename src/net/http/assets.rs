//! The page: the files of `www/`, built into the program, and the security fields of its responses.
//!
//! **Invariants**
//! - Only names in [`FILES`] are looked up, in the program or in a folder, so no path can lead out
//!   of either.
//! - The build script (`src/build.rs`) takes comments and indentation out of the files, makes one
//!   module of `client.js` and its imports, and compresses every file but those that are compressed
//!   already. A file is decompressed once at most, when the first client without gzip asks for it.
//!
//! It does not know requests, nor how a response is written.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

use data_encoding::HEXLOWER;
use sha1_smol::Sha1;
use zune_inflate::DeflateDecoder;

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

/// The first bytes of every gzip file (RFC 1952, 2.3.1). No file of the page begins with them.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// The header that the build script writes in front of the compressed bytes (RFC 1952, 2.3). The
/// checksum behind them is for the way to a browser.
const GZIP_HEADER_BYTES: usize = 10;

macro_rules! asset {
    ($name:literal, $media_type:ident) => {
        Asset::new($name, $media_type, include_bytes!(concat!(env!("OUT_DIR"), "/", $name)))
    };
}

/// The client of programs: the page does without it, and pages of other origins may load it.
const CLIENT: &str = "client.js";

/// Every file of `www/`; a test compares this table with the folder.
pub static FILES: [Asset; 55] = [
    asset!("index.html", HTML),
    asset!("style.css", CSS),
    asset!("chat.css", CSS),
    asset!("main.js", JAVASCRIPT),
    asset!("store.js", JAVASCRIPT),
    asset!("state.js", JAVASCRIPT),
    asset!("conversations.js", JAVASCRIPT),
    asset!("identity.js", JAVASCRIPT),
    asset!("outgoing.js", JAVASCRIPT),
    asset!("sends.js", JAVASCRIPT),
    asset!("unsaved.js", JAVASCRIPT),
    asset!("arrivals.js", JAVASCRIPT),
    asset!("trust.js", JAVASCRIPT),
    asset!("ledger.js", JAVASCRIPT),
    asset!("search.js", JAVASCRIPT),
    asset!("signals.js", JAVASCRIPT),
    asset!("bounded.js", JAVASCRIPT),
    asset!("protocol.js", JAVASCRIPT),
    asset!("ids.js", JAVASCRIPT),
    asset!("socket.js", JAVASCRIPT),
    asset!("post.js", JAVASCRIPT),
    asset!("diagnosis.js", JAVASCRIPT),
    asset!("keyring.js", JAVASCRIPT),
    asset!("vault.js", JAVASCRIPT),
    asset!("sealed.js", JAVASCRIPT),
    asset!("card.js", JAVASCRIPT),
    asset!("hpke.js", JAVASCRIPT),
    asset!("bytes.js", JAVASCRIPT),
    asset!("history.js", JAVASCRIPT),
    asset!("saving.js", JAVASCRIPT),
    asset!("remembered.js", JAVASCRIPT),
    asset!("scope.js", JAVASCRIPT),
    asset!("tab.js", JAVASCRIPT),
    asset!("back.js", JAVASCRIPT),
    asset!("view.js", JAVASCRIPT),
    asset!("gestures.js", JAVASCRIPT),
    asset!("list.js", JAVASCRIPT),
    asset!("log.js", JAVASCRIPT),
    asset!("row.js", JAVASCRIPT),
    asset!("dom.js", JAVASCRIPT),
    asset!("qr.js", JAVASCRIPT),
    asset!("dates.js", JAVASCRIPT),
    asset!("text.js", JAVASCRIPT),
    asset!("skeleton.js", JAVASCRIPT),
    asset!("sw.js", JAVASCRIPT),
    asset!("version.js", JAVASCRIPT),
    asset!("words.js", JAVASCRIPT),
    asset!("attention.js", JAVASCRIPT),
    asset!("client.js", JAVASCRIPT),
    asset!("memory.js", JAVASCRIPT),
    asset!("manifest.webmanifest", MANIFEST),
    asset!("icon.svg", SVG),
    asset!("icon-unread.svg", SVG),
    asset!("icon-192.png", PNG),
    asset!("icon-512.png", PNG),
];

/// A file of `www/`, as it was when the program was built.
pub struct Asset {
    /// The file's name in `www/`: one path segment without a slash.
    pub name: &'static str,
    /// The value of `Content-Type`.
    pub media_type: &'static str,
    /// The file as the build script left it: as gzip, or as it is.
    stored: &'static [u8],
    /// Made at the first request. A pointer, because the program has each byte of this table in it:
    /// with the values in their places it was 3,400 bytes longer.
    derived: OnceLock<Box<Derived>>,
}

/// Values computed from a file.
#[derive(Default)]
struct Derived {
    /// The content of a compressed file. Kept, so that clients without gzip cannot take memory for
    /// each of their requests.
    plain: OnceLock<Vec<u8>>,
    /// The entity tag of each [`Coding`], computed at the first request for it.
    etags: [OnceLock<String>; 2],
}

/// A content coding (RFC 9110, 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// Compressed as gzip.
    Gzip,
}

impl Asset {
    const fn new(name: &'static str, media_type: &'static str, stored: &'static [u8]) -> Asset {
        Asset { name, media_type, stored, derived: OnceLock::new() }
    }

    fn derived(&self) -> &Derived {
        self.derived.get_or_init(Box::default)
    }

    /// Returns `true` if the build script has compressed this file.
    fn is_gzip(&self) -> bool {
        self.stored.starts_with(GZIP_MAGIC)
    }

    /// Returns the file's content, as it is in `www/` but for comments; `client.js` comes together
    /// with the modules that it imports.
    pub fn content(&self) -> &[u8] {
        if !self.is_gzip() {
            return self.stored;
        }
        // The bytes are our own, and a test decompresses all of them.
        let compressed = &self.stored[GZIP_HEADER_BYTES..];
        self.derived()
            .plain
            .get_or_init(|| DeflateDecoder::new(compressed).decode_deflate().unwrap_or_default())
    }

    fn file(&'static self, accepted: Coding) -> File {
        let has_gzip = self.is_gzip();
        let coding = if has_gzip { accepted } else { Coding::Identity };
        let bytes = match coding {
            Coding::Gzip => self.stored,
            Coding::Identity => self.content(),
        };
        File {
            media_type: self.media_type,
            bytes: Cow::Borrowed(bytes),
            etag: self.derived().etags[coding as usize].get_or_init(|| etag(bytes)).clone(),
            coding,
            has_gzip,
            is_public: self.name == CLIENT,
        }
    }
}

/// The source of the page's files.
#[derive(Clone)]
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
    /// The file's content, in its coding.
    pub bytes: Cow<'static, [u8]>,
    /// The strong entity tag (RFC 9110, 8.8.3), quotes included; the same bytes have the same tag.
    pub etag: String,
    /// The coding of the bytes.
    pub coding: Coding,
    /// The file is served in both codings, so the answer depends on the client.
    pub has_gzip: bool,
    /// Pages of other origins may load it (CORS).
    pub is_public: bool,
}

impl Files {
    /// Looks up a file by its exact name, in the coding that the client accepts; `Ok(None)` if
    /// there is none. A file of a folder comes as it is.
    ///
    /// # Errors
    /// If the file is in the folder but cannot be read. Built-in files never fail.
    pub fn find(&self, name: &str, accepted: Coding) -> io::Result<Option<File>> {
        if name == VERSION {
            return self.version().map(Some);
        }
        let Some(asset) = FILES.iter().find(|asset| asset.name == name) else {
            return Ok(None);
        };
        match self {
            Files::BuiltIn => Ok(Some(asset.file(accepted))),
            Files::Folder(folder) => match read_regular(&folder.join(asset.name)) {
                Ok(bytes) => Ok(Some(read_now(asset, bytes))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Returns the SHA-256 of each file as a client without gzip gets it, one a line, in the format
    /// of `sha256sum`.
    ///
    /// # Errors
    /// One sentence for the operator, if a file of a folder cannot be read.
    pub fn sums(&self) -> Result<String, String> {
        let mut sums = String::new();
        for Asset { name, .. } in &FILES {
            let found = self.find(name, Coding::Identity);
            if let Some(file) = found.map_err(|error| format!("cannot read {name}: {error}"))? {
                let hash = hmac_sha256::Hash::hash(&file.bytes);
                sums += &format!("{}  {name}\n", HEXLOWER.encode(&hash));
            }
        }
        Ok(sums)
    }

    /// Returns the version of the page: a digest of the tags of all files. Those are the tags
    /// of the compressed files, so nothing is decompressed.
    fn version(&self) -> io::Result<File> {
        let mut tags = String::new();
        for asset in &FILES {
            tags += &self.find(asset.name, Coding::Gzip)?.map_or(String::new(), |file| file.etag);
        }
        let version = etag(tags.as_bytes());
        Ok(File {
            media_type: TEXT,
            bytes: version.trim_matches('"').as_bytes().to_vec().into(),
            etag: version,
            coding: Coding::Identity,
            has_gzip: false,
            is_public: false,
        })
    }
}

fn read_now(asset: &Asset, bytes: Vec<u8>) -> File {
    File {
        media_type: asset.media_type,
        etag: etag(&bytes),
        bytes: Cow::Owned(bytes),
        coding: Coding::Identity,
        has_gzip: false,
        is_public: asset.name == CLIENT,
    }
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
    use std::io::Read;

    use super::*;

    /// The most bytes of the page on its way to a browser that has none of it. On a slow line of
    /// 1 Mbit/s they take 0.56 s.
    const PAGE_BYTES_MAX: usize = 70_000;

    /// The most bytes of the client on its way to a page.
    const CLIENT_BYTES_MAX: usize = 6 * 1024;

    /// Decompresses as a browser does, with header and checksum.
    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
        plain
    }

    /// Checks that a file is the one in `www/` but for comments, line by line.
    fn check_lines(name: &str, built: &[u8], there: &[u8]) {
        if ![".js", ".css", ".html"].iter().any(|ending| name.ends_with(ending)) {
            return assert!(built == there, "{name}");
        }
        let [built, there] = [built, there].map(|bytes| str::from_utf8(bytes).unwrap());
        assert_eq!(built.lines().count(), there.lines().count(), "{name}");
        let mut is_in_html_comment = false;
        for (n, (built, there)) in built.lines().zip(there.lines()).enumerate() {
            let begins = |start: &&str| there.trim_start().starts_with(start);
            is_in_html_comment |= begins(&"<!--");
            let is_comment = is_in_html_comment || ["//", "/*", "*"].iter().any(begins);
            let is_whole = built == there.trim() || built.is_empty() && is_comment;
            assert!(is_whole, "{name}, line {}", n + 1);
            is_in_html_comment &= !there.contains("-->");
        }
    }

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
            assert!(Files::BuiltIn.find(asset.name, Coding::Gzip).unwrap().is_some());
        }
        for name in ["", "INDEX.HTML", "./index.html", "../Cargo.toml", "index"] {
            assert!(Files::BuiltIn.find(name, Coding::Gzip).unwrap().is_none(), "{name}");
        }
    }

    #[test]
    fn built_in_file_is_the_one_in_www_in_each_coding() {
        let www = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/www"));
        let mut page_bytes = 0;
        for asset in &FILES {
            let there = fs::read(www.join(asset.name)).unwrap();
            let [plain, gzip] = [Coding::Identity, Coding::Gzip]
                .map(|coding| Files::BuiltIn.find(asset.name, coding).unwrap().unwrap());
            assert_eq!(plain.coding, Coding::Identity);
            let unpacked = match gzip.coding {
                Coding::Gzip => gunzip(&gzip.bytes),
                Coding::Identity => gzip.bytes.to_vec(),
            };
            assert!(unpacked == *plain.bytes, "{}", asset.name);
            if asset.name != CLIENT {
                check_lines(asset.name, &unpacked, &there);
            }
            assert_eq!(gzip.coding == Coding::Gzip, gzip.etag != plain.etag, "{}", asset.name);
            assert_eq!((plain.has_gzip, gzip.has_gzip), (asset.is_gzip(), asset.is_gzip()));
            assert!(gzip.bytes.len() <= there.len(), "{} grew", asset.name);
            assert_eq!([plain.is_public, gzip.is_public], [asset.name == CLIENT; 2]);
            // The service worker comes once the page is there.
            let is_page = asset.is_gzip() && !["sw.js", CLIENT, "memory.js"].contains(&asset.name);
            page_bytes += if is_page { gzip.bytes.len() } else { 0 };
        }
        assert!(page_bytes < PAGE_BYTES_MAX, "{page_bytes} bytes");
    }

    #[test]
    fn client_is_one_module_in_less_than_6_kilobytes() {
        let [plain, gzip] = [Coding::Identity, Coding::Gzip]
            .map(|coding| Files::BuiltIn.find(CLIENT, coding).unwrap().unwrap().bytes);
        assert!(gzip.len() < CLIENT_BYTES_MAX, "{} bytes", gzip.len());
        let text = str::from_utf8(&plain).unwrap();
        let exported: Vec<&str> = text.lines().filter(|line| line.starts_with("export ")).collect();
        let exports = ["class SottoError", "function connect", "class Client"];
        assert_eq!(exported.len(), exports.len(), "{exported:?}");
        for (line, export) in exported.iter().zip(exports) {
            assert!(line.starts_with(&format!("export {export}")), "{line}");
        }
        assert!(!text.lines().any(|line| line.starts_with("import ")));
        for class in ["BoundedMap", "Delay", "Socket", "Sends"] {
            let count = text.matches(&format!("class {class} ")).count();
            assert_eq!(count, 1, "{class}");
        }
    }

    #[test]
    fn folder_is_read_at_each_request_and_never_left() {
        let folder = Folder::new("anew");
        let files = Files::Folder(folder.0.clone());
        assert!(files.find("main.js", Coding::Gzip).unwrap().is_none());

        fs::write(folder.0.join("main.js"), "one").unwrap();
        let one = files.find("main.js", Coding::Gzip).unwrap().unwrap();
        fs::write(folder.0.join("main.js"), "two").unwrap();
        let two = files.find("main.js", Coding::Gzip).unwrap().unwrap();
        assert_eq!((&*one.bytes, &*two.bytes), (&b"one"[..], &b"two"[..]));
        assert_ne!(one.etag, two.etag);

        let two = "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3  main.js\n";
        assert_eq!(files.sums().as_deref(), Ok(two));

        fs::write(folder.0.join("secret"), "not served").unwrap();
        assert!(files.find("secret", Coding::Gzip).unwrap().is_none());
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
            assert_eq!(
                files.find(name, Coding::Gzip).unwrap_err().to_string(),
                "it is not a regular file"
            );
        }
        assert_eq!(
            files.sums().unwrap_err(),
            "cannot read style.css: it is not a regular file",
            "the first of them in the table"
        );
        // A link to a regular file is followed.
        fs::write(folder.0.join("elsewhere"), "x").unwrap();
        std::os::unix::fs::symlink("elsewhere", folder.0.join("view.js")).unwrap();
        assert_eq!(&*files.find("view.js", Coding::Gzip).unwrap().unwrap().bytes, b"x");
    }

    #[test]
    fn version_changes_with_any_file() {
        let folder = Folder::new("version");
        let files = Files::Folder(folder.0.clone());
        let version = || files.find(VERSION, Coding::Gzip).unwrap().unwrap().bytes;
        let mut seen = vec![version()];
        for (name, text) in [("main.js", "one"), ("main.js", "two"), ("icon.svg", "two")] {
            fs::write(folder.0.join(name), text).unwrap();
            seen.push(version());
            assert_eq!(seen.iter().filter(|earlier| **earlier == version()).count(), 1);
        }
        assert_eq!(Files::BuiltIn.find(VERSION, Coding::Gzip).unwrap().unwrap().bytes.len(), 16);
    }

    #[test]
    fn entity_tag_is_the_beginning_of_the_sha1() {
        assert_eq!(etag(b"abc"), "\"a9993e364706816a\"");
    }
}
