# Process 1 of a test cluster, in namespaces of its own. It prepares mounts and network, says `ready`, and ends,
# and with it everything in the cluster, when its standard input does: that is, when the test process is gone.
set -eu
state=$1
hostname n1
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns /run/containerd /run/sysctl
# The kubelet writes these values, which are the whole machine's: it gets private files in their place.
for value in kernel/panic kernel/panic_on_oops vm/overcommit_memory; do
  cat "/proc/sys/$value" >"/run/sysctl/${value##*/}"
  mount --bind "/run/sysctl/${value##*/}" "/proc/sys/$value"
done
mkdir -p /var/lib/kubelet /var/lib/cni
mount --bind "$state/kubelet" /var/lib/kubelet
mount --bind "$state/cni" /var/lib/cni
mount --bind "$state/varlog" /var/log
ip link set lo up
# The node's address must not be on loopback; a bridge without ports works on kernels that have no dummy device.
ip link add node0 type bridge
ip addr add 10.123.0.1/32 dev node0
ip link set node0 up
# Connections to a Service from the node itself need a route before their address is translated.
ip route add 10.96.0.0/16 dev node0 src 10.123.0.1
echo 1 >/proc/sys/net/ipv4/ip_forward
echo ready
while read -r _; do :; done
