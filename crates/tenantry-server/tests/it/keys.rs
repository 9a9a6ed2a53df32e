//! API keys: shown once, never wider than their maker, ended on time.

use serde_json::json;
use tenantry_core::time::Span;
use tenantry_testkit::both_engines;

use crate::support::Api;

both_engines! {
    async fn s21_the_secret_is_shown_once(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let made = api.new_key(&root, json!({"name": "ci", "environment": "test"})).await;
            let secret = made.text("secret");
            assert!(secret.starts_with("tny_test_") && secret.len() == 48, "{secret}");
            assert_eq!(made.header("cache-control"), "no-store");
            let id = made.id();
            let at = format!("/v1/accounts/{root}/keys");
            for path in [at.clone(), format!("{at}/{id}"), format!("/v1/accounts/{root}/audit-log")] {
                let text = api.operator().get(&path).await.ok().body.to_string();
                assert!(!text.contains(&secret) && text.contains(&secret[37..41]), "{text}");
            }
        }).await;
    }

    async fn keys_are_told_apart_when_they_do_not_work(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let expires = json!({"name": "short", "expiresAt": "2026-01-31T13:00:00Z"});
            let short = api.new_key(&root, expires).await.text("secret");
            let gone = api.new_key(&root, json!({"name": "gone"})).await;
            let revoke = format!("/v1/accounts/{root}/keys/{}/revoke", gone.id());
            let gone = api.key(&gone.text("secret"));
            gone.get("/org").await.ok();

            api.anonymous().get("/org").await.refused(401, "credential_missing");
            api.key("nonsense").get("/org").await.refused(401, "key_malformed");
            let mut typo = short.clone();
            typo.replace_range(20..21, if &typo[20..21] == "a" { "b" } else { "a" });
            api.key(&typo).get("/org").await.refused(401, "key_malformed");
            let unknown = tenantry_core::secret::compose(tenantry_core::secret::Label::Live, &[7; tenantry_core::secret::RANDOM_BYTES]);
            let refused = api.key(&unknown).get("/org").await.refused(401, "key_unknown");
            assert!(refused.header("www-authenticate").starts_with("Bearer"));

            assert_eq!(api.operator().act(&revoke).await.ok().text("status"), "revoked");
            gone.get("/org").await.refused(401, "key_revoked");
            api.operator().act(&revoke).await.ok();
            api.key(&short).get("/org").await.ok();
            api.clock.advance(Span::hours(1));
            api.key(&short).get("/org").await.refused(401, "key_expired");
            let late = json!({"name": "late", "expiresAt": "2026-01-31T12:00:00Z"});
            api.operator().post(&format!("/v1/accounts/{root}/keys"), late).await.refused(400, "invalid_field");
        }).await;
    }

    async fn s14_a_key_is_never_wider_than_its_maker(database) {
        Api::run(database, async |api| {
            let [root, two] = api.line("Acme").await;
            let narrow = json!({"name": "narrow", "scopes": ["account.read", "key.manage"]});
            let narrow = api.key(&api.new_key(&root, narrow).await.text("secret"));
            let at = format!("/v1/accounts/{two}/keys");
            narrow.get(&format!("/v1/accounts/{two}")).await.ok();
            narrow.patch(&format!("/v1/accounts/{two}"), json!({"name": "x"})).await.refused(403, "permission_denied");
            for scopes in [json!(["account.update"]), json!(["account.read", "account.close"])] {
                narrow.post(&at, json!({"name": "wide", "scopes": scopes})).await.refused(403, "scope_exceeded");
            }
            for scopes in [json!(["admin:*"]), json!(["/*"]), json!([-1]), json!("account.read")] {
                narrow.post(&at, json!({"name": "odd", "scopes": scopes})).await.refused(400, "invalid_field");
            }
            // Nothing asked for is what the maker has.
            let same = narrow.post(&at, json!({"name": "same"})).await.created();
            assert_eq!(same.body["scopes"], json!(["account.read", "key.manage"]));
            let wide = api.new_key(&two, json!({"name": "wide"})).await.id();
            narrow.act(&format!("{at}/{wide}/rotate")).await.refused(403, "scope_exceeded");
            assert_eq!(api.operator().get(&at).await.ok().body["pagination"]["total"], 2);
        }).await;
    }

    async fn s13_nobody_makes_keys_for_others_by_naming_them(database) {
        Api::run(database, async |api| {
            let org = api.root("Acme").await;
            let (ann, ben) = (api.member(&org, "ann", "member").await, api.member(&org, "ben", "member").await);
            let at = format!("/v1/accounts/{org}/keys");
            for field in ["userId", "ownerId", "orgId"] {
                let body = json!({"name": "k", field: ben.id});
                api.anonymous().post(&at, body.clone()).await.refused(401, "credential_missing");
                if field != "userId" {
                    ann.post(&at, body).await.refused(400, "unknown_field");
                }
            }
            ann.post(&at, json!({"name": "k", "userId": ben.id})).await.refused(403, "permission_denied");
            assert_eq!(api.operator().get(&at).await.ok().body["pagination"]["total"], 0);
        }).await;
    }

    async fn s17_rotation_overlaps_and_ends_on_time(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let made = api.new_key(&root, json!({"name": "app", "scopes": ["account.read"]})).await;
            let old = api.key(&made.text("secret"));
            let at = format!("/v1/accounts/{root}/keys/{}/rotate", made.id());
            let rotated = api.operator().post(&at, json!({"overlap": "24h"})).await.created();
            assert_eq!((&rotated.body["rotatedFrom"], &rotated.body["scopes"]), (&json!(made.id()), &json!(["account.read"])));
            let new = api.key(&rotated.text("secret"));
            old.get("/org").await.ok();
            new.get("/org").await.ok();
            api.clock.advance(Span::days(1));
            old.get("/org").await.refused(401, "key_expired");
            new.get("/org").await.ok();
            api.operator().act(&at).await.refused(400, "invalid_field");

            let at = format!("/v1/accounts/{root}/keys/{}/rotate", rotated.id());
            api.operator().post(&at, json!({"overlap": "1y"})).await.refused(400, "invalid_field");
            api.operator().post(&at, json!({"overlap": "now"})).await.created();
            new.get("/org").await.refused(401, "key_expired");
        }).await;
    }

    async fn the_last_use_is_written_down(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let made = api.new_key(&root, json!({"name": "app"})).await;
            api.key(&made.text("secret")).get("/org").await.ok();
            let at = format!("/v1/accounts/{root}/keys/{}", made.id());
            assert_eq!(api.operator().get(&at).await.ok().body["lastUsedAt"], json!(null));
            api.running.flush().await.expect("flush");
            let key = api.operator().get(&at).await.ok().body;
            assert_eq!((&key["lastUsedAt"], &key["lastUsedIp"]), (&json!("2026-01-31T12:00:00Z"), &json!("127.0.0.1")));
        }).await;
    }

    async fn s16_a_revoked_key_is_dead_on_the_next_request(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            for _ in 0..20 {
                let made = api.new_key(&root, json!({"name": "app"})).await;
                let key = api.key(&made.text("secret"));
                let users = async {
                    for _ in 0..20 {
                        assert!([200, 401].contains(&key.get("/org").await.status));
                    }
                };
                let revoke = format!("/v1/accounts/{root}/keys/{}/revoke", made.id());
                let revoked = async {
                    api.operator().act(&revoke).await.ok();
                    key.get("/org").await.refused(401, "key_revoked");
                };
                tokio::join!(users, revoked);
            }
        }).await;
    }

    async fn keys_of_others_are_invisible(database) {
        Api::run(database, async |api| {
            let [root, two] = api.line("Acme").await;
            let made = api.new_key(&root, json!({"name": "app"})).await.id();
            let operator = api.operator();
            // A key of the parent is not a key of the child, even for who sees both.
            operator.get(&format!("/v1/accounts/{two}/keys/{made}")).await.refused(404, "not_found");
            operator.act(&format!("/v1/accounts/{two}/keys/{made}/revoke")).await.refused(404, "not_found");
            api.key_of(&two).await.get(&format!("/v1/accounts/{root}/keys/{made}")).await.refused(404, "not_found");
        }).await;
    }
}
