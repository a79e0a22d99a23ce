//! Overload resolution: which function, operator or aggregate a name and argument types mean.
