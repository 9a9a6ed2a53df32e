//! The audit log: complete, paged by a cursor that cannot be made up.

use serde_json::json;
use tenantry_core::time::Span;
use tenantry_testkit::both_engines;

use crate::support::Api;

both_engines! {
    async fn pages_follow_each_other_without_gap_or_repetition(database) {
        Api::run(database, async |api| {
            let [root, two] = api.line("Acme").await;
            let key = api.key_of(&root).await;
            for n in 0..25 {
                key.patch(&format!("/v1/accounts/{two}"), json!({"name": format!("n{n}")})).await.ok();
            }
            let at = format!("/v1/accounts/{two}/audit-log?limit=10&action=account.updated");
            let (mut path, mut names) = (at.clone(), Vec::new());
            loop {
                let page = key.get(&path).await.ok().body;
                names.extend(page["data"].as_array().expect("rows").iter().map(|row| row["detail"]["name"]["to"].clone()));
                let Some(cursor) = page["pagination"]["nextCursor"].as_str() else { break };
                path = format!("{at}&cursor={cursor}");
            }
            assert_eq!(names, (0..25).rev().map(|n| json!(format!("n{n}"))).collect::<Vec<_>>());
        }).await;
    }

    async fn s72_a_cursor_is_good_for_its_own_list_only(database) {
        Api::run(database, async |api| {
            let [root, two] = api.line("Acme").await;
            let key = api.key_of(&root).await;
            let log = |id: &str, rest: &str| format!("/v1/accounts/{id}/audit-log?limit=1{rest}");
            let cursor = key.get(&log(&root, "")).await.ok().body["pagination"]["nextCursor"].as_str().expect("more").to_owned();
            key.get(&log(&root, &format!("&cursor={cursor}"))).await.ok();
            key.get(&log(&two, &format!("&cursor={cursor}"))).await.refused(400, "invalid_cursor");
            key.get(&log(&root, &format!("&action=key.created&cursor={cursor}"))).await.refused(400, "invalid_cursor");
            let mut forged = cursor.clone();
            forged.pop();
            forged.push(if cursor.ends_with('0') { '1' } else { '0' });
            for bad in [forged.as_str(), "x", "aud_7zzzzzzzzzzzzzzzzzzzzzzzzz.00"] {
                key.get(&log(&root, &format!("&cursor={bad}"))).await.refused(400, "invalid_cursor");
            }
            for limit in ["0", "-1", "101", "1000000000", "ten"] {
                key.get(&format!("/v1/accounts/{root}/audit-log?limit={limit}")).await.refused(400, "invalid_parameter");
            }
        }).await;
    }

    async fn an_ancestor_reads_the_logs_of_its_subtree(database) {
        Api::run(database, async |api| {
            let [root, two, three] = api.line("Acme").await;
            let (top, bottom) = (api.key_of(&root).await, api.key_of(&three).await);
            bottom.patch(&format!("/v1/accounts/{three}"), json!({"name": "By itself"})).await.ok();
            let own = top.get(&format!("/v1/accounts/{root}/audit-log?action=account.updated")).await.ok();
            assert_eq!(own.body["data"], json!([]));
            let all = top.get(&format!("/v1/accounts/{root}/audit-log?action=account.updated&includeDescendants=true")).await.ok();
            assert_eq!(all.body["data"][0]["accountId"], json!(three));
            top.get(&format!("/v1/accounts/{two}/audit-log?actor={three}")).await.ok();

            api.clock.advance(Span::hours(1));
            bottom.patch(&format!("/v1/accounts/{three}"), json!({"name": "Later"})).await.ok();
            let count = async |query: &str| {
                let log = bottom.get(&format!("/v1/accounts/{three}/audit-log?action=account.updated&{query}")).await.ok();
                log.body["data"].as_array().expect("rows").len()
            };
            assert_eq!(count("from=2026-01-31T12:30:00Z").await, 1);
            assert_eq!(count("to=2026-01-31T12:30:00Z").await, 1);
            assert_eq!(count("from=2026-01-31T12:00:00Z&to=2026-01-31T13:00:01Z").await, 2);
            bottom.get(&format!("/v1/accounts/{three}/audit-log?from=yesterday")).await.refused(400, "invalid_parameter");
        }).await;
    }

    async fn a_move_stands_in_the_logs_of_both_parents(database) {
        Api::run(database, async |api| {
            let (left, right) = (api.root("Left").await, api.root("Right").await);
            let child = api.child(&left, "Child").await;
            let moved = api.operator().move_below(&child, &right).await.ok();
            assert!(!moved.header("x-tenantry-rev").is_empty());
            for id in [&left, &right, &child] {
                let log = api.key_of(id).await.get(&format!("/v1/accounts/{id}/audit-log?action=account.moved")).await.ok();
                assert_eq!(log.body["data"][0]["detail"]["rootId"], json!({"from": left, "to": right}));
            }
        }).await;
    }
}
