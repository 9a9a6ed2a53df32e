//! Members and roles: who may give what to whom, and what reaches down.

use serde_json::{Value, json};
use tenantry_testkit::both_engines;

use crate::support::{Api, fields};

fn members(account: &str) -> String {
    format!("/v1/accounts/{account}/members")
}

/// The listed members: name, role and source.
fn listed(body: &Value) -> Vec<(&str, &str, &str)> {
    let rows = body["data"].as_array().expect("a list").iter();
    rows.map(|member| {
        let text = |field: &str| member[field].as_str().expect("text");
        (text("name"), text("role"), text("source"))
    })
    .collect()
}

both_engines! {
    async fn s26_nobody_reaches_above_their_rank(database) {
        Api::run(database, async |api| {
            let org = api.root("Acme").await;
            let admin = api.member(&org, "admin", "admin").await;
            let maintainer = api.member(&org, "maintainer", "maintainer").await;
            let member = api.member(&org, "member", "member").await;
            let (at, invitations) = (members(&org), format!("/v1/accounts/{org}/invitations"));
            let role = |role: &str| json!({"role": role});
            maintainer.post(&invitations, json!({"email": "x@example.com", "role": "admin"})).await.refused(403, "rank_exceeded");
            maintainer.patch(&format!("{at}/{}", maintainer.id), role("admin")).await.refused(403, "own_role");
            maintainer.patch(&format!("{at}/{}", maintainer.id), role("member")).await.refused(403, "own_role");
            maintainer.patch(&format!("{at}/{}", member.id), role("admin")).await.refused(403, "rank_exceeded");
            maintainer.patch(&format!("{at}/{}", admin.id), role("member")).await.refused(403, "rank_exceeded");
            maintainer.delete(&format!("{at}/{}", admin.id)).await.refused(409, "last_admin");
            admin.patch(&format!("{at}/{}", admin.id), role("member")).await.refused(409, "last_admin");
            admin.delete(&format!("{at}/{}", admin.id)).await.refused(409, "admin_cannot_leave");
            admin.act(&format!("/v1/accounts/{org}/leave")).await.refused(409, "admin_cannot_leave");
            member.patch(&format!("{at}/{}", maintainer.id), role("member")).await.refused(403, "permission_denied");
            admin.patch(&format!("{at}/{}", member.id), role("nobody")).await.refused(400, "invalid_field");
            // A maintainer does what is below them; an admin hands the role over.
            maintainer.patch(&format!("{at}/{}", member.id), role("maintainer")).await.ok();
            admin.patch(&format!("{at}/{}", maintainer.id), role("admin")).await.ok();
            admin.patch(&format!("{at}/{}", admin.id), role("maintainer")).await.ok();
            admin.act(&format!("/v1/accounts/{org}/leave")).await.ok();
            admin.get(&at).await.refused(404, "not_found");
            assert_eq!(listed(&maintainer.get(&at).await.ok().body), [("maintainer", "admin", "direct"), ("member", "maintainer", "direct")]);
        }).await;
    }

    async fn custom_roles_hold_what_they_say_here_and_below(database) {
        Api::run(database, async |api| {
            let [root, child] = api.line("Acme").await;
            let stranger = api.root("Other").await;
            let admin = api.member(&root, "admin", "admin").await;
            let roles = format!("/v1/accounts/{root}/roles");
            let new = |name: &str, permissions: Value| json!({"name": name, "permissions": permissions});
            let auditor = admin.post(&roles, new("Auditor", json!(["account.read", "audit.read"]))).await.created();
            assert_eq!((&auditor.body["reachesDown"], &auditor.body["assignable"]), (&json!(true), &json!(true)));
            for taken in ["auditor", "admin", "Member"] {
                admin.post(&roles, new(taken, json!([]))).await.refused(409, "role_name_taken");
            }
            admin.post(&roles, new("odd", json!(["no.such"]))).await.refused(400, "invalid_field");
            // It can be given below, but not elsewhere.
            let ann = api.member(&child, "ann", "Auditor").await;
            let invitation = json!({"email": "x@example.com", "role": auditor.id()});
            api.operator().post(&format!("/v1/accounts/{stranger}/invitations"), invitation).await.refused(400, "invalid_field");
            ann.get(&format!("/v1/accounts/{child}/audit-log")).await.ok();
            ann.get(&members(&child)).await.refused(403, "permission_denied");
            // What the role holds counts at once, and it is there as long as somebody holds it.
            let at = format!("{roles}/{}", auditor.id());
            admin.patch(&at, json!({"permissions": ["account.read", "member.read"]})).await.ok();
            ann.get(&members(&child)).await.ok();
            ann.get(&format!("/v1/accounts/{child}/audit-log")).await.refused(403, "permission_denied");
            admin.delete(&at).await.refused(409, "role_in_use");
            // A maintainer makes no role wider than their own.
            let maintainer = api.member(&root, "maintainer", "maintainer").await;
            maintainer.post(&roles, new("boss", json!(["account.close"]))).await.refused(403, "rank_exceeded");
            let wide = admin.post(&roles, new("closer", json!(["account.close"]))).await.created().id();
            maintainer.patch(&format!("{roles}/{wide}"), json!({"permissions": []})).await.refused(403, "rank_exceeded");
            maintainer.delete(&format!("{roles}/{wide}")).await.refused(403, "rank_exceeded");
            // Away from the account that made it, the role counts for nothing, until the account comes back.
            api.operator().delete(&format!("/v1/accounts/{child}/parent")).await.ok();
            ann.get(&members(&child)).await.refused(404, "not_found");
            api.operator().move_below(&child, &root).await.ok();
            ann.get(&members(&child)).await.ok();
            api.operator().delete(&format!("{}/{}", members(&child), ann.id)).await.ok();
            admin.delete(&at).await.ok();
        }).await;
    }

    async fn people_above_administer_what_is_below_and_are_listed_there(database) {
        Api::run(database, async |api| {
            let [root, child, leaf] = api.line("Acme").await;
            let above = api.member(&root, "above", "admin").await;
            api.member(&root, "reader", "member").await;
            let own = api.member(&child, "own", "admin").await;
            let ann = api.member(&child, "ann", "member").await;
            let all = above.get(&members(&child)).await.ok().body;
            assert_eq!(listed(&all), [("own", "admin", "direct"), ("ann", "member", "direct"), ("above", "admin", "inherited")]);
            assert_eq!((&all["pagination"]["total"], &all["data"][2]["accountId"]), (&json!(3), &json!(root)));
            // Who cannot see the account above is told that there is somebody, but not more.
            let seen = own.get(&format!("{}?source=inherited", members(&child))).await.ok().body;
            assert_eq!((&seen["data"][0]["name"], &seen["data"][0]["email"], &seen["data"][0]["accountId"]), (&json!("above"), &json!(null), &json!(null)));
            let last = own.get(&format!("{}?limit=1&offset=2", members(&child))).await.ok().body;
            assert_eq!((listed(&last)[0].0, &last["pagination"]["total"]), ("above", &json!(3)));
            // S03: rights on one account are none on another.
            own.delete(&format!("{}/{}", members(&root), above.id)).await.refused(404, "not_found");
            ann.get(&format!("/v1/accounts/{leaf}")).await.refused(404, "not_found");
            own.get(&format!("/v1/accounts/{leaf}")).await.ok();
            // From above, members are given roles, invited and removed.
            above.patch(&format!("{}/{}", members(&child), ann.id), json!({"role": "maintainer"})).await.ok();
            above.delete(&format!("{}/{}", members(&child), ann.id)).await.ok();
            above.delete(&format!("{}/{}", members(&child), own.id)).await.refused(409, "last_admin");
            // Shut out, they still see the account and its log, and nothing else.
            own.patch(&format!("/v1/accounts/{child}"), json!({"inheritAdmins": false})).await.ok();
            let denied = above.post(&format!("/v1/accounts/{child}/invitations"), json!({"email": "x@example.com", "role": "member"}))
                .await.refused(403, "permission_denied");
            assert!(denied.text("detail").contains(&format!("{child} does not inherit administrators")), "{}", denied.text("detail"));
            above.get(&format!("/v1/accounts/{child}/audit-log")).await.ok();
            above.get(&format!("/v1/accounts/{leaf}")).await.ok();
            above.patch(&format!("/v1/accounts/{leaf}"), json!({"name": "x"})).await.refused(403, "permission_denied");
        }).await;
    }

    async fn s35_nobody_touches_those_above(database) {
        Api::run(database, async |api| {
            let [root, child] = api.line("Acme").await;
            let above = api.member(&root, "above", "admin").await;
            let own = api.member(&child, "own", "admin").await;
            for role in ["member", "admin"] {
                own.patch(&format!("{}/{}", members(&child), above.id), json!({"role": role})).await.refused(403, "membership_inherited");
            }
            own.delete(&format!("{}/{}", members(&child), above.id)).await.refused(403, "membership_inherited");
            own.delete(&format!("{}/{}", members(&root), above.id)).await.refused(404, "not_found");
            let nobody = "usr_7zzzzzzzzzzzzzzzzzzzzzzzzz";
            own.delete(&format!("{}/{nobody}", members(&child))).await.refused(404, "not_found");
        }).await;
    }

    async fn s15_members_manage_their_own_keys_and_lose_them_with_the_membership(database) {
        Api::run(database, async |api| {
            let org = api.root("Acme").await;
            let (admin, ann) = (api.member(&org, "admin", "admin").await, api.member(&org, "ann", "member").await);
            let keys = format!("/v1/accounts/{org}/keys");
            let own = ann.post(&keys, json!({"name": "mine"})).await.created();
            assert_eq!((&own.body["userId"], &own.body["makerId"], &own.body["scopes"]), (&json!(ann.id), &json!(ann.id), &json!(null)));
            ann.post(&keys, json!({"name": "theirs", "userId": admin.id})).await.refused(403, "permission_denied");
            let account_key = admin.post(&keys, json!({"name": "production"})).await.created();
            assert_eq!(account_key.body["userId"], json!(null));
            // S21, S32: each sees what is theirs.
            assert_eq!(ann.get(&keys).await.ok().names(), ["mine"]);
            assert_eq!(admin.get(&keys).await.ok().names(), ["mine", "production"]);
            ann.get(&format!("{keys}/{}", account_key.id())).await.refused(404, "not_found");
            ann.act(&format!("{keys}/{}/revoke", account_key.id())).await.refused(404, "not_found");
            // S14: wider than oneself is refused; S15: a key shrinks and grows with who made it.
            ann.post(&keys, json!({"name": "wide", "scopes": ["account.close"]})).await.refused(403, "scope_exceeded");
            let (mine, production) = (api.key(&own.text("secret")), api.key(&account_key.text("secret")));
            mine.get(&format!("/v1/accounts/{org}")).await.ok();
            mine.patch(&format!("/v1/accounts/{org}"), json!({"name": "x"})).await.refused(403, "permission_denied");
            admin.patch(&format!("{}/{}", members(&org), ann.id), json!({"role": "maintainer"})).await.ok();
            mine.patch(&format!("/v1/accounts/{org}"), json!({"name": "Acme 2"})).await.ok();
            let made_by_key = mine.post(&keys, json!({"name": "made by a key"})).await.created();
            assert_eq!((&made_by_key.body["makerId"], &made_by_key.body["userId"]), (&json!(ann.id), &json!(null)));
            admin.patch(&format!("{}/{}", members(&org), ann.id), json!({"role": "member"})).await.ok();
            let made_by_key = api.key(&made_by_key.text("secret"));
            made_by_key.patch(&format!("/v1/accounts/{org}"), json!({"name": "x"})).await.refused(403, "permission_denied");
            // For a member, an admin makes keys that never do more than the member.
            let given = admin.post(&keys, json!({"name": "given", "userId": ann.id})).await.created();
            let given = api.key(&given.text("secret"));
            given.patch(&format!("/v1/accounts/{org}"), json!({"name": "x"})).await.refused(403, "permission_denied");
            admin.post(&keys, json!({"name": "odd", "userId": "usr_7zzzzzzzzzzzzzzzzzzzzzzzzz"})).await.refused(400, "invalid_field");
            // Rotated by the admin, a key is the admin's to answer for.
            let removed = admin.delete(&format!("{}/{}", members(&org), ann.id)).await.ok();
            assert_eq!(removed.body["keysRevoked"], 2);
            for key in [&mine, &given, &made_by_key] {
                key.get("/org").await.refused(401, "key_revoked");
            }
            production.get("/org").await.ok();
            ann.get(&format!("/v1/accounts/{org}")).await.refused(404, "not_found");
            ann.get("/v1/users/me").await.ok();
        }).await;
    }

    async fn a_rotated_key_belongs_to_who_rotated_it(database) {
        Api::run(database, async |api| {
            let org = api.root("Acme").await;
            let (admin, ben) = (api.member(&org, "admin", "admin").await, api.member(&org, "ben", "maintainer").await);
            let keys = format!("/v1/accounts/{org}/keys");
            let made = ben.post(&keys, json!({"name": "production"})).await.created();
            let rotated = admin.post(&format!("{keys}/{}/rotate", made.id()), json!({"overlap": "24h"})).await.created();
            assert_eq!(rotated.body["makerId"], json!(admin.id));
            admin.delete(&format!("{}/{}", members(&org), ben.id)).await.ok();
            api.key(&made.text("secret")).get("/org").await.refused(401, "key_revoked");
            api.key(&rotated.text("secret")).get("/org").await.ok();
        }).await;
    }

    async fn s32_a_member_reads_what_members_may(database) {
        Api::run(database, async |api| {
            let org = api.root("Acme").await;
            let ann = api.member(&org, "ann", "member").await;
            let shown = ann.get(&members(&org)).await.ok().body;
            assert_eq!(
                fields(&shown["data"][0]),
                ["accountId", "email", "lastSeenAt", "name", "role", "roleId", "secondFactor", "since", "source", "userId"]
            );
            for at in ["invitations", "audit-log", "enrollment-links"] {
                ann.get(&format!("/v1/accounts/{org}/{at}")).await.refused(403, "permission_denied");
            }
        }).await;
    }

    async fn s37_an_organization_is_canceled_when_nobody_else_is_left(database) {
        Api::run(database, async |api| {
            let org = api.root("Acme").await;
            let admin = api.member(&org, "admin", "admin").await;
            let (ben, maintainer) = (api.member(&org, "ben", "member").await, api.member(&org, "max", "maintainer").await);
            let (at, keys) = (format!("/v1/accounts/{org}/organization-subscription"), format!("/v1/accounts/{org}/keys"));
            let key = api.key(&admin.post(&keys, json!({"name": "k"})).await.created().text("secret"));
            maintainer.delete(&at).await.refused(403, "permission_denied");
            let left = admin.delete(&at).await.refused(409, "members_remain");
            assert!(left.text("detail").contains(&ben.id) && left.text("detail").contains("max@example.com"), "{}", left.text("detail"));
            let pending = api.invite(&api.operator(), &org, "late@example.com", "member").await;
            for person in [&ben, &maintainer] {
                admin.delete(&format!("{}/{}", members(&org), person.id)).await.ok();
            }
            assert_eq!(admin.delete(&at).await.ok().text("status"), "canceled");
            admin.delete(&at).await.ok();
            key.get("/org").await.ok();
            admin.post(&format!("/v1/accounts/{org}/invitations"), json!({"email": "x@example.com", "role": "member"}))
                .await.refused(409, "organization_canceled");
            let accept = json!({"token": pending, "name": "Late", "password": crate::support::PASSWORD});
            api.anonymous().post("/v1/invitations/accept", accept.clone()).await.refused(409, "organization_canceled");
            admin.post(&keys, json!({"name": "still mine"})).await.created();
            assert_eq!(admin.act(&at).await.ok().text("status"), "active");
            api.anonymous().post("/v1/invitations/accept", accept).await.ok();
        }).await;
    }

    async fn every_change_of_seats_is_an_event(database) {
        Api::run(database, async |api| {
            let org = api.root("Acme").await;
            let admin = api.member(&org, "admin", "admin").await;
            let ben = api.member(&org, "ben", "member").await;
            let max = api.member(&org, "max", "maintainer").await;
            max.act(&format!("/v1/accounts/{org}/leave")).await.ok();
            admin.delete(&format!("{}/{}", members(&org), ben.id)).await.ok();
            let log = admin.get(&format!("/v1/accounts/{org}/audit-log?limit=100")).await.ok().body;
            let rows = log["data"].as_array().expect("rows").iter().rev();
            let seats: Vec<_> = rows
                .filter(|row| row["action"].as_str().expect("text").starts_with("member."))
                .map(|row| (row["action"].as_str().expect("text"), row["detail"]["seats"].as_i64().expect("a number")))
                .collect();
            assert_eq!(seats, [("member.added", 1), ("member.added", 2), ("member.added", 3), ("member.left", 2), ("member.removed", 1)]);
            assert_eq!(api.account(&org).await["userCount"], 1);
        }).await;
    }
}
