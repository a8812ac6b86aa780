//! Long runs, with LOADCAST_SOAK=1 (`make soak`).

/// Whether long runs are wanted.
pub(crate) fn wanted() -> bool {
    std::env::var_os("LOADCAST_SOAK").is_some_and(|value| value == "1")
}
