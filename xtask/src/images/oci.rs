//! OCI image archives: a layout (`oci-layout`, `index.json`, `blobs/sha256/…`) in one tar file, which containerd,
//! skopeo, podman and docker read. Equal input gives equal bytes, so a digest names a build.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::error::Error;

use super::layer::USER;
use super::tar::Tar;

/// One image: name, entrypoint and layers, lowest layer first.
pub(super) struct Image<'a> {
    /// `repository/name:tag`.
    pub(super) name: String,
    /// The program and its first arguments.
    pub(super) entrypoint: Vec<String>,
    /// What is said about it.
    pub(super) description: &'a str,
    /// Uncompressed tar archives.
    pub(super) layers: Vec<&'a [u8]>,
}

/// A piece of an image and its digest.
struct Blob {
    hex: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Blob {
        Blob { hex: digest(&bytes), bytes }
    }

    fn of(value: &Value) -> Blob {
        Blob::new(value.to_string().into_bytes())
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": format!("sha256:{}", self.hex), "size": self.bytes.len()})
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Write one image as an archive; the digest of its manifest.
pub(super) fn write(image: &Image<'_>, to: &Path) -> Result<String, Error> {
    let layers: Vec<Blob> = image.layers.iter().map(|layer| Blob::new(layer.to_vec())).collect();
    let config = Blob::of(&json!({
        "architecture": architecture(),
        "os": "linux",
        "config": {
            "User": format!("{USER}:{USER}"),
            "Entrypoint": image.entrypoint,
            "Env": ["PATH=/usr/local/bin"],
            "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": image.name,
                "org.opencontainers.image.description": image.description,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": layers.iter().map(|layer| format!("sha256:{}", layer.hex)).collect::<Vec<_>>(),
        },
    }));
    let layer_type = "application/vnd.oci.image.layer.v1.tar";
    let manifest = Blob::of(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.descriptor("application/vnd.oci.image.config.v1+json"),
        "layers": layers.iter().map(|layer| layer.descriptor(layer_type)).collect::<Vec<_>>(),
    }));
    let mut named = manifest.descriptor(MANIFEST);
    let (_, tag) = image.name.rsplit_once(':').unwrap_or((&image.name, "latest"));
    named["annotations"] = json!({
        "io.containerd.image.name": image.name,
        "org.opencontainers.image.ref.name": tag,
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [named],
    });
    let manifest_digest = format!("sha256:{}", manifest.hex);
    let mut blobs = layers;
    blobs.extend([config, manifest]);
    archive(&index, &blobs, to).map_err(Error::file(to))?;
    Ok(manifest_digest)
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn archive(index: &Value, blobs: &[Blob], to: &Path) -> std::io::Result<()> {
    let file = std::io::BufWriter::new(std::fs::File::create(to)?);
    let mut tar = Tar::new(file);
    tar.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    tar.file("index.json", 0o644, index.to_string().as_bytes())?;
    tar.directory("blobs", 0o755)?;
    tar.directory("blobs/sha256", 0o755)?;
    let mut written = BTreeSet::new();
    for blob in blobs {
        if written.insert(&blob.hex) {
            tar.file(&format!("blobs/sha256/{}", blob.hex), 0o644, &blob.bytes)?;
        }
    }
    std::io::Write::flush(&mut tar.finish()?)
}

/// The name that images have for this machine's processor.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_input_gives_an_equal_archive_and_digest() {
        let dir = std::env::temp_dir().join(format!("qmesh-oci-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let image = Image {
            name: "qmesh.test/x:1".into(),
            entrypoint: vec!["/x".into()],
            description: "test",
            layers: vec![b"layer"],
        };
        let (a, b) = (dir.join("a.tar"), dir.join("b.tar"));
        assert_eq!(write(&image, &a).unwrap(), write(&image, &b).unwrap());
        let bytes = std::fs::read(&a).unwrap();
        assert_eq!(bytes, std::fs::read(&b).unwrap());
        // The layer is stored under its own digest, and the index has the name engines look for.
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains(&format!("blobs/sha256/{}", digest(b"layer"))));
        assert!(text.contains(r#""io.containerd.image.name":"qmesh.test/x:1""#));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
