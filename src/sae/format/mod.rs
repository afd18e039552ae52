//! Files of SAEs, ours and other tools': one file per format. The core makes and reads bytes; the store writes them.

pub mod sae_lens;
