//! The key that tokens are signed with: a secret, or the public key of the login.
//!
//! **Invariants**
//! - The key fixes the algorithm. So no token chooses how it is checked, and no public key is ever
//!   taken for a secret.
//! - No byte of a secret is in an error.
//!
//! It does not know the claims of a token.

use hmac_sha256::HMAC;

use crate::limits::{AUTH_FILE_BYTES_MAX, AUTH_SECRET_BYTES_MIN};

/// The beginning of a public key in PEM (RFC 7468).
const PUBLIC_KEY: &[u8] = b"-----BEGIN PUBLIC KEY-----";

/// Beginnings of files that hold keys in formats of other programs. Most of these keys are public:
/// as a secret, anybody could sign with them.
const FOREIGN: [&[u8]; 4] = [b"{", b"[", b"ssh-", b"ecdsa-"];

/// A key, with its algorithm.
pub enum Key {
    /// HS256: HMAC with SHA-256 under a shared secret (RFC 7518, 3.2).
    Secret(Vec<u8>),
    /// EdDSA with Ed25519 (RFC 8037), or ES256: ECDSA on P-256 with SHA-256 (RFC 7518, 3.4).
    #[cfg(feature = "tls")]
    Public(public::PublicKey),
}

impl Key {
    /// Reads the bytes of a key file. A line break at the end of a secret is not part of it.
    ///
    /// # Errors
    /// The fault of the file, to be put behind its name.
    pub fn parse(bytes: &[u8]) -> Result<Key, String> {
        let contains = |words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
        if bytes.len() > AUTH_FILE_BYTES_MAX {
            return Err(format!("has more than {AUTH_FILE_BYTES_MAX} bytes"));
        }
        if contains(PUBLIC_KEY) {
            return Key::parse_public(bytes);
        }
        if contains(b"-----BEGIN") {
            return Err("holds PEM, but no PUBLIC KEY: openssl pkey -pubout makes one".into());
        }
        let start = bytes.trim_ascii_start();
        if FOREIGN.iter().any(|foreign| start.starts_with(foreign)) {
            return Err(
                "holds a key in another format: give a secret or a public key in PEM".into()
            );
        }
        let secret = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
        if secret.len() < AUTH_SECRET_BYTES_MIN {
            return Err(format!(
                "holds fewer than {AUTH_SECRET_BYTES_MIN} bytes: openssl rand -hex 32 makes enough"
            ));
        }
        Ok(Key::Secret(secret.into()))
    }

    #[cfg(feature = "tls")]
    fn parse_public(bytes: &[u8]) -> Result<Key, String> {
        public::PublicKey::parse(bytes).map(Key::Public)
    }

    #[cfg(not(feature = "tls"))]
    fn parse_public(_: &[u8]) -> Result<Key, String> {
        Err("holds a public key, which this sotto cannot use: build it with \
             `--features auth,tls`, or give a secret"
            .into())
    }

    /// Returns the name of the algorithm in the header of a token.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Key::Secret(_) => "HS256",
            #[cfg(feature = "tls")]
            Key::Public(key) => key.algorithm(),
        }
    }

    /// Returns `true` if this signature of the message was made with the key. The comparison with a
    /// secret takes constant time.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Key::Secret(secret) => {
                signature.try_into().is_ok_and(|mac| HMAC::verify(message, secret, mac))
            }
            #[cfg(feature = "tls")]
            Key::Public(key) => key.verify(message, signature),
        }
    }
}

/// Public keys, by the cryptography that TLS brings along.
#[cfg(feature = "tls")]
mod public {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
    use rustls::pki_types::SubjectPublicKeyInfoDer;
    use rustls::pki_types::pem::PemObject;

    /// The bytes in front of the key itself in DER (RFC 8410, 4): they name Ed25519.
    const ED25519_PREFIX: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
    /// Likewise (RFC 5480, 2): they name P-256 and, by their end, an uncompressed point.
    const P256_PREFIX: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\
        \x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
    const ED25519_BYTES: usize = 32;
    /// Two coordinates.
    const P256_BYTES: usize = 64;

    pub enum PublicKey {
        Ed25519(UnparsedPublicKey<Vec<u8>>),
        P256(UnparsedPublicKey<Vec<u8>>),
    }

    impl PublicKey {
        pub fn parse(pem: &[u8]) -> Result<PublicKey, String> {
            let der = SubjectPublicKeyInfoDer::from_pem_slice(pem)
                .map_err(|error| format!("holds a PUBLIC KEY that is no PEM: {error}"))?;
            let rest = |prefix, bytes: usize| {
                der.strip_prefix(prefix).filter(|key: &&[u8]| key.len() == bytes)
            };
            if let Some(key) = rest(ED25519_PREFIX, ED25519_BYTES) {
                return Ok(PublicKey::Ed25519(UnparsedPublicKey::new(&ED25519, key.into())));
            }
            if let Some(key) = rest(P256_PREFIX, P256_BYTES) {
                // ring takes the point with the byte that says that it is uncompressed.
                let key = [&[4], key].concat();
                return Ok(PublicKey::P256(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)));
            }
            Err("holds a public key that is neither Ed25519 nor ECDSA on P-256".into())
        }

        pub fn algorithm(&self) -> &'static str {
            match self {
                PublicKey::Ed25519(_) => "EdDSA",
                PublicKey::P256(_) => "ES256",
            }
        }

        pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
            let (PublicKey::Ed25519(key) | PublicKey::P256(key)) = self;
            key.verify(message, signature).is_ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_has_32_bytes_and_no_line_break_at_its_end() {
        let secret = |file: &[u8]| match Key::parse(file) {
            Ok(Key::Secret(secret)) => secret,
            _ => panic!("it is a secret"),
        };
        let text = b"0123456789abcdef0123456789abcdef";
        assert_eq!(secret(text), text);
        assert_eq!(secret(&[text, &b"\n"[..]].concat()), text);
        assert_eq!(secret(&[text, &b"\r\n"[..]].concat()), text);
        assert_eq!(secret(&[text, &b" "[..]].concat()).len(), 33);
        assert_eq!(secret(&[0xff; AUTH_FILE_BYTES_MAX]).len(), AUTH_FILE_BYTES_MAX);
    }

    #[test]
    fn file_that_is_no_key_is_refused_with_its_fault() {
        let check = |file: &[u8], words: &str| {
            let fault = Key::parse(file).err().unwrap_or_else(|| panic!("{words}"));
            assert!(fault.contains(words) && !fault.contains("0123"), "{fault}");
        };
        check(b"", "fewer than 32 bytes");
        check(b"0123456789abcdef0123456789abcde\n", "fewer than 32 bytes");
        check(&[b'x'; AUTH_FILE_BYTES_MAX + 1], "more than 4096 bytes");
        check(b"-----BEGIN PRIVATE KEY-----\n0123\n", "no PUBLIC KEY");
        check(b"x\n-----BEGIN CERTIFICATE-----\n", "no PUBLIC KEY");
        let json = br#" {"kty":"OKP","crv":"Ed25519","x":"0123456789abcdef"}"#;
        check(json, "another format");
        check(b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI0123 a@b", "another format");
        let broken = b"-----BEGIN PUBLIC KEY-----\n0123\n";
        if cfg!(feature = "tls") {
            check(broken, "no PEM");
            let other = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
            check(other, "neither Ed25519 nor");
        } else {
            check(broken, "build it with `--features auth,tls`");
        }
    }
}
