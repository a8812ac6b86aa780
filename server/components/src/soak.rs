//! Whether tests run long and with big numbers of peers, as in `make soak`.

/// Under `LOADCAST_SOAK=1`.
pub fn wanted() -> bool {
    std::env::var_os("LOADCAST_SOAK").is_some_and(|value| value == "1")
}

/// The same, for a test that does nothing otherwise: then it is said to be skipped.
pub fn wanted_or_skipped() -> bool {
    let wanted = wanted();
    if !wanted {
        eprintln!("skipped: set LOADCAST_SOAK=1, or run make soak");
    }
    wanted
}

/// How often to repeat: `short` in `make test`, `long` in `make soak`.
pub fn times(short: u32, long: u32) -> u32 {
    if wanted() { long } else { short }
}
