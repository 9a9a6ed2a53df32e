//! Acting on behalf: downwards only, never chained, always on record.

use reqwest::Method;
use serde_json::json;
use tenantry_testkit::both_engines;

use crate::support::{Answer, Api, NOBODY};

both_engines! {
    async fn s06_assume_org(database) {
        Api::run(database, async |api| {
            let [root, two, three] = api.line("Acme").await;
            let sibling = api.child(&root, "Sibling").await;
            let closed = api.child(&two, "Closed").await;
            let suspended = api.child(&two, "Suspended").await;
            let elsewhere = api.root("Elsewhere").await;
            api.operator().act(&format!("/v1/accounts/{closed}/close")).await.ok();
            api.operator().act(&format!("/v1/accounts/{suspended}/suspend")).await.ok();
            let key = api.key_of(&two).await;

            let assumed = key.assuming(&three).get("/org").await.ok();
            assert_eq!((assumed.text("orgId"), assumed.header("x-tenantry-subject"), assumed.header("x-tenantry-actor")), (three.clone(), three.as_str(), two.as_str()));
            for nothing in [two.as_str(), "", " "] {
                assert_eq!(key.assuming(nothing).get("/org").await.ok().text("orgId"), two);
            }
            let mut refusals = Vec::new();
            for id in [root.as_str(), &sibling, &elsewhere, NOBODY, &closed, &suspended] {
                let refused = key.assuming(id).get("/org").await.refused(403, "assume_forbidden");
                refusals.push(refused.body["detail"].clone());
            }
            refusals.dedup();
            assert_eq!(refusals.len(), 1, "the same answer, whatever is behind the id");
            for malformed in ["acc_1", "key_7zzzzzzzzzzzzzzzzzzzzzzzzz", &format!("{three},{three}"), "../.."] {
                key.assuming(malformed).get("/org").await.refused(400, "assume_malformed");
            }
            let twice = key.request(Method::GET, "/org").header("x-assume-org", &three).header("x-assume-org", &three);
            Answer::of(twice).await.refused(400, "assume_malformed");
        }).await;
    }

    async fn s08_the_subject_sees_what_it_sees_and_no_more(database) {
        Api::run(database, async |api| {
            let [root, two, three] = api.line("Acme").await;
            let acting = api.key_of(&root).await.assuming(&two);
            acting.get(&format!("/v1/accounts/{three}")).await.ok();
            acting.get(&format!("/v1/accounts/{root}")).await.refused(404, "not_found");
            assert_eq!(acting.get("/v1/accounts").await.ok().names(), ["Acme 2", "Acme 3"]);
            // The operator, too, is only the subject while it assumes.
            let operator = api.operator().assuming(&two);
            operator.get(&format!("/v1/accounts/{root}")).await.refused(404, "not_found");
            operator.post("/v1/accounts", json!({"name": "x", "email": "x@example.com"})).await.refused(403, "operator_only");
        }).await;
    }

    async fn assuming_takes_the_scope_and_is_bounded_by_it(database) {
        Api::run(database, async |api| {
            let [root, two] = api.line("Acme").await;
            let with = async |scopes| api.key(&api.new_key(&root, json!({"name": "k", "scopes": scopes})).await.text("secret"));
            with(json!(["account.read"])).await.assuming(&two).get("/org").await.refused(403, "assume_forbidden");
            let reader = with(json!(["account.read", "account.assume"])).await.assuming(&two);
            reader.get("/org").await.ok();
            reader.patch(&format!("/v1/accounts/{two}"), json!({"name": "x"})).await.refused(403, "permission_denied");
        }).await;
    }

    async fn s10_an_assumed_write_stands_in_both_logs(database) {
        Api::run(database, async |api| {
            let [root, two, three] = api.line("Acme").await;
            let key = api.key_of(&root).await;
            let renamed = key.assuming(&two).patch(&format!("/v1/accounts/{three}"), json!({"name": "Renamed"})).await.ok();
            let request = renamed.header("x-request-id").to_owned();
            for (id, whose) in [(&root, "the actor's"), (&two, "the subject's"), (&three, "the account's own")] {
                let log = api.key_of(id).await.get(&format!("/v1/accounts/{id}/audit-log?action=account.updated")).await.ok();
                let rows = log.body["data"].as_array().expect("rows");
                let [row] = rows.as_slice() else { panic!("{whose} log has {} rows", rows.len()) };
                assert_eq!((&row["actor"]["accountId"], &row["subject"], &row["accountId"]), (&json!(root), &json!(two), &json!(three)));
                assert_eq!((row["requestId"].as_str(), &row["actor"]["kind"]), (Some(request.as_str()), &json!("key")));
                assert_eq!(row["detail"], json!({"name": {"from": "Acme 3", "to": "Renamed"}}));
            }
        }).await;
    }

    async fn s11_a_moved_account_is_out_of_reach_at_once(database) {
        Api::run(database, async |api| {
            let (left, right) = (api.root("Left").await, api.root("Right").await);
            let child = api.child(&left, "Child").await;
            let (old, new) = (api.key_of(&left).await, api.key_of(&right).await);
            for _ in 0..10 {
                let reads = async {
                    for _ in 0..20 {
                        let answer = old.assuming(&child).get("/org").await;
                        assert!(answer.status == 200 || answer.body["code"] == "assume_forbidden", "{:#}", answer.body);
                    }
                };
                let moves = async {
                    api.operator().move_below(&child, &right).await.ok();
                    old.assuming(&child).get("/org").await.refused(403, "assume_forbidden");
                    new.assuming(&child).get("/org").await.ok();
                };
                tokio::join!(reads, moves);
                api.operator().move_below(&child, &left).await.ok();
            }
        }).await;
    }
}
