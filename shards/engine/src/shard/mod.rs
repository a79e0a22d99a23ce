//! What a core owns, and the closed list of what it may be asked.
