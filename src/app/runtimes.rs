//! The threads that serve.

use std::io;

use rustix::process::setpriority_process;
use rustix::thread::gettid;
use tokio::runtime::{Builder, Runtime};

/// Threads for large bodies and other work that waits for the disk.
const BLOCKING_THREADS: usize = 32;

/// The priority of the threads of strangers (nice(2)): they get a tenth of what others get on a busy processor.
const NICE: i32 = 10;

/// Makes the runtime of everything that is not the strangers'.
pub(super) fn main() -> io::Result<Runtime> {
    build(&mut Builder::new_multi_thread())
}

/// Makes the runtime of clients from networks where nobody has logged in lately. The runtime serves in the order in which its
/// tasks wake up, and a flood wakes up thousands; apart from the others, and at a low priority, it takes the processors from
/// nobody who has mail.
pub(super) fn strangers() -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.thread_name("strangers").on_thread_start(|| {
        // A system that refuses it serves them all the same.
        let _as_before = setpriority_process(Some(gettid()), NICE);
    });
    build(&mut builder)
}

fn build(builder: &mut Builder) -> io::Result<Runtime> {
    builder
        .enable_all()
        // They wait for the disk; more of them only take memory.
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
}
