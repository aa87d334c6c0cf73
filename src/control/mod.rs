//! The Unix socket between a running server and the command line.
