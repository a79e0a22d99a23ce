//! Which partitions a call goes to, and getting it there.
