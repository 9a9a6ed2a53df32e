//! Restrictions and IP allow-lists, on the control plane itself.

use reqwest::Method;
use serde_json::{Value, json};
use tenantry_core::network::Networks;
use tenantry_server::Config;
use tenantry_store::Limits;
use tenantry_testkit::both_engines;

use crate::support::{Answer, Api, Caller, Person};

fn restrictions(account: &str) -> String {
    format!("/v1/accounts/{account}/restrictions")
}

fn allowlists(account: &str) -> String {
    format!("/v1/accounts/{account}/ip-allowlists")
}

/// Nobody is invited.
fn no_invitations() -> Value {
    json!({"mode": "deny", "endpoints": [{"api": "tenantry", "methods": ["POST"], "path": "/v1/accounts/{account}/invitations"}]})
}

async fn invites(who: &Caller<'_>, account: &str, email: &str) -> Answer {
    let body = json!({"email": format!("{email}@example.com"), "role": "member"});
    who.post(&format!("/v2/accounts/{account}/invitations"), body).await
}

async fn staff<'a>(api: &'a Api, account: &str) -> [Person<'a>; 3] {
    [
        api.member(account, "ann", "admin").await,
        api.member(account, "mia", "maintainer").await,
        api.member(account, "bob", "member").await,
    ]
}

