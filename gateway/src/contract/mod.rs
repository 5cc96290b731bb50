//! Version and schema of what came in.
