//! The mesh's own secret, and the proof that an end of a link knows it.
//!
//! The secret never travels. Each end shows a keyed hash (HMAC-SHA256) over its side, both nonces and both
//! ends' names, so that a proof is of no use on another connection or in the other direction. The answering
//! side shows one hash per secret it accepts and the dialling side proves the one of those it knows too: so a
//! rotation (new secret first, the old one still in the file) needs no particular order of processes.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use hmac::{Hmac, Mac};
use sg::config::{ConfigError, Env, common};
use sha2::Sha256;

/// Most secrets in one file: the current one and those it replaces.
const MOST_SECRETS: usize = 8;
/// Longest secret file.
const MOST_BYTES: usize = 64 << 10;
/// Secrets shorter than this can be guessed from one overheard proof.
const ADVISED_BYTES: usize = 16;
/// Bytes of one proof.
pub(crate) const PROOF_LEN: usize = 32;

/// The secrets a process accepts, current first. Debug output hides them.
pub struct Secrets {
    file: Option<PathBuf>,
    /// what the file held when it could last be read
    last: Mutex<Known>,
}

/// A snapshot of the secrets.
pub(crate) type Known = Arc<[Vec<u8>]>;

/// Which end of a link a proof is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Dialled,
    Answered,
}

impl Secrets {
    /// No secret: no proof is asked for, none given.
    pub fn none() -> Self {
        Secrets::of(Vec::<Vec<u8>>::new())
    }

    /// These secrets, current first.
    pub fn of<S: Into<Vec<u8>>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let known: Vec<Vec<u8>> = secrets.into_iter().map(Into::into).collect();
        Secrets { file: None, last: Mutex::new(known.into()) }
    }

    /// The secrets in a file, one a line, current first. The file is read again for each handshake, so that a rotation
    /// needs no restart; after a failed read the last secrets stay in force.
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, String> {
        let path = path.into();
        let known = read(&path)?;
        if known.iter().any(|s| s.len() < ADVISED_BYTES) {
            tracing::warn!(path = %path.display(), "a mesh secret has fewer than {ADVISED_BYTES} bytes; use random ones");
        }
        Ok(Secrets { file: Some(path), last: Mutex::new(known) })
    }

    /// As `QMESH_SECRET_FILE` says; none where it is not set.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        match env.text(&common::SECRET_FILE) {
            Some(path) => Secrets::from_file(path).map_err(|why| env.refuse(&common::SECRET_FILE, why)),
            None => Ok(Secrets::none()),
        }
    }

    /// The secrets now.
    pub(crate) fn known(&self) -> Known {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.file {
            match read(path) {
                Ok(known) => *last = known,
                Err(why) => tracing::warn!(why, "mesh secret not read again; the last one stays in force"),
            }
        }
        last.clone()
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({:?}, redacted)", self.file)
    }
}

fn read(path: &Path) -> Result<Known, String> {
    let what = path.display();
    let bytes = std::fs::read(path).map_err(|e| format!("a file with the mesh's secret; {what}: {e}"))?;
    if bytes.len() > MOST_BYTES {
        return Err(format!("a file of at most {MOST_BYTES} bytes; {what} has {}", bytes.len()));
    }
    let lines = bytes.split(|b| *b == b'\n').map(|l| l.trim_ascii().to_vec()).filter(|l| !l.is_empty());
    let known: Vec<Vec<u8>> = lines.collect();
    match known.len() {
        0 => Err(format!("a file with a secret in it; {what} is empty")),
        1..=MOST_SECRETS => Ok(known.into()),
        n => Err(format!("at most {MOST_SECRETS} secrets; {what} has {n} lines")),
    }
}

fn mac(secret: &[u8], side: Side, transcript: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of any length; the type says otherwise, so a failure becomes a key nobody has.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap_or_else(|_| unkeyed());
    mac.update(match side {
        Side::Dialled => b"qmesh link, dialling side\0",
        Side::Answered => b"qmesh link, answering side",
    });
    mac.update(transcript);
    mac
}

fn unkeyed() -> Hmac<Sha256> {
    let key: [u8; 64] = rand::random();
    Hmac::new(&key.into())
}

/// One side's proof of one secret.
pub(crate) fn prove(secret: &[u8], side: Side, transcript: &[u8]) -> [u8; PROOF_LEN] {
    mac(secret, side, transcript).finalize().into_bytes().into()
}

/// One side's proofs of all its secrets.
pub(crate) fn prove_all(known: &Known, side: Side, transcript: &[u8]) -> Vec<u8> {
    known.iter().flat_map(|s| prove(s, side, transcript)).collect()
}

/// The known secret behind one of the proofs. Compares in constant time.
pub(crate) fn proved<'a>(
    known: &'a Known,
    side: Side,
    transcript: &[u8],
    proofs: &[u8],
) -> Option<&'a Vec<u8>> {
    let proofs = proofs.chunks_exact(PROOF_LEN).take(MOST_SECRETS);
    known.iter().find(|secret| {
        let expected = mac(secret, side, transcript);
        proofs.clone().any(|proof| expected.clone().verify_slice(proof).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(secrets: &[&str]) -> Known {
        secrets.iter().map(|s| s.as_bytes().to_vec()).collect::<Vec<_>>().into()
    }

    #[test]
    fn hashes_are_hmac_sha256() {
        // RFC 4231, test case 2, over our own framing taken apart.
        let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
        mac.update(b"what do ya want for nothing?");
        let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_proof_holds_for_its_secret_side_and_transcript_only() {
        let proof = prove(b"s", Side::Dialled, b"t");
        let ours = known(&["x", "s"]);
        assert_eq!(proved(&ours, Side::Dialled, b"t", &proof).unwrap(), b"s");
        assert!(proved(&ours, Side::Answered, b"t", &proof).is_none());
        assert!(proved(&ours, Side::Dialled, b"u", &proof).is_none());
        assert!(proved(&known(&["x"]), Side::Dialled, b"t", &proof).is_none());
        assert!(proved(&ours, Side::Dialled, b"t", &proof[..31]).is_none());
        assert!(proved(&ours, Side::Dialled, b"t", &[]).is_none());
    }

    #[test]
    fn a_common_secret_is_found_whatever_the_order_of_rotation() {
        let (old, both, new) = (known(&["old"]), known(&["new", "old"]), known(&["new"]));
        for (a, b) in [(&old, &both), (&both, &old), (&both, &new), (&new, &both), (&both, &both)] {
            assert!(proved(a, Side::Answered, b"t", &prove_all(b, Side::Answered, b"t")).is_some());
        }
        assert!(proved(&old, Side::Answered, b"t", &prove_all(&new, Side::Answered, b"t")).is_none());
    }

    #[test]
    fn the_file_is_read_again_and_a_broken_one_changes_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "first\n").unwrap();
        let secrets = Secrets::from_file(file.path()).unwrap();
        std::fs::write(file.path(), "second\r\n\nfirst\n").unwrap();
        assert_eq!(secrets.known(), known(&["second", "first"]));
        std::fs::write(file.path(), "\n").unwrap();
        assert_eq!(secrets.known(), known(&["second", "first"]));
        assert!(!format!("{secrets:?}").contains("second"));
    }

    #[test]
    fn a_missing_or_empty_file_is_told_at_start() {
        let env = Env::of([("QMESH_SECRET_FILE", "no/such/file")]);
        let err = Secrets::from_env(&env).unwrap_err().to_string();
        assert!(err.contains("QMESH_SECRET_FILE") && err.contains("no/such/file"), "{err}");
    }
}
