//! The secret of the mesh: made once, kept, rotated when the spec says another word for `rotation`.
//!
//! Both ends of a link accept every line of the file and prove those they share, so the new secret may come
//! to the pods in any order as long as the previous one is still in it.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

/// Key of the Secret whose content is the file: one secret a line, the current one first.
pub const FILE_KEY: &str = "secret";
/// Annotation that holds the `rotation` for which the current secret was made.
pub const ROTATION: &str = "qmesh.dev/rotation";

/// Fewest characters of a secret that is kept; a shorter one was made by somebody else and is replaced.
const LEAST_LENGTH: usize = 32;

/// The secrets of one mesh.
#[derive(Clone, PartialEq, Eq)]
pub struct MeshSecret {
    current: String,
    previous: Option<String>,
    rotation: String,
}

impl std::fmt::Debug for MeshSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeshSecret").field("rotation", &self.rotation).finish_non_exhaustive()
    }
}

impl MeshSecret {
    /// The one in a Secret; none where it holds nothing usable.
    pub fn read(secret: &Secret) -> Option<Self> {
        let file = secret.data.as_ref()?.get(FILE_KEY)?;
        let mut lines =
            std::str::from_utf8(&file.0).ok()?.lines().map(str::trim).filter(|line| !line.is_empty());
        let current = lines.next().filter(|line| line.len() >= LEAST_LENGTH)?.to_owned();
        let previous = lines.next().map(str::to_owned);
        let rotation = secret.metadata.annotations.as_ref().and_then(|all| all.get(ROTATION)).cloned();
        Some(Self { current, previous, rotation: rotation.unwrap_or_default() })
    }

    /// The one that is to be: what is there, or one rotated with, or begun from, a fresh secret.
    pub fn next(existing: Option<Self>, rotation: Option<&str>, fresh: impl FnOnce() -> String) -> Self {
        let rotation = rotation.unwrap_or_default().to_owned();
        match existing {
            // A removed `rotation` asks for nothing: only another word does.
            Some(kept) if kept.rotation == rotation || rotation.is_empty() => kept,
            Some(old) => Self { current: fresh(), previous: Some(old.current), rotation },
            None => Self { current: fresh(), previous: None, rotation },
        }
    }

    /// The file as the processes read it.
    pub fn file(&self) -> String {
        let previous = self.previous.as_ref().map(|line| format!("{line}\n")).unwrap_or_default();
        format!("{}\n{previous}", self.current)
    }

    /// As the data and annotations of a Secret.
    pub(crate) fn write(&self) -> (BTreeMap<String, ByteString>, BTreeMap<String, String>) {
        let data = BTreeMap::from([(FILE_KEY.into(), ByteString(self.file().into_bytes()))]);
        (data, BTreeMap::from([(ROTATION.into(), self.rotation.clone())]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(letter: &str) -> String {
        letter.repeat(LEAST_LENGTH)
    }

    fn as_object(mesh: &MeshSecret) -> Secret {
        let (data, annotations) = mesh.write();
        let mut object = Secret { data: Some(data), ..Default::default() };
        object.metadata.annotations = Some(annotations);
        object
    }

    #[test]
    fn a_secret_is_kept_until_another_rotation_is_asked_for() {
        let first = MeshSecret::next(None, None, || secret("a"));
        let read = MeshSecret::read(&as_object(&first));
        assert_eq!(read.as_ref(), Some(&first), "what is written is read back");
        assert_eq!(MeshSecret::next(read, None, || unreachable!("nothing asked for a new one")), first);
    }

    #[test]
    fn a_rotation_keeps_the_previous_secret_accepted_and_only_that() {
        let first = MeshSecret::next(None, None, || secret("a"));
        let second = MeshSecret::next(Some(first), Some("1"), || secret("b"));
        assert_eq!(second.file(), format!("{}\n{}\n", secret("b"), secret("a")));
        let same = MeshSecret::next(Some(second.clone()), Some("1"), || unreachable!("same rotation"));
        assert_eq!(same, second);
        let third = MeshSecret::next(Some(second), Some("2"), || secret("c"));
        assert_eq!(third.file(), format!("{}\n{}\n", secret("c"), secret("b")));
        let kept = MeshSecret::next(Some(third.clone()), None, || unreachable!("rotation was taken out"));
        assert_eq!(kept, third);
    }

    #[test]
    fn a_secret_that_is_too_short_is_not_used_and_none_is_ever_shown() {
        let data = BTreeMap::from([(FILE_KEY.into(), ByteString(b"short\n".to_vec()))]);
        let object = Secret { data: Some(data), ..Default::default() };
        assert_eq!(MeshSecret::read(&object), None);
        let shown = format!("{:?}", MeshSecret::next(None, None, || secret("x")));
        assert!(!shown.contains("xx"), "{shown}");
    }
}
