//! `pg_catalog` and `information_schema`, made from a catalog snapshot.
