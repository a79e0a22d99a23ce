//! Starting and stopping: one shard main per core, endpoints, drain.
