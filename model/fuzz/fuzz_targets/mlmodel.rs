//! Bytes as an MLmodel: refused, or the name of a file beside it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use loadcast_model::artifact::model_file;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(name) = model_file(bytes) {
        assert!(!name.contains('/') && name != "..");
    }
});
