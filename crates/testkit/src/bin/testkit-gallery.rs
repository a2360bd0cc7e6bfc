//! Write the sample databases for tests: `testkit-gallery DIRECTORY`.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(root) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: testkit-gallery DIRECTORY");
        return ExitCode::from(2);
    };
    match testkit::gallery::write(&root) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("testkit-gallery: {error}");
            ExitCode::FAILURE
        }
    }
}
