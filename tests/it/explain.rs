//! EXPLAIN ANALYZE: what it shows was counted.

use crate::support::{code, on_server};
use serde_json::Value;

#[test]
fn explain_shows_what_each_shard_and_page_did() {
    on_server(2, &[], async |_, client| {
        client
            .batch_execute(
                "create table t (id int primary key, v text);
                insert into t select g, repeat('x', 100) from generate_series(1, 2000) g;
                analyze t",
            )
            .await
            .unwrap();
        let sql = "explain (analyze, buffers, shards, format json) select v from t where v <> ''";
        let row = client.query_one(sql, &[]).await.unwrap();
        let json: Value = serde_json::from_str(row.get(0)).unwrap();
        let plan = &json[0]["Plan"];
        assert_eq!(plan["Actual Rows"], 2_000, "{json}");
        assert_eq!(plan["Plan Rows"], 2_000, "{json}");
        let shards = plan["Shards"].as_array().unwrap();
        assert_eq!(shards.len(), 2, "{json}");
        let sum = |name: &str| {
            shards
                .iter()
                .map(|s| s[name].as_u64().unwrap())
                .sum::<u64>()
        };
        assert_eq!(sum("Rows"), 2_000, "{json}");
        // One of the two is the session's own.
        let hops = sum("Hops");
        assert!(hops > 0 && hops < sum("Calls"), "{json}");
        // 2,000 rows of 100 bytes do not fit fewer.
        assert!(plan["Shared Hit Blocks"].as_u64().unwrap() >= 50, "{json}");
        assert!(json[0]["Execution Time"].as_f64().unwrap() > 0.0, "{json}");
    });
}

#[test]
fn explain_analyze_changes_what_it_explains_and_no_more_than_it_may() {
    on_server(2, &[], async |_, client| {
        client
            .batch_execute("create table t (id int primary key); insert into t values (1), (2)")
            .await
            .unwrap();
        client
            .batch_execute("explain analyze delete from t where id = 1; begin read only")
            .await
            .unwrap();
        let left = client.query("select id from t", &[]).await.unwrap();
        assert_eq!(left.len(), 1);
        let refused = client.batch_execute("explain analyze delete from t").await;
        assert_eq!(code(&refused.unwrap_err()), "25006");
    });
}
