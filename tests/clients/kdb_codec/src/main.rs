//! kdb_codec 1.1.0 against a running mesh. One line per check: `ok NAME` or `FAIL NAME: why`.
//!
//! Values are compared as this client's codec encodes them, so that nothing it can hold escapes.

mod checks;
mod sample;

use std::process::ExitCode;

use checks::{Check, Fail, Mesh};

const CHECKS: [(&str, Check); 8] = [
    ("ping", |m| Box::pin(checks::ping(m))),
    ("one day of trades", |m| Box::pin(checks::one_day_of_trades(m))),
    ("group by over all days", |m| Box::pin(checks::group_by_over_all_days(m))),
    ("errors name what was wrong", |m| Box::pin(checks::errors_name_what_was_wrong(m))),
    ("asynchronous call with callback and several outstanding", |m| Box::pin(checks::asynchronous_calls(m))),
    ("every type in a table", |m| Box::pin(checks::every_type_in_a_table(m))),
    ("every type comes back in the header", |m| Box::pin(checks::every_type_comes_back(m))),
    ("hundred megabytes", |m| Box::pin(checks::hundred_megabytes(m))),
];

#[tokio::main]
async fn main() -> ExitCode {
    let mesh = match Mesh::from_env() {
        Ok(mesh) => mesh,
        Err(Fail(why)) => {
            println!("FAIL start: {why}");
            return ExitCode::FAILURE;
        }
    };
    let mut code = ExitCode::SUCCESS;
    for (name, check) in CHECKS {
        match check(&mesh).await {
            Ok(()) => println!("ok {name}"),
            Err(Fail(why)) => {
                code = ExitCode::FAILURE;
                println!("FAIL {name}: {why}");
            }
        }
    }
    code
}
