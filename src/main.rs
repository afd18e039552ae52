//! saerun
fn main() {}
