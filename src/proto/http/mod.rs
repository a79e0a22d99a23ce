//! HTTP/1.1 and HTTP/2: query endpoint, tables, health, metrics.
