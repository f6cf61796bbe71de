//! The `curate` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(curate_cli::program(std::env::args_os()))
}
