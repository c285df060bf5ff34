//! The certificate that new TLS sessions show, and its key, read from two files in PEM (RFC 7468).
//!
//! **Invariants**
//! - An [`Identity`] exists only if every certificate of its chain was parsed, the first of them
//!   belongs to the key, and the key can sign. So files that would break handshakes are refused
//!   before they replace files that work.
//! - No byte of a file is in an error: it may be part of the key.
//!
//! It does not know when the files are read again, nor any connection.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::ring;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, ProducesTickets};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{CertificateError, Error, RootCertStore, ServerConfig};

use crate::net::files::read_regular;

/// The certificate, its key, and the other settings that new sessions are made from.
#[derive(Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
    /// The end of the certificate, in seconds since 1970 UTC.
    expiry: Option<u64>,
}

impl Identity {
    /// Reads a certificate with its chain, and its key. This blocks on the disk.
    ///
    /// # Errors
    /// One sentence for the operator that names the option with the wrong file.
    pub fn load(certificate: &Path, key: &Path) -> Result<Identity, String> {
        let tickets =
            ring::Ticketer::new().map_err(|error| format!("no keys for tickets: {error}"))?;
        Identity::with_tickets(certificate, key, tickets)
    }

    /// Reads the same files again. Tickets that were given out before stay valid.
    ///
    /// # Errors
    /// Those of [`Identity::load`]; this identity can still be used.
    pub fn reload(&self, certificate: &Path, key: &Path) -> Result<Identity, String> {
        Identity::with_tickets(certificate, key, Arc::clone(&self.config.ticketer))
    }

    /// Returns the settings of a new session.
    pub(super) fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Returns the end of the certificate, in seconds since 1970 UTC.
    pub fn expiry(&self) -> Option<u64> {
        self.expiry
    }

    fn with_tickets(
        certificate: &Path,
        key: &Path,
        tickets: Arc<dyn ProducesTickets>,
    ) -> Result<Identity, String> {
        let in_file = |option: &str, path: &Path, fault: String| {
            format!("{option}: {} {fault}", path.display())
        };
        let chain = read_pem(certificate)
            .and_then(|pem| chain(&pem))
            .map_err(|fault| in_file("--tls-cert", certificate, fault))?;
        let secret = read_pem(key)
            .and_then(|pem| signing_key(&pem))
            .map_err(|fault| in_file("--tls-key", key, fault))?;
        match position_of_leaf(&chain, &*secret) {
            Some(0) => {}
            Some(at) => {
                let fault = format!(
                    "has the certificate of the key at position {}: put it first, and its chain \
                     behind it",
                    at + 1
                );
                return Err(in_file("--tls-cert", certificate, fault));
            }
            None => return Err("--tls-key is not the key of a certificate in --tls-cert".into()),
        }
        let expiry = chain.first().and_then(expiry);
        let resolver = SingleCertAndKey::from(CertifiedKey::new(chain, secret));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("--tls-cert and --tls-key cannot be used: {error}"))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // The state of a session to resume is in the client's ticket; none is kept here.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = tickets;
        Ok(Identity { config: Arc::new(config), expiry })
    }
}

/// Reads a file in PEM, and puts each section on lines of its own.
///
/// The parser ignores a section if other bytes stand in front of its first line. Files come like
/// this: joined without a line break between them, indented, or with a byte order mark in front of
/// each.
fn read_pem(path: &Path) -> Result<String, String> {
    let bytes = read_regular(path).map_err(|error| format!("cannot be read: {error}"))?;
    Ok(String::from_utf8_lossy(&bytes).replace("-----BEGIN ", "\n-----BEGIN "))
}

/// Returns all certificates of a file in PEM, or the fault of the file.
fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let position = chain.len() + 1;
        let certificate = certificate.map_err(|_| {
            format!("has a section that is damaged or cut off, around certificate {position}")
        })?;
        if ParsedCertificate::try_from(&certificate).is_err() {
            return Err(format!(
                "has a certificate that is damaged, or not X.509 version 3, at position {position}"
            ));
        }
        chain.push(certificate);
    }
    if chain.is_empty() { Err("holds no certificate in PEM".into()) } else { Ok(chain) }
}

/// Returns the first key of a file in PEM, or the fault of the file.
fn signing_key(pem: &str) -> Result<Arc<dyn SigningKey>, String> {
    // RFC 7468, 11; and RFC 1421, 4.6.1.1, which OpenSSL still writes.
    if pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY") || pem.contains("Proc-Type: 4,ENCRYPTED") {
        return Err("holds a key encrypted with a passphrase, which sotto cannot ask for: \
                    decrypt it with `openssl pkey -in FILE -out NEWFILE`"
            .into());
    }
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| match error {
        PemError::NoItemsFound => "holds no key in PEM",
        _ => "is damaged or cut off",
    })?;
    ring::sign::any_supported_type(&key).map_err(|_| {
        "holds a damaged key, or one of a kind that is not supported: supported are RSA with 2048 \
         to 4096 bits, ECDSA on the curves P-256 and P-384, and Ed25519"
            .into()
    })
}

/// Returns the index of the certificate that belongs to the key.
fn position_of_leaf(chain: &[CertificateDer<'_>], key: &dyn SigningKey) -> Option<usize> {
    let public = key.public_key()?;
    chain.iter().position(|certificate| {
        ParsedCertificate::try_from(certificate)
            .is_ok_and(|parsed| parsed.subject_public_key_info() == public)
    })
}

/// Returns the end of a certificate, in seconds since 1970 UTC.
///
/// No public function of rustls returns it. But its verifier says it of a certificate that has
/// ended, before it looks for trust; so it is asked about the end of time, trusting nobody.
fn expiry(certificate: &CertificateDer<'_>) -> Option<u64> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let end_of_time = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    let verdict = verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &RootCertStore::empty(),
        &[],
        end_of_time,
        &[],
    );
    match verdict {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Some(not_after.as_secs())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
