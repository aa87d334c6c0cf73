//! The configuration files: their shape, their checks, their diagnostics.
