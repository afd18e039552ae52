//! What is written to disk: the content-addressed cache, atomic writes, the run lock.
