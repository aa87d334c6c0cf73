//! Logging: set-up, the names of fields, and error chains as one line.
