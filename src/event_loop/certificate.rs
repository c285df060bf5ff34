//! The certificate in use: read at the start and at SIGHUP, and its end foretold.
//!
//! **Invariants**
//! - Files that cannot be used change nothing: new connections get the certificate from before.
//! - From [`EXPIRY_WARNED_BEFORE`] before its end on, the log has a line about it each day.
//!
//! It does not know the syntax of a certificate, nor how TLS is spoken.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use log::{info, warn};

use super::socket::Identity;
use crate::limits::{EXPIRY_LOOKED_AT_EVERY, EXPIRY_WARNED_BEFORE};
use crate::time::Now;

const SECONDS_OF_A_DAY: u64 = 24 * 60 * 60;

/// A certificate with its key, and the files both are read from.
pub struct Tls {
    /// Certificate and key as they were when last read.
    identity: Identity,
    /// The file of the certificate and its chain.
    certificate: PathBuf,
    /// The file of the key.
    key: PathBuf,
    /// The time of the next look at its end. `None`: now.
    look_at: Option<Instant>,
}

impl Tls {
    /// Serves new connections with this identity, which comes from these files.
    pub fn new(identity: Identity, certificate: PathBuf, key: PathBuf) -> Tls {
        Tls { identity, certificate, key, look_at: None }
    }

    /// Returns certificate and key for a new connection.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Reads certificate and key again, for connections to come; open ones keep what they have.
    /// Returns `false` if the files cannot be used.
    ///
    /// This waits for the disk.
    pub fn reload(&mut self) -> bool {
        match self.identity.reload(&self.certificate, &self.key) {
            Ok(new) => {
                (self.identity, self.look_at) = (new, None);
                info!("certificate and key were read anew");
                true
            }
            Err(sentence) => {
                warn!("certificate and key stay as they were: {sentence}");
                false
            }
        }
    }

    /// Returns how long the loop may sleep before the end of the certificate is looked at.
    pub fn sleep(&self, now: Instant) -> Duration {
        self.look_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    /// Warns of an end that is near, if a look at it is due. Returns the time of that end, in
    /// seconds since 1970 UTC.
    pub fn look_at_expiry(&mut self, now: Now) -> Option<u64> {
        let expiry = self.identity.expiry();
        if self.sleep(now.instant) > Duration::ZERO {
            return expiry;
        }
        self.look_at = Some(now.instant + EXPIRY_LOOKED_AT_EVERY);
        if let Some(sentence) = expiry.and_then(|end| warning(end, now.unix_ms / 1000)) {
            warn!("{sentence}: renew it, and send SIGHUP");
        }
        expiry
    }
}

/// Returns the warning for a certificate that ends at `end`; both are in seconds since 1970 UTC.
fn warning(end: u64, now: u64) -> Option<String> {
    if end <= now {
        return Some("the certificate of --tls-cert has ended, and browsers refuse it".into());
    }
    let time = match (end - now) / SECONDS_OF_A_DAY {
        0 => "a day".into(),
        days => format!("{} days", days + 1),
    };
    (end - now < EXPIRY_WARNED_BEFORE.as_secs())
        .then(|| format!("the certificate of --tls-cert ends in less than {time}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_a_certificate_is_foretold_from_14_days_before() {
        let check = |left: i64, expected: Option<&str>| {
            let now = 1_800_000_000_u64;
            let sentence = warning(now.saturating_add_signed(left), now);
            let end = sentence.as_deref().map(|text| text.trim_start_matches(START));
            assert_eq!(end, expected, "{left} s before the end");
        };
        const START: &str = "the certificate of --tls-cert ";
        const DAY: i64 = SECONDS_OF_A_DAY as i64;
        check(14 * DAY, None);
        check(14 * DAY - 1, Some("ends in less than 14 days"));
        check(DAY, Some("ends in less than 2 days"));
        check(DAY - 1, Some("ends in less than a day"));
        check(0, Some("has ended, and browsers refuse it"));
        check(-DAY, Some("has ended, and browsers refuse it"));
    }
}
