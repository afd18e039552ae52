//! Results, locks and records: nothing is lost, mixed or half written.
