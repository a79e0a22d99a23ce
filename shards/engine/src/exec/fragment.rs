//! The part of a scan that runs where the rows are: filter, projection, partial aggregation.
