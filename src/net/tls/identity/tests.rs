//! Files of certificates and keys as tools and operators make them: one line per case.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::*;

/// The files of a root, an intermediate and a leaf that it issued, each made by openssl.
struct Pems {
    root: String,
    intermediate: String,
    leaf: String,
    key: String,
}

fn pems() -> &'static Pems {
    static PEMS: OnceLock<Pems> = OnceLock::new();
    PEMS.get_or_init(|| {
        let folder = Folder::new("chain");
        let make = |name: &str, issuer: &str, ca: &str| {
            let [pem, key] = ["pem", "key"].map(|end| format!("{name}.{end}"));
            let mut arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
                -out PEM -keyout KEY -subj /CN=NAME -addext basicConstraints=critical,CA:ISCA"
                .replace("PEM", &pem)
                .replace("KEY", &key)
                .replace("NAME", name)
                .replace("ISCA", ca);
            if issuer != name {
                arguments += &format!(" -CA {issuer}.pem -CAkey {issuer}.key");
            }
            folder.openssl(&arguments);
            folder.text(&pem)
        };
        let root = make("root", "root", "TRUE");
        let intermediate = make("intermediate", "root", "TRUE");
        let leaf = make("leaf", "intermediate", "FALSE");
        Pems { root, intermediate, leaf, key: folder.text("leaf.key") }
    })
}

