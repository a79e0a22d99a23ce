//! The configuration, read again while the server runs.
//!
//! Owns: which settings take effect then, and the telling of those that do not. Asked by: shard 0, which looks whether SIGHUP
//! or `pg_reload_conf()` has asked for it. Never: changes anything when the new configuration is not valid.
//! Bounds: one reading at a time; requests that come meanwhile are one.

use super::shared::Shared;
use crate::config::{Config, SETTINGS};
use crate::router::Router;
use engine::shard::ShardCall;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked for.
const POLL: Duration = Duration::from_millis(100);
/// Settings that change without a restart.
const CHANGEABLE: [&str; 1] = ["pool_policy"];

/// Runs as long as the shard.
pub(super) async fn watch(shared: Arc<Shared>, router: Rc<Router>) {
    let mut seen = 0;
    let mut current = shared.config.clone();
    loop {
        runtime::sleep(POLL).await;
        let asked = shared.signals.reloads();
        if asked == seen {
            continue;
        }
        seen = asked;
        let of = shared.clone();
        match runtime::blocking(move || (of.reread)()).await {
            Ok(Ok(new)) => current = apply(current, new, &router).await,
            Ok(Err(error)) => tracing::error!(%error, "the configuration was not read again"),
            Err(error) => tracing::error!(%error, "the configuration was not read again"),
        }
    }
}

/// Takes over what can be; returns what is in force then.
async fn apply(mut current: Config, new: Config, router: &Router) -> Config {
    for setting in SETTINGS {
        let (old, text) = (current.text(setting.key), new.text(setting.key));
        if old != text && !CHANGEABLE.contains(&setting.key) {
            let key = setting.key;
            tracing::warn!(key, "changed, and takes effect at the next start");
        }
    }
    if new.pool_policy != current.pool_policy {
        let policy: storage::Policy = new.pool_policy.parse().unwrap_or_default();
        match router.ask_all(|| ShardCall::SetPolicy(policy)).await {
            Ok(_) => {
                tracing::info!(%policy, "pool_policy changed");
                current.pool_policy = new.pool_policy;
            }
            Err(error) => tracing::error!(%error, "pool_policy was not changed everywhere"),
        }
    }
    current
}

#[cfg(test)]
mod tests {
    use crate::config::PoolPolicy;
    use storage::Policy;

    #[test]
    fn the_configuration_names_exactly_the_policies_there_are() {
        let known: Vec<&str> = Policy::ALL.iter().map(|p| p.name()).collect();
        assert_eq!(PoolPolicy::ALL.to_vec(), known);
        assert_eq!(PoolPolicy::ALL[0], Policy::default().name());
    }
}
