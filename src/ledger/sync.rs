//! Exchanges a ledger with a remote: fetch, merge, push, until both agree.