/// A folder under the system's temporary one, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("sotto-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command.args(arguments.split_whitespace()).current_dir(&self.0).stderr(Stdio::null());
        assert!(command.status().expect("openssl: tests/run installs it").success(), "{arguments}");
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).expect("openssl made it")
    }

    /// Loads an identity from files with these contents.
    fn load(&self, certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<usize, String> {
        let [cert_file, key_file] = ["cert.pem", "key.pem"].map(|name| self.0.join(name));
        fs::write(&cert_file, certificate).expect("it is ours");
        fs::write(&key_file, key).expect("it is ours");
        Identity::load(&cert_file, &key_file)?;
        Ok(read_pem(&cert_file).and_then(|pem| chain(&pem))?.len())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Puts other bytes in front of the content of a file; they are well-formed base64.
fn damaged(pem: &str) -> String {
    pem.replacen("-----\n", "-----\nAAAA\n", 1)
}

#[test]
fn every_certificate_of_a_file_is_taken_however_it_is_joined() {
    let folder = Folder::new("joined");
    let Pems { root, intermediate, leaf, key } = pems();
    let check = |file: String, certificates| {
        assert_eq!(folder.load(&file, key), Ok(certificates), "{file}");
    };
    check(leaf.clone(), 1);
    check([&leaf[..], intermediate].concat(), 2);
    check([&leaf[..], intermediate, root].concat(), 3);
    check([leaf.trim_end(), intermediate.trim_end(), root].concat(), 3);
    check(["\u{feff}", leaf, "\u{feff}", intermediate].concat(), 2);
    check(["\u{feff}", leaf.trim_end(), "\u{feff}", intermediate].concat(), 2);
    check([&leaf[..], "  ", intermediate].concat(), 2);
    check([&leaf[..], intermediate].concat().replace('\n', "\r\n"), 2);
    check(["Subject: CN = leaf\n", leaf, "\nthe issuer:\n", intermediate].concat(), 2);
    check([&key[..], leaf, intermediate].concat(), 2);
    let in_latin_1 = [b"friendlyName: M\xfcller\n", leaf.as_bytes()].concat();
    assert_eq!(folder.load(in_latin_1, ["\u{feff}", key].concat()), Ok(1));
    assert_eq!(folder.load(leaf, [leaf.trim_end(), key].concat()), Ok(1));
}

#[test]
fn certificate_file_that_would_break_handshakes_is_refused() {
    let folder = Folder::new("faulty");
    let Pems { root, intermediate, leaf, key } = pems();
    let check = |file: String, words: &str| {
        let sentence = folder.load(&file, key).expect_err(words);
        assert!(sentence.contains(words) && sentence.starts_with("--tls-cert: "), "{sentence}");
        assert!(sentence.contains("cert.pem") && !sentence.contains('\n'), "{sentence}");
    };
    check(String::new(), "holds no certificate in PEM");
    check(key.clone(), "holds no certificate in PEM");
    let body = intermediate.find('\n').unwrap() + 1;
    let cut = &intermediate[..intermediate.len() / 2];
    check([leaf, cut].concat(), "cut off, around certificate 2");
    let no_base64 = [&intermediate[..body], "!", &intermediate[body..]].concat();
    check([&leaf[..], &no_base64].concat(), "cut off, around certificate 2");
    let other = damaged(intermediate);
    check([&leaf[..], &other].concat(), "not X.509 version 3, at position 2");
    check([&leaf[..], root, &other].concat(), "not X.509 version 3, at position 3");
    check([&intermediate[..], leaf].concat(), "the certificate of the key at position 2: put it");
    check([&root[..], intermediate, leaf].concat(), "of the key at position 3: put it first");
    let sentence = folder.load([&intermediate[..], root].concat(), key).unwrap_err();
    assert_eq!(sentence, "--tls-key is not the key of a certificate in --tls-cert");
}

#[test]
fn file_that_is_not_regular_is_refused_and_not_waited_for() {
    let folder = Folder::new("fifo");
    let fifo = folder.0.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("coreutils").success());
    let sentence = Identity::load(&fifo, &fifo).err().expect("a sentence");
    assert!(sentence.ends_with("cannot be read: it is not a regular file"), "{sentence}");
}

#[test]
fn key_that_cannot_sign_is_refused_with_the_reason() {
    let folder = Folder::new("keys");
    let leaf = &pems().leaf;
    let check = |file: &str, words: &str| {
        let sentence = folder.load(leaf, file).expect_err(words);
        assert!(sentence.contains(words) && sentence.starts_with("--tls-key: "), "{sentence}");
        assert!(sentence.contains("key.pem") && !sentence.contains('\n'), "{sentence}");
    };
    let made = |arguments: &str| {
        folder.openssl(&format!("{arguments} -out made"));
        folder.text("made")
    };
    check("", "holds no key in PEM");
    check(leaf, "holds no key in PEM");
    let key = &pems().key;
    check(&key[..key.len() / 2], "is damaged or cut off");
    check(&damaged(key), "holds a damaged key");
    fs::write(folder.0.join("plain"), key).expect("it is ours");
    check(&made("pkcs8 -topk8 -passout pass:secret -in plain"), "openssl pkey");
    check(&made("ec -aes128 -passout pass:secret -in plain"), "openssl pkey");
    for curve in ["secp521r1", "secp256k1", "brainpoolP256r1"] {
        check(&made(&format!("ecparam -genkey -name {curve}")), "P-256 and P-384");
    }
    check(&made("genpkey -algorithm ed448"), "P-256 and P-384");
    check(&made("genpkey -algorithm x25519"), "P-256 and P-384");
    check(
        &made("genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:1024"),
        "RSA with 2048 to 4096 bits",
    );
    // The key of another certificate, of every kind that is supported.
    for kind in [
        "ecparam -genkey -name prime256v1",
        "ecparam -genkey -name secp384r1",
        "genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048",
        "genpkey -algorithm ed25519",
    ] {
        let sentence = folder.load(leaf, made(kind)).expect_err("the key of another");
        assert_eq!(sentence, "--tls-key is not the key of a certificate in --tls-cert");
    }
}

#[test]
fn end_of_a_certificate_is_that_which_openssl_tells() {
    let folder = Folder::new("expiry");
    for (name, ca, days) in
        [("leaf", "FALSE", 1), ("own-root", "TRUE", 90), ("long", "FALSE", 30_000)]
    {
        folder.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=a -days {days} \
             -out {name}.pem -keyout {name}.key -addext basicConstraints=critical,CA:{ca}"
        ));
        let [certificate, key] = ["pem", "key"].map(|end| folder.0.join(format!("{name}.{end}")));
        let expiry = Identity::load(&certificate, &key).expect("good files").expiry();
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
        let left = expiry.expect("it ends").saturating_sub(now);
        // openssl made it some moments ago.
        assert!((days * 86_400 - 600..=days * 86_400).contains(&left), "{name}: {left} s");
    }
}