both_engines! {
    async fn s36_a_rule_for_the_whole_account_spares_its_admins(database) {
        Api::run(database, async |api| {
            let account = api.root("Acme").await;
            let [ann, mia, bob] = staff(api, &account).await;
            let rule = mia.post(&restrictions(&account), no_invitations()).await.created();
            assert_eq!((rule.text("imposedBy"), rule.text("setBy")), (account.clone(), mia.id.clone()));
            assert_eq!(rule.body["endpoints"], json!([{"api": "tenantry", "methods": ["POST"], "path": "/accounts/{account}/invitations"}]));
            let refused = invites(&mia, &account, "x").await.refused(403, "endpoint_restricted");
            assert!(refused.text("detail").contains(&rule.id()), "{}", refused.text("detail"));
            invites(&ann, &account, "y").await.created();
            // Who signed up before may be read; what a rule does not name stays as it was.
            mia.get(&format!("/v1/accounts/{account}/invitations")).await.ok();

            // A member is denied what their role would give, too.
            let no_members = json!({"mode": "deny", "permissions": ["member.read"]});
            let second = ann.post(&restrictions(&account), no_members).await.created().id();
            let members = format!("/v1/accounts/{account}/members");
            for who in [&bob, &mia] {
                let refused = who.get(&members).await.refused(403, "permission_denied");
                assert!(refused.text("detail").contains(&second));
            }
            ann.get(&members).await.ok();

            // The account does not restrict its own admins.
            let about_ann = json!({"mode": "deny", "subject": {"userId": ann.id}, "permissions": ["key.manage"]});
            mia.post(&restrictions(&account), about_ann.clone()).await.refused(422, "admin_not_restrictable");
            ann.post(&restrictions(&account), about_ann).await.refused(422, "admin_not_restrictable");
            let about_admins = json!({"mode": "deny", "subject": {"role": "admin"}, "permissions": ["key.manage"]});
            ann.post(&restrictions(&account), about_admins).await.refused(422, "admin_not_restrictable");

            // Who may not read members gives no role that may.
            mia.delete(&format!("{}/{second}", restrictions(&account))).await.ok();
            mia.delete(&format!("{}/{}", restrictions(&account), rule.id())).await.ok();
            invites(&mia, &account, "z").await.created();
        }).await;
    }

    async fn what_an_ancestor_imposes_binds_everybody_and_only_it_lifts_it(database) {
        Api::run(database, async |api| {
            let [parent, child] = api.line("Acme").await;
            let [ann, ..] = staff(api, &child).await;
            let boss = api.member(&parent, "boss", "admin").await;
            let rule = boss.post(&restrictions(&child), no_invitations()).await.created();
            assert_eq!(rule.text("imposedBy"), parent);
            let one = format!("{}/{}", restrictions(&child), rule.id());
            invites(&ann, &child, "x").await.refused(403, "endpoint_restricted");
            invites(&api.key_of(&child).await, &child, "x").await.refused(403, "endpoint_restricted");
            invites(&boss.assuming(&child), &child, "x").await.refused(403, "endpoint_restricted");
            invites(&boss, &child, "x").await.created();
            assert_eq!(ann.get(&one).await.ok().text("imposedBy"), parent, "it can be seen");
            ann.delete(&one).await.refused(403, "restriction_imposed");
            ann.patch(&one, json!({"mode": "allow"})).await.refused(403, "restriction_imposed");
            // An ancestor may restrict an admin of the child.
            let about_ann = json!({"mode": "deny", "subject": {"userId": ann.id}, "permissions": ["key.manage"]});
            boss.post(&restrictions(&child), about_ann).await.created();
            ann.get(&format!("/v1/accounts/{child}/keys")).await.ok();
            let key = json!({"name": "for the account"});
            assert!(!ann.post(&format!("/v1/accounts/{child}/keys"), key).await.created().body["userId"].is_null(), "only one of her own");
            // A child that leaves takes no rules of strangers along.
            boss.delete(&format!("/v1/accounts/{child}/parent")).await.ok();
            invites(&ann, &child, "y").await.created();
            ann.delete(&one).await.ok();
        }).await;
    }

    async fn rules_narrow_roles_users_and_keys(database) {
        Api::run(database, async |api| {
            let account = api.root("Acme").await;
            let [ann, mia, bob] = staff(api, &account).await;
            let at = format!("/v1/accounts/{account}");
            let rule = |subject: Value| json!({"mode": "allow", "subject": subject, "permissions": ["account.read"]});
            let restrict = async |subject: Value| ann.post(&restrictions(&account), rule(subject)).await;
            mia.get(&format!("{at}/keys")).await.ok();
            restrict(json!({"role": "maintainer"})).await.created();
            mia.get(&format!("{at}/audit-log")).await.refused(403, "permission_denied");
            mia.get(&at).await.ok();
            bob.get(&format!("{at}/members")).await.ok();
            restrict(json!({"userId": bob.id})).await.created();
            bob.get(&format!("{at}/members")).await.refused(403, "permission_denied");

            let made = api.new_key(&account, json!({"name": "k"})).await;
            let (key, other) = (api.key(&made.text("secret")), api.key_of(&account).await);
            restrict(json!({"keyId": made.id()})).await.created();
            key.get(&format!("{at}/members")).await.refused(403, "permission_denied");
            other.get(&format!("{at}/members")).await.ok();

            // Paths with escapes are kept as they have to be written.
            let spaced = json!({"mode": "deny", "subject": {"role": "member"}, "endpoints": [{"api": "tenantry", "path": "/a%20b/%c3%bc"}]});
            let spaced = ann.post(&restrictions(&account), spaced).await.created();
            let again = ann.get(&format!("{}/{}", restrictions(&account), spaced.id())).await.ok();
            assert_eq!(again.body["endpoints"][0]["path"], json!("/a%20b/%C3%BC"));

            for wrong in [json!({"userId": api.user("nobody").await.id}), json!({"role": "emperor"}), json!({"keyId": "key_1"}), json!({"userId": bob.id, "role": "member"})] {
                restrict(wrong).await.refused(400, "invalid_field");
            }
            for wrong in [
                json!({"mode": "deny"}),
                json!({"mode": "forbid", "permissions": ["account.read"]}),
                json!({"mode": "deny", "permissions": ["everything"]}),
                json!({"mode": "deny", "endpoints": [{"api": "nowhere", "path": "/x"}]}),
                json!({"mode": "deny", "endpoints": [{"api": "tenantry", "path": "/a/../b"}]}),
                json!({"mode": "deny", "endpoints": [{"api": "tenantry", "path": "/x", "methods": ["FETCH"]}]}),
            ] {
                ann.post(&restrictions(&account), wrong).await.refused(400, "invalid_field");
            }
        }).await;
    }

    async fn s09_what_the_child_forbids_binds_who_assumes_it(database) {
        Api::run(database, async |api| {
            let [parent, child, grandchild] = api.line("Acme").await;
            let key = api.key_of(&parent).await;
            let operator = api.operator();
            let elsewhere = json!({"cidrs": ["192.0.2.0/24"]});
            let list = operator.post(&allowlists(&child), elsewhere.clone()).await.created().id();
            let refused = key.assuming(&child).get("/org").await.refused(403, "ip_not_allowed");
            assert!(refused.text("detail").contains(&list), "the parent sees whose it is");
            key.get(&format!("/v1/accounts/{child}")).await.ok();
            api.key_of(&grandchild).await.get("/org").await.ok();
            // Enforced, it is for all below, who are not told whose it is.
            operator.patch(&format!("{}/{list}", allowlists(&child)), json!({"enforced": true})).await.ok();
            let refused = api.key_of(&grandchild).await.get("/org").await.refused(403, "ip_not_allowed");
            assert!(!refused.text("detail").contains(&child), "{}", refused.text("detail"));
            operator.delete(&format!("{}/{list}", allowlists(&child))).await.ok();
            // And what the actor's own account asks for goes with it wherever it acts.
            operator.post(&allowlists(&parent), elsewhere).await.created();
            key.assuming(&child).get("/org").await.refused(403, "ip_not_allowed");
            api.key_of(&child).await.get("/org").await.ok();
        }).await;
    }

    async fn s44_lists_are_canonical(database) {
        Api::run(database, async |api| {
            let account = api.root("Acme").await;
            let operator = api.operator();
            let list = json!({"cidrs": ["10.1.2.3/8", "10.0.0.0/8", "10.9.0.0/16", "::ffff:192.0.2.1", "2001:db8::1"], "api": "tenantry"});
            let made = operator.post(&allowlists(&account), list).await.created();
            assert_eq!(made.body["cidrs"], json!(["10.0.0.0/8", "192.0.2.1/32", "2001:db8::1/128"]));
            let many: Vec<String> = (0..10_000).map(|n| format!("10.{}.{}.0/25", n / 256, n % 256)).collect();
            assert_eq!(operator.post(&allowlists(&account), json!({"cidrs": many})).await.created().body["cidrs"].as_array().map(Vec::len), Some(10_000));
            let more: Vec<String> = (0..10_001).map(|n| format!("10.{}.{}.0/25", n / 256, n % 256)).collect();
            for wrong in [json!([]), json!(more), json!(["10.0.0.0/33"]), json!(["fe80::1%eth0"]), json!(["example.com"]), json!([""])] {
                operator.post(&allowlists(&account), json!({"cidrs": wrong})).await.refused(400, "invalid_field");
            }
            operator.post(&allowlists(&account), json!({"cidrs": ["10.0.0.0/8"], "api": "nowhere"})).await.refused(400, "invalid_field");
        }).await;
    }

    async fn s45_nobody_locks_themselves_out_by_accident(database) {
        Api::run(database, async |api| {
            let account = api.root("Acme").await;
            let [ann, ..] = staff(api, &account).await;
            let elsewhere = json!({"cidrs": ["192.0.2.0/24"]});
            let refused = ann.post(&allowlists(&account), elsewhere).await.refused(409, "lockout_unconfirmed");
            assert!(refused.text("detail").contains("127.0.0.1"), "{}", refused.text("detail"));
            let here = json!({"cidrs": ["127.0.0.0/8"]});
            let list = format!("{}/{}", allowlists(&account), ann.post(&allowlists(&account), here).await.created().id());
            ann.patch(&list, json!({"cidrs": ["192.0.2.0/24"]})).await.refused(409, "lockout_unconfirmed");
            ann.patch(&list, json!({"cidrs": ["192.0.2.0/24"], "confirmLockout": true})).await.ok();
            // S47: on the same connection, the next request is denied. It binds admins, too.
            ann.get(&format!("/v1/accounts/{account}")).await.refused(403, "ip_not_allowed");
            ann.delete(&list).await.refused(403, "ip_not_allowed");
            ann.get("/v1/users/me").await.ok();
            api.operator().delete(&list).await.ok();
            ann.get(&format!("/v1/accounts/{account}")).await.ok();
        }).await;
    }

    async fn s14_keys_keep_to_their_networks_and_hand_on_no_more(database) {
        Api::run(database, async |api| {
            let account = api.root("Acme").await;
            let at = format!("/v1/accounts/{account}/keys");
            let made = api.new_key(&account, json!({"name": "k", "ipAllowlist": ["127.0.0.1/8"]})).await;
            assert_eq!(made.body["ipAllowlist"], json!(["127.0.0.0/8"]));
            let key = api.key(&made.text("secret"));
            let before = key.get(&at).await.ok().body["pagination"]["total"].clone();
            for wider in [json!(["0.0.0.0/0"]), json!(["192.0.2.1"]), json!(["127.0.0.0/8", "::/0"])] {
                key.post(&at, json!({"name": "wider", "ipAllowlist": wider})).await.refused(403, "scope_exceeded");
            }
            assert_eq!(key.get(&at).await.ok().body["pagination"]["total"], before, "nothing was stored");
            assert_eq!(key.post(&at, json!({"name": "same"})).await.created().body["ipAllowlist"], json!(["127.0.0.0/8"]));
            let elsewhere = api.new_key(&account, json!({"name": "e", "ipAllowlist": ["192.0.2.0/24"]})).await;
            api.key(&elsewhere.text("secret")).get("/org").await.refused(403, "ip_not_allowed");
            let rotated = api.operator().post(&format!("{at}/{}/rotate", elsewhere.id()), json!({})).await.created();
            assert_eq!(rotated.body["ipAllowlist"], json!(["192.0.2.0/24"]));
        }).await;
    }

    async fn s41_addresses_that_clients_claim_count_for_nothing(database) {
        Api::run(database, async |api| {
            let account = api.root("Acme").await;
            let elsewhere = json!({"cidrs": ["192.0.2.0/24"]});
            api.operator().post(&allowlists(&account), elsewhere).await.created();
            let key = api.key_of(&account).await;
            for header in ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip"] {
                let claimed = key.request(Method::GET, "/org").header(header, "192.0.2.1");
                Answer::of(claimed).await.refused(403, "ip_not_allowed");
            }
        }).await;
    }

    async fn a_kept_answer_is_not_given_to_where_the_key_may_not_be_used(database) {
        let trusted_proxies = Networks::parse(&["127.0.0.0/8"]).expect("networks");
        Api::run_with(database, Limits::DEFAULT, Config { trusted_proxies, ..Config::default() }, async |api| {
            let account = api.root("Acme").await;
            let made = api.new_key(&account, json!({"name": "k", "ipAllowlist": ["192.0.2.0/24"]})).await;
            let key = api.key(&made.text("secret"));
            let create = async |from: &str| {
                let request = key.request(Method::POST, &format!("/v1/accounts/{account}/keys"));
                let request = request.header("x-forwarded-for", from).header("idempotency-key", "once");
                Answer::of(request.json(&json!({"name": "new"}))).await
            };
            let first = create("192.0.2.1").await.created();
            assert_eq!(create("192.0.2.9").await.created().body, first.body);
            create("203.0.113.1").await.refused(403, "ip_not_allowed");
        }).await;
    }

    async fn s42_behind_a_trusted_proxy_the_last_hop_that_is_not_trusted_counts(database) {
        let trusted_proxies = Networks::parse(&["127.0.0.0/8", "10.0.0.0/8"]).expect("networks");
        let config = Config { trusted_proxies, ..Config::default() };
        Api::run_with(database, Limits::DEFAULT, config, async |api| {
            let account = api.root("Acme").await;
            api.operator().post(&allowlists(&account), json!({"cidrs": ["192.0.2.0/24"]})).await.created();
            let key = api.key_of(&account).await;
            let from = async |forwarded: &str| Answer::of(key.request(Method::GET, "/org").header("x-forwarded-for", forwarded)).await;
            from("192.0.2.1").await.ok();
            from("203.0.113.9, 192.0.2.1, 10.1.1.1").await.ok();
            for denied in ["192.0.2.1, 203.0.113.9", "garbage", "192.0.2.1, garbage", "", "192.0.2.1,", "fe80::1%1"] {
                from(denied).await.refused(403, "ip_not_allowed");
            }
            from(&vec!["192.0.2.1"; 1_000].join(",")).await.ok();
            from(&vec!["10.0.0.1"; 1_000].join(",")).await.refused(403, "ip_not_allowed");
            key.get("/org").await.refused(403, "ip_not_allowed");
        }).await;
    }
}
