//! Transactions: snapshots, versions, locks, commit.
