//! The namespaces of a test cluster: made by `unshare`, held by a process 1 that ends with us, entered by `nsenter`.
//!
//! Nothing of the machine's network is in them, so nothing can leak out, and one `kill -9` of process 1 takes every
//! process, mount and interface with it. Only control groups stay behind: they are removed here, those of an earlier
//! test process that was killed included.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::ClusterError;
use super::run::wait_for;

const CGROUPS: &str = "/sys/fs/cgroup";
/// Control groups of version 1 that kubelet and runc need.
const CONTROLLERS: [&str; 9] =
    ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd"];
/// What names of our control groups begin with; the process id follows.
pub(crate) const PREFIX: &str = "qmesh-test-";

/// A way into a running cluster's namespaces; cheap to copy into threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enter {
    pid: u32,
}

impl Enter {
    /// A command that runs in the cluster's network, and sees files and processes of this machine.
    pub fn network(self, program: impl AsRef<Path>) -> Command {
        self.nsenter(&["--net"], program.as_ref())
    }

    /// What stands before a command line that is to run in the cluster's network.
    pub fn prefix(self) -> String {
        format!("nsenter --target {} --net --", self.pid)
    }

    /// A command that runs wholly inside, as a component of the cluster does.
    pub fn inside(self, program: impl AsRef<Path>) -> Command {
        self.nsenter(&["--net", "--mount", "--pid", "--ipc", "--uts"], program.as_ref())
    }

    fn nsenter(self, which: &[&str], program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid.to_string()]).args(which).arg("--").arg(program);
        command
    }

    /// A path of the cluster's own view of the file system, seen from outside.
    pub fn path(self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.pid))
    }

    /// Move the calling thread into the cluster's network: every socket it opens from now on is there.
    pub fn this_thread(self) -> Result<(), ClusterError> {
        let path = PathBuf::from(format!("/proc/{}/ns/net", self.pid));
        let file = File::open(&path).map_err(ClusterError::file(&path))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|errno| ClusterError::File { path, source: errno.into() })
    }

    /// Do something with sockets of the cluster's network, in a thread of its own.
    pub fn run<T: Send + 'static>(
        self,
        what: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ClusterError> {
        let thread = thread::spawn(move || self.this_thread().map(|()| what()));
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// The namespaces. On drop the namespaces end, with all processes inside.
#[derive(Debug)]
pub(crate) struct Space {
    unshare: Child,
    /// Closed when we end, which ends process 1.
    _input: ChildStdin,
    pid: u32,
    cgroup: String,
}

impl Space {
    /// Make them, with mounts and network prepared for the state directory `state`.
    pub(crate) fn make(state: &Path, cgroup: &str) -> Result<Space, ClusterError> {
        for dir in ["kubelet", "cni", "varlog"] {
            let dir = state.join(dir);
            fs::create_dir_all(&dir).map_err(ClusterError::file(&dir))?;
        }
        make_cgroups(cgroup)?;
        let mut command = Command::new("unshare");
        command
            .args(["--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc"])
            .args(["--propagation", "private", "bash", "-c", include_str!("files/init.sh"), "init"])
            .arg(state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let start = |source| ClusterError::Start { program: "unshare".into(), source };
        let mut unshare = command.spawn().map_err(start)?;
        let (Some(input), Some(said)) = (unshare.stdin.take(), unshare.stdout.take()) else {
            return Err(start(std::io::ErrorKind::BrokenPipe.into()));
        };
        let mut space = Space { pid: 0, unshare, _input: input, cgroup: cgroup.to_string() };
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line).map_err(start)?;
        if line.trim() != "ready" {
            return Err(ClusterError::Failed {
                command: "unshare … init.sh".into(),
                status: "an early end".into(),
                output: "see its last line above".into(),
            });
        }
        space.pid = only_child(space.unshare.id()).ok_or_else(|| ClusterError::Timeout {
            what: "process 1 of the cluster".into(),
            waited: Duration::ZERO,
            detail: "unshare has no child".into(),
        })?;
        Ok(space)
    }

    pub(crate) fn enter(&self) -> Enter {
        Enter { pid: self.pid }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        if self.pid != 0 {
            kill(self.pid);
        }
        // Gone already where process 1 took it along; that is what is wanted.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        // The kernel needs a moment to empty the groups.
        let gone = wait_for("control groups are empty", Duration::from_secs(10), || {
            remove_cgroups(&self.cgroup);
            let left: Vec<PathBuf> = cgroup_dirs(&self.cgroup).filter(|dir| dir.exists()).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?} cannot be removed")) }
        });
        if let Err(error) = gone {
            eprintln!("test cluster: {error}");
        }
    }
}

/// `kill -9` by process id.
pub(crate) fn kill(pid: u32) {
    // It may be gone already; a failure has no other reason for root.
    if let Some(pid) = rustix::process::Pid::from_raw(pid as i32) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// The only child of a process: its id on this machine.
pub(crate) fn only_child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

fn unified() -> bool {
    Path::new(CGROUPS).join("cgroup.controllers").exists()
}

fn cgroup_dirs(name: &str) -> impl Iterator<Item = PathBuf> {
    let at = |controller: &str| Path::new(CGROUPS).join(controller).join(name);
    let mut dirs: Vec<PathBuf> = CONTROLLERS.iter().map(|controller| at(controller)).collect();
    dirs.push(at("unified"));
    dirs.push(Path::new(CGROUPS).join(name));
    dirs.into_iter()
}

fn make_cgroups(name: &str) -> Result<(), ClusterError> {
    let made = |dir: &Path| fs::create_dir_all(dir).map_err(ClusterError::file(dir));
    if unified() {
        return made(&Path::new(CGROUPS).join(name));
    }
    for controller in CONTROLLERS {
        let parent = Path::new(CGROUPS).join(controller);
        if parent.exists() {
            made(&parent.join(name))?;
        }
    }
    // Children of this controller start without a processor and without memory.
    for value in ["cpuset.cpus", "cpuset.mems"] {
        let from = Path::new(CGROUPS).join("cpuset").join(value);
        let to = Path::new(CGROUPS).join("cpuset").join(name).join(value);
        let all = fs::read_to_string(&from).map_err(ClusterError::file(&from))?;
        fs::write(&to, all.trim()).map_err(ClusterError::file(&to))?;
    }
    Ok(())
}

fn remove_cgroups(name: &str) {
    cgroup_dirs(name).for_each(|dir| remove_tree(&dir));
}

/// Control group directories can only be removed from the innermost out, and one by one.
fn remove_tree(dir: &Path) {
    if let Ok(entries) = fs::read_dir(dir) {
        entries.flatten().filter(|e| e.path().is_dir()).for_each(|e| remove_tree(&e.path()));
    }
    // Tried again by the caller until its deadline.
    let _ = fs::remove_dir(dir);
}

/// Remove control groups of test processes that are no more.
pub(crate) fn sweep() {
    let Ok(entries) = fs::read_dir(Path::new(CGROUPS).join(if unified() { "" } else { "pids" })) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_stale(&name) {
            remove_cgroups(&name);
        }
    }
}

/// Whether `name` was made by a test process that has ended.
pub(crate) fn is_stale(name: &str) -> bool {
    let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
    owner.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_test_process_left_is_stale() {
        assert!(!is_stale(&format!("{PREFIX}{}-0", std::process::id())));
        assert!(!is_stale("kubepods"));
        assert!(!is_stale(&format!("{PREFIX}x")));
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(is_stale(&format!("{PREFIX}{pid}-0")));
    }
}
