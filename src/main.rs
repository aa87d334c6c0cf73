//! The `posthouse` program.

use std::process::ExitCode;

/// Messages are many short-lived pieces of memory, made on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(posthouse::cli::run(std::env::args_os()))
}
