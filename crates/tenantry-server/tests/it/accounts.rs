//! Accounts: what they inherit, how they change, and what comes of their status.

use serde_json::json;
use tenantry_core::time::Span;
use tenantry_testkit::both_engines;

use crate::support::{Answer, Api};

both_engines! {
    async fn lists_show_what_the_caller_can_see(database) {
        Api::run(database, async |api| {
            let [root, two, three] = api.line("Acme").await;
            api.root("Elsewhere").await;
            let key = api.key_of(&two).await;

            let all = api.operator().get("/v1/accounts").await.ok();
            assert_eq!(all.names(), ["Acme", "Acme 2", "Acme 3", "Elsewhere"]);
            let own = key.get("/v1/accounts").await.ok();
            assert_eq!(own.names(), ["Acme 2", "Acme 3"]);
            assert_eq!(own.body["pagination"], json!({"limit": 10, "offset": 0, "total": 2}));
            assert_eq!(key.get("/v1/accounts?limit=1").await.ok().names(), ["Acme 2"]);
            assert_eq!(key.get("/v1/accounts?limit=1&offset=1").await.ok().names(), ["Acme 3"]);
            assert_eq!(key.get("/v1/accounts?offset=2").await.ok().names(), Vec::<&str>::new());

            let descendants = api.operator().get(&format!("/v1/accounts/{root}/descendants")).await.ok();
            assert_eq!(descendants.names(), ["Acme 2", "Acme 3"]);
            let ancestors = api.operator().get(&format!("/v1/accounts/{three}/ancestors")).await.ok();
            assert_eq!(ancestors.names(), ["Acme", "Acme 2"]);
            // The root is invisible from below.
            let seen = key.get(&format!("/v1/accounts/{three}/ancestors")).await.ok();
            assert_eq!((seen.names(), &seen.body["pagination"]["total"]), (vec!["Acme 2"], &json!(1)));

            let tree = api.operator().get(&format!("/v1/accounts/{root}/tree")).await.ok().body;
            assert_eq!(tree["truncated"], false);
            assert_eq!(tree["root"]["children"][0]["children"][0]["name"], "Acme 3");
        }).await;
    }

    async fn s02_a_child_sees_neither_parent_nor_sibling(database) {
        Api::run(database, async |api| {
            let [root, two, _] = api.line("Acme").await;
            let sibling = api.child(&root, "Sibling").await;
            let key = api.key_of(&two).await;
            for id in [&root, &sibling] {
                for path in ["", "/children", "/descendants", "/ancestors", "/tree", "/settings", "/keys", "/audit-log"] {
                    key.get(&format!("/v1/accounts/{id}{path}")).await.refused(404, "not_found");
                }
            }
        }).await;
    }

    async fn own_fields_change_under_if_match(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let at = format!("/v1/accounts/{root}");
            let key = api.key_of(&root).await;
            let first = key.get(&at).await.ok();
            assert_eq!(first.header("etag"), "\"1\"");
            let patch = |tag: &str, body| Answer::of(key.request(reqwest::Method::PATCH, &at).header("if-match", tag).json(&body));
            let renamed = patch("\"1\"", json!({"name": "Acme Ltd", "metadata": {"tier": 3}})).await.ok();
            assert_eq!((renamed.text("name"), renamed.header("etag")), ("Acme Ltd".to_owned(), "\"2\""));
            assert_eq!(renamed.body["metadata"], json!({"tier": 3}));
            patch("\"1\"", json!({"name": "Lost"})).await.refused(412, "version_stale");
            patch("2", json!({"name": "Lost"})).await.refused(400, "if_match_invalid");
            patch("*", json!({"email": "new@example.com"})).await.ok();
            // Nothing changed: nothing recorded, the version stays.
            let same = key.patch(&at, json!({"name": "Acme Ltd"})).await.ok();
            assert_eq!((same.header("etag"), same.header("x-tenantry-rev")), ("\"3\"", ""));
        }).await;
    }

    async fn suspension_reaches_down_and_is_lifted_from_the_top(database) {
        Api::run(database, async |api| {
            let [root, two, three] = api.line("Acme").await;
            let (top, bottom) = (api.key_of(&root).await, api.key_of(&three).await);
            bottom.get("/org").await.ok();
            let suspended = top.act(&format!("/v1/accounts/{two}/suspend")).await.ok();
            assert_eq!((suspended.text("status"), suspended.text("effectiveStatus")), ("suspended".into(), "suspended".into()));
            let below = api.account(&three).await;
            assert_eq!((below["status"].as_str(), below["effectiveStatus"].as_str()), (Some("active"), Some("suspended")));

            // Its keys stop at once; those above go on.
            bottom.get("/org").await.refused(403, "account_suspended");
            bottom.act(&format!("/v1/accounts/{three}/activate")).await.refused(403, "account_suspended");
            top.act(&format!("/v1/accounts/{three}/activate")).await.refused(409, "parent_suspended");
            top.act(&format!("/v1/accounts/{two}/suspend")).await.ok();
            top.act(&format!("/v1/accounts/{two}/activate")).await.ok();
            bottom.get("/org").await.ok();
        }).await;
    }

    async fn closing_is_for_good_and_children_come_first(database) {
        Api::run(database, async |api| {
            let [root, two, three] = api.line("Acme").await;
            let key = api.key_of(&three).await;
            let close = async |id: &str| api.operator().act(&format!("/v1/accounts/{id}/close")).await;
            close(&two).await.refused(409, "has_children");
            close(&three).await.ok();
            key.get("/org").await.refused(403, "account_closed");
            close(&three).await.ok();
            close(&two).await.ok();
            assert_eq!(api.account(&root).await["childCount"], 0);
            let operator = api.operator();
            operator.act(&format!("/v1/accounts/{two}/activate")).await.refused(409, "closed_is_terminal");
            operator.patch(&format!("/v1/accounts/{two}"), json!({"name": "x"})).await.refused(409, "closed_is_terminal");
            operator.post(&format!("/v1/accounts/{two}/keys"), json!({"name": "x"})).await.refused(409, "closed_is_terminal");
            // It still stands in the list, by its status.
            let closed = operator.get(&format!("/v1/accounts/{root}/children?status=closed")).await.ok();
            assert_eq!(closed.names(), ["Acme 2"]);
        }).await;
    }

    async fn closed_accounts_are_purged_after_thirty_days(database) {
        Api::run(database, async |api| {
            let [root, two, three] = api.line("Acme").await;
            let secret = api.new_key(&three, json!({"name": "k"})).await.text("secret");
            let resource = json!({"kind": "device", "name": "d"});
            let operator = api.operator();
            let made = operator.post(&format!("/v1/accounts/{two}/resources"), resource).await.created().id();
            operator.post(&format!("/v1/accounts/{two}/resources/{made}/shares"), json!({"to": three})).await.created();
            operator.act(&format!("/v1/accounts/{three}/close")).await.ok();
            api.clock.advance(Span::days(1));
            operator.act(&format!("/v1/accounts/{two}/close")).await.ok();

            api.clock.advance(Span::days(29));
            api.running.purge().await.expect("purge");
            api.account(&three).await;
            api.clock.advance(Span::seconds(1));
            api.running.purge().await.expect("purge");
            operator.get(&format!("/v1/accounts/{three}")).await.refused(404, "not_found");
            api.account(&two).await;
            api.key(&secret).get("/org").await.refused(401, "key_unknown");
            api.clock.advance(Span::days(1));
            api.running.purge().await.expect("purge");
            operator.get(&format!("/v1/accounts/{two}")).await.refused(404, "not_found");

            // What happened stays on record, above.
            let log = operator.get(&format!("/v1/accounts/{root}/audit-log?action=account.purged")).await.ok();
            assert_eq!(log.body["data"][0]["actor"]["kind"], "system");
        }).await;
    }

    async fn limits_belong_to_the_root_and_the_operator(database) {
        Api::run(database, async |api| {
            let [root, two] = api.line("Acme").await;
            let put = async |id: &str, body| api.operator().put(&format!("/v1/accounts/{id}/limits"), body).await;
            api.key_of(&root).await.put(&format!("/v1/accounts/{root}/limits"), json!({})).await.refused(403, "operator_only");
            put(&two, json!({"maxDepth": 3})).await.refused(409, "not_a_root");
            put(&root, json!({"maxDepth": 17})).await.refused(400, "invalid_field");
            put(&root, json!({"superOrganization": true, "maxChildren": 5})).await.refused(400, "invalid_field");
            let limits = async |body| put(&root, body).await.ok().body["limits"].clone();
            assert_eq!(limits(json!({"maxDepth": 2})).await, json!({"maxDepth": 2, "maxChildren": 100}));
            let new = json!({"name": "x", "email": "x@example.com"});
            api.operator().post(&format!("/v1/accounts/{two}/children"), new.clone()).await.refused(409, "depth_exceeded");
            assert_eq!(limits(json!({"superOrganization": true})).await, json!({"maxDepth": 2, "maxChildren": null}));
            assert_eq!(limits(json!({"maxDepth": null})).await, json!({"maxDepth": null, "maxChildren": null}));
            assert_eq!(limits(json!({"superOrganization": false})).await, json!({"maxDepth": null, "maxChildren": 100}));
            // Lowering a limit keeps what is there, and refuses additions.
            assert_eq!(limits(json!({"maxChildren": 0})).await, json!({"maxDepth": null, "maxChildren": 0}));
            api.operator().post(&format!("/v1/accounts/{root}/children"), new).await.refused(409, "children_exceeded");
        }).await;
    }

    async fn detaching_starts_a_tree_with_default_limits(database) {
        Api::run(database, async |api| {
            let [root, two, three] = api.line("Acme").await;
            api.operator().put(&format!("/v1/accounts/{root}/limits"), json!({"superOrganization": true, "maxDepth": 7})).await.ok();
            api.operator().delete(&format!("/v1/accounts/{two}/parent")).await.ok();
            let (top, below) = (api.account(&two).await, api.account(&three).await);
            assert_eq!((&top["rootId"], &top["depth"], &top["limits"]), (&json!(two), &json!(1), &json!({"maxDepth": 5, "maxChildren": 100})));
            assert_eq!((&below["rootId"], &below["depth"], &top["billingMode"]), (&json!(two), &json!(2), &json!("owned")));
            // The old tree is out of its sight, and it is out of the old tree's.
            api.key_of(&root).await.get(&format!("/v1/accounts/{two}")).await.refused(404, "not_found");
            // And back: the tree of its own is gone with its limits.
            api.operator().move_below(&two, &root).await.ok();
            assert_eq!(api.account(&three).await["rootId"], json!(root));
        }).await;
    }

    async fn personal_accounts_stand_alone(database) {
        Api::run(database, async |api| {
            let body = json!({"name": "Ada", "email": "ada@example.com", "kind": "personal"});
            let ada = api.operator().post("/v1/accounts", body).await.created().id();
            let root = api.root("Acme").await;
            let new = json!({"name": "x", "email": "x@example.com"});
            api.operator().post(&format!("/v1/accounts/{ada}/children"), new).await.refused(409, "personal_account");
            api.operator().move_below(&ada, &root).await.refused(409, "personal_account");
            api.operator().move_below(&root, &ada).await.refused(409, "personal_account");
        }).await;
    }

    async fn a_dry_run_tells_and_changes_nothing(database) {
        Api::run(database, async |api| {
            let [root, two, three] = api.line("Acme").await;
            let other = api.child(&root, "Other").await;
            let before = api.running.app.store.tree_digest().await.expect("digest");
            let operator = api.operator();
            let created = operator.post(&format!("/v1/accounts/{three}/children?dryRun=true"), json!({"name": "x", "email": "x@example.com"})).await.ok();
            assert_eq!((&created.body["dryRun"], &created.body["action"], &created.body["result"]["name"]), (&json!(true), &json!("account.created"), &json!("x")));
            let moved = operator.patch(&format!("/v1/accounts/{two}/parent?dryRun=true"), json!({"parentId": other})).await.ok();
            assert_eq!(moved.body["changes"], json!({"accounts": 2, "depth": {"from": 2, "to": 3}, "parentId": {"from": root, "to": other}}));
            let detached = operator.delete(&format!("/v1/accounts/{two}/parent?dryRun=true")).await.ok();
            assert_eq!(detached.body["changes"]["rootId"], json!({"from": root, "to": two}));
            let key = operator.post(&format!("/v1/accounts/{two}/keys?dryRun=true"), json!({"name": "k"})).await.ok();
            assert_eq!(key.body["result"]["secret"], json!(null));
            operator.patch(&format!("/v1/accounts/{two}/parent?dryRun=true"), json!({"parentId": three})).await.refused(409, "cycle");
            assert_eq!(api.running.app.store.tree_digest().await.expect("digest"), before);
        }).await;
    }
}
