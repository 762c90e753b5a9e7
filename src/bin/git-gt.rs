//! The `git gt` program.

fn main() -> std::process::ExitCode {
    gastown::cli::main(std::env::args_os()).into()
}
