//! The components of a test cluster and their arguments: those that were proven on a bare machine.

use std::fs;
use std::path::Path;

use super::ClusterError;
use super::pki::Pki;

/// A process of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The store.
    Etcd,
    /// The API server.
    ApiServer,
    /// The container engine.
    Containerd,
    /// The controllers of Deployments, ReplicaSets, garbage, ….
    ControllerManager,
    /// The scheduler.
    Scheduler,
    /// The one real node.
    Kubelet,
    /// Service addresses.
    KubeProxy,
    /// Service names.
    CoreDns,
    /// Nodes and pods that are objects only, by the thousand.
    Kwok,
    /// What enforces NetworkPolicies.
    KubeRouter,
}

impl Part {
    /// The program's file name.
    pub fn program(self) -> &'static str {
        match self {
            Part::Etcd => "etcd",
            Part::ApiServer => "kube-apiserver",
            Part::Containerd => "containerd",
            Part::ControllerManager => "kube-controller-manager",
            Part::Scheduler => "kube-scheduler",
            Part::Kubelet => "kubelet",
            Part::KubeProxy => "kube-proxy",
            Part::CoreDns => "coredns",
            Part::Kwok => "kwok",
            Part::KubeRouter => "kube-router",
        }
    }

    /// Its arguments in a cluster whose state is in `state`.
    pub(crate) fn args(self, state: &Path) -> Vec<String> {
        let text = match self {
            Part::Etcd => ETCD,
            Part::ApiServer => API_SERVER,
            Part::Containerd => "-c @STATE@/conf/containerd.toml --log-level info",
            Part::ControllerManager => CONTROLLER_MANAGER,
            Part::Scheduler => SCHEDULER,
            Part::Kubelet => {
                "--kubeconfig=@STATE@/conf/node.kubeconfig --config=@STATE@/conf/kubelet.yaml \
                 --hostname-override=n1 --node-ip=10.123.0.1"
            }
            Part::KubeProxy => "--config=@STATE@/conf/kube-proxy.yaml",
            Part::CoreDns => "-conf @STATE@/conf/Corefile",
            Part::Kwok => KWOK,
            Part::KubeRouter => KUBE_ROUTER,
        };
        text.split_whitespace().map(|arg| arg.replace("@STATE@", &state.to_string_lossy())).collect()
    }
}

const ETCD: &str = "--name t --data-dir @STATE@/etcd --unsafe-no-fsync \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster t=http://127.0.0.1:2380 --log-level warn";

const API_SERVER: &str = "--etcd-servers=http://127.0.0.1:2379 --bind-address=0.0.0.0 --secure-port=6443 \
    --advertise-address=10.123.0.1 \
    --tls-cert-file=@STATE@/pki/apiserver.crt --tls-private-key-file=@STATE@/pki/apiserver.key \
    --client-ca-file=@STATE@/pki/ca.crt \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file=@STATE@/pki/sa.pub --service-account-signing-key-file=@STATE@/pki/sa.key \
    --service-cluster-ip-range=10.96.0.0/16 --authorization-mode=Node,RBAC \
    --enable-admission-plugins=NodeRestriction --allow-privileged=true --anonymous-auth=true \
    --kubelet-certificate-authority=@STATE@/pki/ca.crt \
    --kubelet-client-certificate=@STATE@/pki/apiserver-kubelet.crt \
    --kubelet-client-key=@STATE@/pki/apiserver-kubelet.key \
    --requestheader-client-ca-file=@STATE@/pki/front-proxy-ca.crt \
    --requestheader-allowed-names=front-proxy-client --requestheader-username-headers=X-Remote-User \
    --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --kubelet-preferred-address-types=InternalIP --event-ttl=1h \
    --audit-policy-file=@STATE@/conf/audit-policy.yaml --audit-log-path=@STATE@/audit.log";

// The default rate of 20 calls a second makes the first service account wait ten seconds.
const CONTROLLER_MANAGER: &str = "--kubeconfig=@STATE@/conf/kcm.kubeconfig \
    --authentication-kubeconfig=@STATE@/conf/kcm.kubeconfig \
    --authorization-kubeconfig=@STATE@/conf/kcm.kubeconfig --bind-address=127.0.0.1 \
    --service-account-private-key-file=@STATE@/pki/sa.key --root-ca-file=@STATE@/pki/ca.crt \
    --use-service-account-credentials=true --leader-elect=false --controllers=* \
    --kube-api-qps=500 --kube-api-burst=1000 --cluster-signing-cert-file=@STATE@/pki/ca.crt \
    --cluster-signing-key-file=@STATE@/pki/ca.key --service-cluster-ip-range=10.96.0.0/16";

const SCHEDULER: &str = "--kubeconfig=@STATE@/conf/scheduler.kubeconfig \
    --authentication-kubeconfig=@STATE@/conf/scheduler.kubeconfig \
    --authorization-kubeconfig=@STATE@/conf/scheduler.kubeconfig --bind-address=127.0.0.1 \
    --leader-elect=false --kube-api-qps=500 --kube-api-burst=1000";

// Nodes are chosen by annotation: never the real one.
const KWOK: &str = "--kubeconfig=@STATE@/conf/admin.kubeconfig --config=@STATE@/conf/kwok.yaml \
    --manage-all-nodes=false --manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake \
    --cidr=10.245.0.0/16 --node-lease-duration-seconds=40";

// The firewall alone: other components give routes to pods and addresses to Services.
const KUBE_ROUTER: &str = "--kubeconfig=@STATE@/conf/admin.kubeconfig --hostname-override=n1 \
    --run-firewall=true --run-router=false --run-service-proxy=false \
    --service-cluster-ip-range=10.96.0.0/16 --v=1";

/// Files that are the same in every cluster but for the places that are filled in.
const FILES: [(&str, &str); 8] = [
    ("containerd.toml", include_str!("files/containerd.toml")),
    ("cni/10-pods.conflist", include_str!("files/10-pods.conflist")),
    ("kubelet.yaml", include_str!("files/kubelet.yaml")),
    ("kube-proxy.yaml", include_str!("files/kube-proxy.yaml")),
    ("Corefile", include_str!("files/Corefile")),
    ("coredns-rbac.yaml", include_str!("files/coredns-rbac.yaml")),
    ("audit-policy.yaml", include_str!("files/audit-policy.yaml")),
    ("resolv.conf", ""),
];

const KUBECONFIGS: [&str; 6] = ["admin", "kcm", "scheduler", "kube-proxy", "node", "coredns"];

/// Write the configuration of every component below `state/conf`.
pub(crate) fn write_files(state: &Path, cgroup: &str, pki: &Pki) -> Result<(), ClusterError> {
    let conf = state.join("conf");
    let cni = conf.join("cni");
    fs::create_dir_all(&cni).map_err(ClusterError::file(&cni))?;
    for (name, text) in FILES {
        let text = text.replace("@STATE@", &state.to_string_lossy()).replace("@CGROUP@", cgroup);
        let file = conf.join(name);
        fs::write(&file, text).map_err(ClusterError::file(&file))?;
    }
    KUBECONFIGS.iter().try_for_each(|who| pki.kubeconfig(who, &conf.join(format!("{who}.kubeconfig"))))
}
