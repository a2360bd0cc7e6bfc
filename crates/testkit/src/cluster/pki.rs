//! Keys and certificates of a test cluster, made anew for each by openssl, and the kubeconfigs that carry them.
//!
//! | certificate | who | rights |
//! | --- | --- | --- |
//! | `apiserver`, `kubelet-serving` | servers | - |
//! | `admin`, `apiserver-kubelet` | `system:masters` | everything |
//! | `kcm`, `scheduler`, `kube-proxy`, `node`, `coredns` | the components | built-in roles, or their own |

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use super::ClusterError;
use super::run::output;

/// Address of the API server in the cluster's network.
pub(crate) const SERVER: &str = "https://127.0.0.1:6443";

struct Certificate {
    file: &'static str,
    subject: &'static str,
    names: &'static str,
}

const fn cert(file: &'static str, subject: &'static str, names: &'static str) -> Certificate {
    Certificate { file, subject, names }
}

const API_NAMES: &str = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,\
    DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1,IP:10.123.0.1";

const CERTIFICATES: [Certificate; 9] = [
    cert("apiserver", "/CN=kube-apiserver", API_NAMES),
    cert("kubelet-serving", "/O=system:nodes/CN=system:node:n1", "DNS:n1,IP:10.123.0.1,IP:127.0.0.1"),
    cert("apiserver-kubelet", "/O=system:masters/CN=kube-apiserver-kubelet-client", ""),
    cert("admin", "/O=system:masters/CN=admin", ""),
    cert("kcm", "/CN=system:kube-controller-manager", ""),
    cert("scheduler", "/CN=system:kube-scheduler", ""),
    cert("kube-proxy", "/CN=system:kube-proxy", ""),
    cert("node", "/O=system:nodes/CN=system:node:n1", ""),
    cert("coredns", "/CN=coredns", ""),
];

/// Files of the public key infrastructure below `dir`.
#[derive(Debug, Clone)]
pub(crate) struct Pki {
    dir: PathBuf,
}

impl Pki {
    /// Make all keys and certificates in `dir`.
    pub(crate) fn make(dir: &Path) -> Result<Pki, ClusterError> {
        fs::create_dir_all(dir).map_err(ClusterError::file(dir))?;
        let pki = Pki { dir: dir.to_path_buf() };
        pki.authority("ca")?;
        pki.authority("front-proxy-ca")?;
        let workers: Vec<_> = CERTIFICATES
            .iter()
            .map(|certificate| {
                let pki = pki.clone();
                thread::spawn(move || pki.sign(certificate))
            })
            .collect();
        pki.openssl(&["genrsa", "-out", "sa.key", "2048"])?;
        pki.openssl(&["rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"])?;
        for worker in workers {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        Ok(pki)
    }

    /// A kubeconfig of the certificate `who`.
    pub(crate) fn kubeconfig(&self, who: &str, to: &Path) -> Result<(), ClusterError> {
        let file = |name: &str| self.dir.join(name).display().to_string();
        let (ca, crt, key) = (file("ca.crt"), file(&format!("{who}.crt")), file(&format!("{who}.key")));
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: \"{SERVER}\", certificate-authority: {ca}}}}}]\n\
             users: [{{name: u, user: {{client-certificate: {crt}, client-key: {key}}}}}]\n"
        );
        fs::write(to, text).map_err(ClusterError::file(to))
    }

    fn authority(&self, name: &str) -> Result<(), ClusterError> {
        let (key, crt) = (format!("{name}.key"), format!("{name}.crt"));
        let subject = format!("/CN={name}");
        let mut args = vec!["req", "-x509", "-days", "30", "-subj", &subject, "-keyout", &key, "-out", &crt];
        args.extend(NEW_KEY);
        args.extend(["-addext", "basicConstraints=critical,CA:TRUE"]);
        args.extend(["-addext", "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"]);
        self.openssl(&args)
    }

    fn sign(&self, certificate: &Certificate) -> Result<(), ClusterError> {
        let Certificate { file, subject, names } = certificate;
        let (key, crt) = (format!("{file}.key"), format!("{file}.crt"));
        let mut args = vec!["req", "-x509", "-days", "30", "-CA", "ca.crt", "-CAkey", "ca.key"];
        args.extend(["-subj", subject, "-keyout", &key, "-out", &crt]);
        args.extend(NEW_KEY);
        args.extend(["-addext", "basicConstraints=critical,CA:FALSE"]);
        args.extend(["-addext", "keyUsage=critical,digitalSignature"]);
        let names = format!("subjectAltName={names}");
        if certificate.names.is_empty() {
            args.extend(["-addext", "extendedKeyUsage=clientAuth"]);
        } else {
            args.extend(["-addext", "extendedKeyUsage=serverAuth", "-addext", &names]);
        }
        self.openssl(&args)
    }

    fn openssl(&self, args: &[&str]) -> Result<(), ClusterError> {
        // An empty configuration: the machine's own may add extensions a second time.
        let mut command = Command::new("openssl");
        command.args(args).current_dir(&self.dir).env("OPENSSL_CONF", "/dev/null");
        output(&mut command).map(|_| ())
    }
}

const NEW_KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_signed_by_the_authority_for_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::make(dir.path()).unwrap();
        for Certificate { file, .. } in &CERTIFICATES {
            pki.openssl(&["verify", "-CAfile", "ca.crt", &format!("{file}.crt")]).unwrap();
        }
        let mut show = Command::new("openssl");
        show.args(["x509", "-noout", "-text", "-in"]).arg(dir.path().join("apiserver.crt"));
        let text = output(&mut show).unwrap();
        assert!(text.contains("10.96.0.1") && text.contains("TLS Web Server"), "{text}");
        assert_eq!(text.matches("Basic Constraints").count(), 1, "{text}");
        pki.kubeconfig("admin", &dir.path().join("admin.kubeconfig")).unwrap();
        let written = fs::read_to_string(dir.path().join("admin.kubeconfig")).unwrap();
        assert!(written.contains(SERVER) && written.contains("admin.crt"), "{written}");
    }
}
