//! One client's session: transaction, settings, prepared statements and portals.
