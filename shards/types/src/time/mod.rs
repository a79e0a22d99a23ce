//! Dates, times, timestamps and intervals: parsing, printing and calendar arithmetic.
