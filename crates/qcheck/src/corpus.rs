//! Files of q code, each loaded in a process of its own.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// What became of a file.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// the file, below the checkout
    pub file: PathBuf,
    /// the first error as the console shows it; `None` where the file loads
    pub error: Option<String>,
}

/// The q files below a folder, in order of their names; hidden folders are passed over.
pub fn files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !hidden => folders.push(path),
                Ok(kind) if kind.is_file() && path.extension().is_some_and(|e| e == "q") => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Loads a file in a child of this program: in the checkout's root, and where a file it loads is not there, in its own
/// folder.
pub fn load(program: &Path, root: &Path, file: &Path, limit: Duration) -> Loaded {
    let name = file.strip_prefix(root).unwrap_or(file).to_path_buf();
    let first = child(program, root, file, limit);
    let error = match (&first, file.parent()) {
        (Some(text), Some(own)) if own != root && text.contains("OS reports") => {
            child(program, own, file, limit).and(first)
        }
        _ => first,
    };
    Loaded { file: name, error }
}

fn child(program: &Path, folder: &Path, file: &Path, limit: Duration) -> Option<String> {
    let child = Command::new(program)
        .args(["--child", "--limit", &limit.as_secs().to_string()])
        .arg(file)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Some(error.to_string()),
    };
    let start = Instant::now();
    while let Ok(None) = child.try_wait() {
        if start.elapsed() > limit * 2 + Duration::from_secs(5) {
            let _ = child.kill();
            let _ = child.wait();
            return Some(format!("no end within {} s", limit.as_secs() * 2 + 5));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = match child.wait_with_output() {
        Ok(output) => output,
        Err(error) => return Some(error.to_string()),
    };
    if output.status.success() {
        return None;
    }
    let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Some(String::from_utf8_lossy(&said).trim_end().to_string())
}
