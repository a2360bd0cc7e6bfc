//! Running a command to its end, and waiting for something with a deadline.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::ClusterError;

/// Between two looks at a condition.
const POLL: Duration = Duration::from_millis(50);

/// Run a command to its end; its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, ClusterError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ClusterError::Start { program: program.clone(), source })?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let said = [done.stdout, done.stderr].concat();
    Err(ClusterError::Failed {
        command: format!("{program} {}", args.join(" ")),
        status: done.status.to_string(),
        output: String::from_utf8_lossy(&said).trim().to_string(),
    })
}

/// Look again and again until `look` has something; its last complaint is part of the error.
pub fn wait_for<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> Result<T, ClusterError> {
    let start = Instant::now();
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(detail) if start.elapsed() > patience => {
                return Err(ClusterError::Timeout { what: what.to_string(), waited: patience, detail });
            }
            Err(_) => thread::sleep(POLL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_says_what_it_printed() {
        let error = output(Command::new("sh").args(["-c", "echo oh >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("oh") && error.contains('3') && error.contains("sh -c"), "{error}");
    }

    #[test]
    fn waiting_ends_with_the_last_complaint() {
        let never = wait_for("rain", Duration::from_millis(120), || Err::<(), _>("blue sky".to_string()));
        let error = never.unwrap_err().to_string();
        assert!(error.contains("rain") && error.contains("blue sky"), "{error}");
        let mut left = 3;
        let soon = wait_for("zero", Duration::from_secs(5), || {
            left -= 1;
            if left == 0 { Ok("done") } else { Err(String::new()) }
        });
        assert_eq!(soon.unwrap(), "done");
    }
}
