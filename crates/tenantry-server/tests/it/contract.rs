//! The published contracts, key for key: what clients in the field send and parse.

use reqwest::Method;
use serde_json::json;
use tenantry_testkit::both_engines;

use crate::support::{Answer, Api, NOBODY, fields};

/// The curl lines of the hierarchy's documentation, with only host, id and token changed.
async fn hierarchy(api: &Api, prefix: &str) {
    let root = api.root("Acme").await;
    let token = api.key_of(&root).await.credential.expect("a key");
    let http = reqwest::Client::new();
    let curl = |method: Method, path: String| {
        http.request(method, format!("{}{prefix}{path}", api.base)).header("X-Auth-Token", &token)
    };

    let body = r#"{"name": "Acme - Chicago Office", "email": "chicago@acme.com", "settings": {"timezone": "America/Chicago"}}"#;
    let created = Answer::of(
        curl(Method::POST, format!("/accounts/{root}/children")).header("Content-Type", "application/json").body(body),
    )
    .await
    .created();
    let chicago = created.id();
    let at = created.text("createdAt");
    assert_eq!(
        created.body,
        json!({"id": chicago, "name": "Acme - Chicago Office", "parent_id": root, "email": "chicago@acme.com",
            "status": "active", "createdAt": "2026-01-31T12:00:00Z"})
    );

    let listed = Answer::of(curl(Method::GET, format!("/accounts/{root}/children?limit=20"))).await.ok();
    assert_eq!(
        listed.body,
        json!({"data": [{"id": chicago, "name": "Acme - Chicago Office", "status": "active", "createdAt": at,
            "userCount": 0, "deviceCount": 0}], "pagination": {"limit": 20, "offset": 0, "total": 1}})
    );
    let none = Answer::of(curl(Method::GET, format!("/accounts/{root}/children?status=closed"))).await.ok();
    assert_eq!(none.body, json!({"data": [], "pagination": {"limit": 10, "offset": 0, "total": 0}}));

    let boston = api.child(&root, "Boston").await;
    let moved = Answer::of(
        curl(Method::PATCH, format!("/accounts/{chicago}/parent"))
            .header("Content-Type", "application/json")
            .body(format!(r#"{{"parentId": "{boston}", "inheritSettings": true}}"#)),
    )
    .await
    .ok();
    assert_eq!(
        moved.body,
        json!({"id": chicago, "name": "Acme - Chicago Office", "parent_id": boston, "status": "active",
            "inheritSettings": true, "updatedAt": "2026-01-31T12:00:00Z"})
    );

    let detached = Answer::of(curl(Method::DELETE, format!("/accounts/{chicago}/parent"))).await.ok();
    assert_eq!(
        detached.body,
        json!({"id": chicago, "name": "Acme - Chicago Office", "parent_id": null, "status": "active",
            "message": "Account is now a root account"})
    );
}

both_engines! {
    async fn hierarchy_under_both_prefixes(database) {
        Api::run(database, async |api| {
            hierarchy(api, "/v1").await;
            hierarchy(api, "/v2").await;
        }).await;
    }

    async fn super_organization(database) {
        Api::run(database, async |api| {
            let root = api.root("Super").await;
            api.operator().put(&format!("/v1/accounts/{root}/limits"), json!({"superOrganization": true})).await.ok();
            let child = api.child(&root, "Child").await;
            let grandchild = api.child(&child, "Grandchild").await;
            let key = api.key_of(&root).await;
            assert!(key.credential.as_ref().is_some_and(|key| key.len() >= 32));

            for prefix in ["", "/v1", "/v2"] {
                let org = key.get(&format!("{prefix}/org")).await.ok();
                assert_eq!((org.text("orgId"), org.text("orgName")), (root.clone(), "Super".to_owned()));
                assert_eq!(org.body["superOrganization"], true);
                let assumed = key.assuming(&child).get(&format!("{prefix}/org")).await.ok();
                assert_eq!((assumed.text("orgId"), assumed.text("orgName")), (child.clone(), "Child".to_owned()));
                assert_eq!(assumed.body["superOrganization"], false);

                let children = key.get(&format!("{prefix}/org/child_orgs")).await.ok();
                let [row] = children.body.as_array().expect("an array").as_slice() else { panic!("one child") };
                assert_eq!((row["orgId"].as_str(), row["creditsUsed"].as_i64()), (Some(child.as_str()), Some(0)));
                let below = key.assuming(&child).get(&format!("{prefix}/org/child_orgs")).await.ok();
                assert_eq!(below.body[0]["orgId"], grandchild.as_str());

                let secrets = key.get(&format!("{prefix}/secrets")).await.ok();
                assert_eq!(secrets.fields(), ["apiKey", "webhookSecret", "webhookUrl"]);
                let masked = secrets.text("apiKey");
                assert!(masked.starts_with("tny_live_…"), "{masked}");
            }
            // The gateway listener serves the contract, and nothing of the control plane.
            let gateway = format!("http://{}", api.running.gateway.expect("bound"));
            let get = |path: &str| Answer::of(reqwest::Client::new().get(format!("{gateway}{path}")).header("x-api-key", key.credential.clone().expect("key")));
            assert_eq!(get("/org").await.ok().text("orgId"), root);
            get("/org/child_orgs").await.ok();
            get("/secrets/").await.ok();
            get("/v1/accounts").await.refused(404, "endpoint_unknown");

            api.operator().get("/org").await.refused(400, "assume_required");
            assert_eq!(api.operator().assuming(&child).get("/org").await.ok().text("orgId"), child);
        }).await;
    }

    /// The fixed body of an account.
    async fn account_has_the_fields_of_the_design(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let account = api.account(&root).await;
            let mut expected = vec![
                "id", "name", "email", "kind", "parent_id", "rootId", "depth", "status", "effectiveStatus", "settings",
                "inheritSettings", "inheritAdmins", "billingMode", "superOrganization", "limits", "metadata", "childCount",
                "userCount", "deviceCount", "createdAt", "updatedAt",
            ];
            expected.sort_unstable();
            assert_eq!(fields(&account), expected);
            assert_eq!(account["limits"], json!({"maxDepth": 5, "maxChildren": 100}));
        }).await;
    }

    async fn s12_moves_and_creations_that_are_refused_change_nothing(database) {
        Api::run(database, async |api| {
            let [root, two, three, four, five] = api.line("Acme").await;
            let elsewhere = api.root("Elsewhere").await;
            let key = api.key_of(&root).await;
            let before = api.running.app.store.tree_digest().await.expect("digest");
            let new = json!({"name": "x", "email": "x@example.com"});

            key.post(&format!("/v1/accounts/{five}/children"), new.clone()).await.refused(409, "depth_exceeded");
            key.move_below(&two, &two).await.refused(409, "self_parent");
            key.move_below(&two, &four).await.refused(409, "cycle");
            key.move_below(&root, &five).await.refused(409, "cycle");
            // A tree that the caller does not hold is as good as one that does not exist.
            key.move_below(&two, &elsewhere).await.refused(404, "not_found");
            key.move_below(&two, NOBODY).await.refused(404, "not_found");
            key.move_below(&elsewhere, &root).await.refused(404, "not_found");
            key.move_below(&two, "acc_1").await.refused(400, "invalid_field");
            key.post(&format!("/v1/accounts/{elsewhere}/children"), new.clone()).await.refused(404, "not_found");
            key.delete(&format!("/v1/accounts/{root}/parent")).await.refused(409, "already_root");
            // The child itself does not hold its parent.
            let child = api.key_of(&two).await;
            child.delete(&format!("/v1/accounts/{two}/parent")).await.refused(403, "permission_denied");
            child.move_below(&three, &root).await.refused(404, "not_found");
            assert_eq!(api.running.app.store.tree_digest().await.expect("digest"), before);

            // A subtree of two levels below level four would reach level six.
            let other = api.child(&root, "Other").await;
            api.child(&other, "Below other").await;
            key.move_below(&other, &four).await.refused(409, "depth_exceeded");

            // Closed and suspended parents.
            let closed = api.child(&root, "Closed").await;
            api.operator().act(&format!("/v1/accounts/{closed}/close")).await.ok();
            key.move_below(&three, &closed).await.refused(409, "parent_closed");
            key.post(&format!("/v1/accounts/{closed}/children"), new.clone()).await.refused(409, "parent_closed");
            key.move_below(&closed, &two).await.refused(409, "closed_is_terminal");
            let suspended = api.child(&root, "Suspended").await;
            api.operator().act(&format!("/v1/accounts/{suspended}/suspend")).await.ok();
            key.move_below(&three, &suspended).await.refused(409, "parent_suspended");
        }).await;
    }

    async fn the_hundred_and_first_child_is_refused(database) {
        Api::run(database, async |api| {
            let root = api.root("Full").await;
            let new = json!({"name": "x", "email": "x@example.com"});
            for _ in 0..100 {
                api.child(&root, "x").await;
            }
            let children = format!("/v1/accounts/{root}/children");
            api.operator().post(&children, new.clone()).await.refused(409, "children_exceeded");
            let stranger = api.child(&api.root("Other").await, "Stranger").await;
            api.operator().move_below(&stranger, &root).await.refused(409, "children_exceeded");
            assert_eq!(api.account(&root).await["childCount"], 100);

            // A closed child gives its place back; a super organization has no cap.
            let first = api.operator().get(&format!("{children}?limit=1")).await.ok().body["data"][0]["id"].as_str().expect("id").to_owned();
            api.operator().act(&format!("/v1/accounts/{first}/close")).await.ok();
            api.operator().post(&children, new.clone()).await.created();
            api.operator().post(&children, new.clone()).await.refused(409, "children_exceeded");
            api.operator().put(&format!("/v1/accounts/{root}/limits"), json!({"superOrganization": true})).await.ok();
            api.operator().post(&children, new).await.created();
        }).await;
    }

    /// Two moves that are legal one by one, and a cycle together.
    async fn crossing_moves_at_once_make_no_cycle(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let (a, b) = (api.child(&root, "A").await, api.child(&root, "B").await);
            let operator = api.operator();
            for _ in 0..25 {
                let (one, two) = tokio::join!(operator.move_below(&a, &b), operator.move_below(&b, &a));
                let mut statuses = [one.status, two.status];
                statuses.sort_unstable();
                assert_eq!(statuses, [200, 409], "{:#}\n{:#}", one.body, two.body);
                let refused = if one.status == 409 { one } else { two };
                assert_eq!(refused.body["code"], "cycle");
                let (_, _) = tokio::join!(operator.move_below(&a, &root), operator.move_below(&b, &root));
            }
        }).await;
    }

    /// Two moves between two trees at once: each takes both locks, in the same order.
    async fn crossing_moves_between_trees_do_not_deadlock(database) {
        Api::run(database, async |api| {
            let (left, right) = (api.root("Left").await, api.root("Right").await);
            let (a, b) = (api.child(&left, "A").await, api.child(&right, "B").await);
            let operator = api.operator();
            for _ in 0..25 {
                let (one, two) = tokio::join!(operator.move_below(&a, &right), operator.move_below(&b, &left));
                one.ok();
                two.ok();
                let (one, two) = tokio::join!(operator.move_below(&a, &left), operator.move_below(&b, &right));
                one.ok();
                two.ok();
            }
        }).await;
    }
}
