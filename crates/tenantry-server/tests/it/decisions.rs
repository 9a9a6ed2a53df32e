//! The data plane: what is sold, and whether calls may happen.

use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use tenantry_core::network::Networks;
use tenantry_server::Config;
use tenantry_store::Limits;
use tenantry_testkit::{Random, both_engines, setting};

use crate::support::{Answer, Api, NOBODY};

/// A voice API with four endpoints.
async fn catalogue(api: &Api) {
    let operator = api.operator();
    let voice = json!({"id": "voice", "name": "Voice", "basePath": "/voice", "upstream": "http://127.0.0.1:9"});
    operator.post("/v1/apis", voice).await.created();
    for endpoint in [
        json!({"method": "POST", "path": "/tts/{voice}", "cost": 5, "resource": {"kind": "voice", "name": "voice"}}),
        json!({"method": "GET", "path": "/voice/languages", "cost": 0}),
        json!({"method": "POST", "path": "/clone", "feature": "voice-cloning", "cost": 50}),
        json!({"method": "GET", "path": "/admin", "permission": "key.manage"}),
    ] {
        operator.post("/v1/apis/voice/endpoints", endpoint).await.created();
    }
}

/// A call that would be allowed.
fn call(key: &str) -> Value {
    json!({"key": key, "ip": "192.0.2.7", "method": "GET", "path": "/voice/languages?x=1"})
}

fn with(mut call: Value, changes: &[(&str, Value)]) -> Value {
    for (name, value) in changes {
        call[*name] = value.clone();
    }
    call
}

async fn decide(api: &Api, call: Value) -> Answer {
    api.operator().post("/v1/decisions", call).await.ok()
}

async fn denied(api: &Api, call: Value, status: u16, code: &str) -> Answer {
    let answer = decide(api, call).await;
    assert_eq!(
        (answer.body["allow"].as_bool(), answer.body["code"].as_str(), answer.body["status"].as_u64()),
        (Some(false), Some(code), Some(u64::from(status))),
        "{}",
        answer.body
    );
    answer
}

async fn allowed(api: &Api, call: Value) -> Answer {
    let answer = decide(api, call).await;
    assert_eq!(
        (answer.body["allow"].as_bool(), answer.body["status"].as_u64()),
        (Some(true), Some(200)),
        "{}",
        answer.body
    );
    answer
}

async fn secret(api: &Api, account: &str) -> String {
    api.new_key(account, json!({"name": "k"})).await.text("secret")
}

both_engines! {
    async fn a_call_that_may_happen_says_who_and_what(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            let made = api.new_key(&account, json!({"name": "k"})).await;
            let answer = allowed(api, call(&made.text("secret"))).await;
            assert_eq!(answer.body["subject"], json!(account));
            assert_eq!(answer.body["actor"], json!({"accountId": account, "keyId": made.id(), "userId": null}));
            assert_eq!((&answer.body["api"], &answer.body["cost"], &answer.body["rule"]), (&json!("voice"), &json!(0), &Value::Null));
            assert!(answer.body["trace"].is_null());
            let explained = allowed(api, with(call(&made.text("secret")), &[("explain", json!(true))])).await;
            let trace = explained.body["trace"].as_array().expect("steps");
            assert!(trace.len() == 11 && trace.iter().all(|step| step["verdict"] == "passed"), "{trace:?}");
        }).await;
    }

    async fn every_step_denies_with_its_code(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let [parent, account, child] = api.line("Acme").await;
            let (operator, key) = (api.operator(), secret(api, &account).await);
            let at = format!("/v1/accounts/{account}");
            denied(api, call("nonsense"), 401, "key_malformed").await;
            denied(api, call(&format!("{}x", &key[..key.len() - 1])), 401, "key_malformed").await;
            let elsewhere = tenantry_core::secret::compose(tenantry_core::secret::Label::Live, &[7; 64]);
            denied(api, call(&elsewhere), 401, "key_unknown").await;

            let other = api.new_key(&account, json!({"name": "r", "expiresAt": "2026-02-01T00:00:00Z"})).await;
            allowed(api, call(&other.text("secret"))).await;
            api.clock.advance(tenantry_core::time::Span::days(1));
            denied(api, call(&other.text("secret")), 401, "key_expired").await;
            operator.act(&format!("{at}/keys/{}/revoke", other.id())).await.ok();
            denied(api, call(&other.text("secret")), 401, "key_revoked").await;

            operator.act(&format!("/v1/accounts/{parent}/suspend")).await.ok();
            denied(api, call(&key), 403, "account_suspended").await;
            operator.act(&format!("/v1/accounts/{parent}/activate")).await.ok();

            let assuming = |id: &str| with(call(&key), &[("assumeOrg", json!(id))]);
            assert_eq!(allowed(api, assuming(&child)).await.body["subject"], json!(child));
            for id in [account.as_str(), "", " "] {
                assert_eq!(allowed(api, assuming(id)).await.body["subject"], json!(account));
            }
            for id in [parent.as_str(), NOBODY] {
                denied(api, assuming(id), 403, "assume_forbidden").await;
            }
            denied(api, assuming("acc_1"), 400, "assume_malformed").await;

            for path in ["/voice/../admin", "//voice/languages", "/voice/%2e%2e/x", "voice"] {
                denied(api, with(call(&key), &[("path", json!(path))]), 400, "path_invalid").await;
            }
            for (method, path) in [("GET", "/voice/nothing"), ("POST", "/voice/languages"), ("FETCH", "/voice/languages"), ("GET", "/image")] {
                denied(api, with(call(&key), &[("method", json!(method)), ("path", json!(path))]), 404, "endpoint_unknown").await;
            }

            let list = operator.post(&format!("{at}/ip-allowlists"), json!({"api": "voice", "cidrs": ["192.0.2.0/24"]})).await.created();
            allowed(api, call(&key)).await;
            let from_afar = denied(api, with(call(&key), &[("ip", json!("203.0.113.1"))]), 403, "ip_not_allowed").await;
            assert_eq!((&from_afar.body["rule"]["id"], &from_afar.body["rule"]["setBy"]), (&json!(list.id()), &json!("operator")));
            denied(api, with(call(&key), &[("ip", json!("unknown"))]), 403, "ip_not_allowed").await;

            let admin = with(call(&key), &[("path", json!("/voice/admin"))]);
            allowed(api, admin.clone()).await;
            let scoped = api.new_key(&account, json!({"name": "s", "scopes": ["credits.consume"]})).await.text("secret");
            denied(api, with(admin.clone(), &[("key", json!(scoped))]), 403, "permission_denied").await;

            let rule = json!({"mode": "deny", "endpoints": [{"api": "voice", "path": "/voice/admin"}]});
            let rule = operator.assuming(&account).post(&format!("{at}/restrictions"), rule).await.created().id();
            let restricted = denied(api, with(admin.clone(), &[("explain", json!(true))]), 403, "endpoint_restricted").await;
            assert_eq!((&restricted.body["rule"]["id"], &restricted.body["rule"]["accountId"]), (&json!(rule), &json!(account)));
            assert_eq!(restricted.body["fixes"], json!([{"action": "liftRestriction", "accountId": account, "ruleId": rule}]));
            let verdicts: Vec<_> = restricted.body["trace"].as_array().expect("steps").iter().map(|step| step["verdict"].as_str().unwrap_or_default()).collect();
            assert_eq!((verdicts[7], verdicts[8], verdicts[9]), ("passed", "failed", "not reached"));

            let tts = |name: &str| with(call(&key), &[("method", json!("POST")), ("path", json!(format!("/voice/tts/{name}")))]);
            denied(api, tts("ann"), 403, "resource_not_shared").await;
            let resource = json!({"kind": "voice", "name": "Ann", "externalId": "ann"});
            let resource = operator.post(&format!("/v1/accounts/{parent}/resources"), resource).await.created().id();
            denied(api, tts("ann"), 403, "resource_not_shared").await;
            let shares = format!("/v1/accounts/{parent}/resources/{resource}/shares");
            let share = operator.post(&shares, json!({"to": account})).await.created().id();
            assert_eq!(allowed(api, tts("ann")).await.body["cost"], json!(5));
            allowed(api, tts(&resource)).await;
            denied(api, with(tts("ann"), &[("assumeOrg", json!(child))]), 403, "resource_not_shared").await;
            operator.post(&shares, json!({"to": "descendants"})).await.created();
            allowed(api, with(tts("ann"), &[("assumeOrg", json!(child))])).await;
            denied(api, with(tts("ann"), &[("resource", json!({"kind": "device", "id": "7"}))]), 403, "resource_not_shared").await;
            operator.delete(&format!("{shares}/{share}")).await.ok();
            operator.delete(&format!("/v1/accounts/{parent}/resources/{resource}")).await.ok();
            denied(api, tts("ann"), 403, "resource_not_shared").await;

            operator.act(&format!("/v1/accounts/{child}/close")).await.ok();
            operator.act(&format!("{at}/close")).await.ok();
            denied(api, call(&key), 403, "account_closed").await;
        }).await;
    }

    async fn s38_a_feature_that_is_taken_away_is_gone_at_once_and_all_the_way_down(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let [parent, account] = api.line("Acme").await;
            let (operator, key) = (api.operator(), secret(api, &account).await);
            let clone = with(call(&key), &[("method", json!("POST")), ("path", json!("/voice/clone"))]);
            let assign = async |account: &str, features: Value| {
                operator.put(&format!("/v1/accounts/{account}/features"), features).await.ok();
            };
            let missing = denied(api, clone.clone(), 403, "feature_missing").await;
            assert_eq!(missing.body["rule"]["id"], json!("voice-cloning"));
            assign(&parent, json!({"voice-cloning": true})).await;
            denied(api, clone.clone(), 403, "feature_missing").await;
            assign(&account, json!({"voice-cloning": true})).await;
            allowed(api, clone.clone()).await;
            assign(&parent, json!({})).await;
            let missing = denied(api, clone.clone(), 403, "feature_missing").await;
            assert_eq!(missing.body["rule"]["accountId"], json!(parent), "where it is missing");
            let own = api.key_of(&account).await.get(&format!("/v1/accounts/{account}/features")).await.ok();
            assert!(!own.body.to_string().contains("voice-cloning\":{"), "nor is it shown as one that counts: {}", own.body);
            assign(&parent, json!({"voice-cloning": true})).await;
            allowed(api, clone).await;
        }).await;
    }

    async fn an_explanation_says_what_would_change_the_answer(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let [parent, account] = api.line("Acme").await;
            let boss = api.member(&parent, "boss", "admin").await;
            let bob = api.member(&account, "bob", "member").await;
            let key = bob.post(&format!("/v1/accounts/{account}/keys"), json!({"name": "b"})).await.created();
            let own = with(call(&key.text("secret")), &[("explain", json!(true))]);
            assert_eq!(allowed(api, own.clone()).await.body["fixes"], json!([]));
            let fixes = async |changes: &[(&str, Value)]| decide(api, with(own.clone(), changes)).await.body["fixes"].clone();
            let admin = fixes(&[("path", json!("/voice/admin"))]).await;
            assert_eq!(admin, json!([{"action": "giveRole", "accountId": account, "userId": bob.id, "what": "key.manage"}]));
            let clone = fixes(&[("method", json!("POST")), ("path", json!("/voice/clone"))]).await;
            let assign = |account: &str| json!({"action": "assignFeature", "accountId": account, "what": "voice-cloning"});
            assert_eq!(clone, json!([assign(&account), assign(&parent)]));
            let voice = fixes(&[("method", json!("POST")), ("path", json!("/voice/tts/ann"))]).await;
            assert_eq!(voice, json!([{"action": "shareResource", "accountId": account, "what": "voice:ann"}]));
            assert_eq!(fixes(&[("method", json!("FETCH"))]).await, json!([{"action": "callSomethingElse"}]));
            assert_eq!(fixes(&[("key", json!("nonsense"))]).await, json!([{"action": "useAnotherKey"}]));
            assert_eq!(fixes(&[("assumeOrg", json!(NOBODY))]).await, json!([{"action": "actForAnotherAccount"}]));
            boss.act(&format!("/v1/accounts/{account}/suspend")).await.ok();
            assert_eq!(fixes(&[]).await, json!([{"action": "activate", "accountId": account}]));
        }).await;
    }

    async fn people_behind_keys_count_at_every_call(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let [parent, account] = api.line("Acme").await;
            let boss = api.member(&parent, "boss", "admin").await;
            let bob = api.member(&account, "bob", "maintainer").await;
            let key = bob.post(&format!("/v1/accounts/{account}/keys"), json!({"name": "b", "userId": bob.id})).await.created();
            let own = call(&key.text("secret"));
            let admin = with(own.clone(), &[("path", json!("/voice/admin"))]);
            assert_eq!(allowed(api, own.clone()).await.body["actor"]["userId"], json!(bob.id));
            allowed(api, admin.clone()).await;
            let one = format!("/v1/accounts/{account}/members/{}", bob.id);
            boss.patch(&one, json!({"role": "member"})).await.ok();
            denied(api, admin, 403, "permission_denied").await;
            allowed(api, own.clone()).await;
            boss.delete(&one).await.ok();
            denied(api, own, 401, "key_revoked").await;

            // The key of a personal account goes where its person is a member, and where they administer.
            let mia = api.user("mia").await;
            let home = mia.get("/v1/users/me").await.ok().body["personalAccount"]["accountId"].as_str().expect("id").to_owned();
            let key = mia.post(&format!("/v1/accounts/{home}/keys"), json!({"name": "m"})).await.created();
            let there = with(call(&key.text("secret")), &[("assumeOrg", json!(account))]);
            denied(api, there.clone(), 403, "assume_forbidden").await;
            let token = api.invite(&boss, &account, "mia@example.com", "member").await;
            mia.post("/v1/invitations/accept", json!({"token": token})).await.ok();
            assert_eq!(allowed(api, there.clone()).await.body["subject"], json!(account));
            mia.act(&format!("/v1/accounts/{account}/leave")).await.ok();
            denied(api, there, 403, "assume_forbidden").await;
        }).await;
    }

    async fn a_move_is_seen_at_once(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let [left, account, child] = api.line("Left").await;
            let right = api.root("Right").await;
            let (of_left, of_right) = (secret(api, &left).await, secret(api, &right).await);
            let assuming = |key: &str| with(call(key), &[("assumeOrg", json!(child))]);
            for _ in 0..3 {
                allowed(api, assuming(&of_left)).await;
                denied(api, assuming(&of_right), 403, "assume_forbidden").await;
                api.operator().move_below(&account, &right).await.ok();
                denied(api, assuming(&of_left), 403, "assume_forbidden").await;
                allowed(api, assuming(&of_right)).await;
                api.operator().move_below(&account, &left).await.ok();
            }
        }).await;
    }

    async fn s16_a_revoked_key_is_refused_once_that_is_acknowledged(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            for n in 0..50 {
                let made = api.new_key(&account, json!({"name": format!("{n}")})).await;
                let call = call(&made.text("secret"));
                allowed(api, call.clone()).await;
                api.operator().act(&format!("/v1/accounts/{account}/keys/{}/revoke", made.id())).await.ok();
                denied(api, call, 401, "key_revoked").await;
            }
            let made = api.new_key(&account, json!({"name": "old"})).await;
            let rotated = api.operator().post(&format!("/v1/accounts/{account}/keys/{}/rotate", made.id()), json!({"overlap": "now"})).await.created();
            denied(api, call(&made.text("secret")), 401, "key_expired").await;
            allowed(api, call(&rotated.text("secret"))).await;
        }).await;
    }

    /// R8: under load, nothing that was asked after the acknowledgement is allowed.
    async fn s16_revocations_under_load(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            let many = usize::try_from(setting("TENANTRY_REVOCATIONS", 150)).expect("a number");
            let mut keys = Vec::new();
            for n in 0..many {
                let made = api.new_key(&account, json!({"name": format!("{n}")})).await;
                keys.push((made.id(), made.text("secret"), AtomicBool::new(false)));
            }
            let done = AtomicBool::new(false);
            let hammer = async |seed: u64| {
                let (mut random, mut allowed, mut denied) = (Random::new(seed), 0, 0);
                while !done.load(Ordering::Acquire) {
                    let (_, secret, revoked) = &keys[random.below(keys.len())];
                    let was_revoked = revoked.load(Ordering::Acquire);
                    let may = decide(api, call(secret)).await.body["allow"] == true;
                    assert!(!(was_revoked && may), "allowed after it was acknowledged");
                    if may { allowed += 1 } else { denied += 1 }
                }
                (allowed, denied)
            };
            let revoke = async {
                for (id, _, revoked) in &keys {
                    api.operator().act(&format!("/v1/accounts/{account}/keys/{id}/revoke")).await.ok();
                    revoked.store(true, Ordering::Release);
                }
                // All that is asked from now on is denied.
                for (_, secret, _) in &keys {
                    denied(api, call(secret), 401, "key_revoked").await;
                }
                done.store(true, Ordering::Release);
            };
            let ((), a, b, c, d) = tokio::join!(revoke, hammer(1), hammer(2), hammer(3), hammer(4));
            let (allowed, denied) = [a, b, c, d].iter().fold((0, 0), |(yes, no), (y, n)| (yes + y, no + n));
            println!("{many} revocations, {allowed} calls allowed before, {denied} denied after");
            assert!(allowed > 0 && denied > 0);
        }).await;
    }

    async fn who_may_ask(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            let key = secret(api, &account).await;
            let decider = api.new_key(&account, json!({"name": "d", "scopes": ["decide"]})).await.text("secret");
            let body = api.key(&decider).post("/v1/decisions", call(&key)).await.ok().body;
            assert_eq!(body["allow"], json!(true));
            api.key(&key).post("/v1/decisions", call(&key)).await.refused(403, "permission_denied");
            // Nobody but the operator hands it out: an account does not have it to give.
            for maker in [api.key(&key), api.member(&account, "ann", "admin").await.caller] {
                let scoped = json!({"name": "mine", "scopes": ["decide"]});
                maker.post(&format!("/v1/accounts/{account}/keys"), scoped).await.refused(403, "scope_exceeded");
            }
            // Who is somebody is refused; who is nobody is told so first, as everywhere.
            let ben = api.member(&account, "ben", "admin").await;
            ben.post("/v1/decisions", call(&key)).await.refused(403, "permission_denied");
            ben.delete("/v1/sessions/current").await.ok();
            ben.post("/v1/decisions", call(&key)).await.refused(401, "session_unknown");
            let other = api.root("Else").await;
            api.key(&decider).assuming(&other).post("/v1/decisions", call(&key)).await.refused(403, "assume_forbidden");
            api.operator().assuming(&other).post("/v1/decisions", call(&key)).await.refused(403, "permission_denied");
            // What stands against any other key stands against this one.
            let rules = format!("/v1/accounts/{account}/restrictions");
            let rule = json!({"mode": "deny", "endpoints": [{"api": "tenantry", "path": "/decisions/**"}]});
            let rule = api.operator().post(&rules, rule).await.created().id();
            api.key(&decider).post("/v1/decisions", call(&key)).await.refused(403, "endpoint_restricted");
            api.operator().delete(&format!("{rules}/{rule}")).await.ok();
            api.key(&decider).post("/v1/decisions", call(&key)).await.ok();
            api.operator().act(&format!("/v1/accounts/{account}/suspend")).await.ok();
            api.key(&decider).post("/v1/decisions", call(&key)).await.refused(403, "account_suspended");
        }).await;
    }

    async fn a_decision_heeds_what_the_client_knows_of(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            let made = api.new_key(&account, json!({"name": "k"})).await;
            let (bucket, rev) = made.header("x-tenantry-rev").split_once('.').expect("a revision");
            let next = format!("{bucket}.{}", rev.parse::<i64>().expect("a number") + 1);
            let ask = |revision: &str| {
                let request = api.operator().request(Method::POST, "/v1/decisions").header("x-tenantry-min-rev", revision);
                Answer::of(request.json(&call(&made.text("secret"))))
            };
            assert_eq!(ask(made.header("x-tenantry-rev")).await.ok().body["allow"], true);
            // The answer waits for a revocation that the client knows will come.
            let revoke = async {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                api.operator().act(&format!("/v1/accounts/{account}/keys/{}/revoke", made.id())).await.ok()
            };
            let (answer, revoked) = tokio::join!(ask(&next), revoke);
            assert_eq!(revoked.header("x-tenantry-rev"), next);
            assert_eq!(answer.ok().body["code"], "key_revoked");
            ask("nonsense").await.refused(400, "invalid_parameter");
            ask("64.1").await.refused(400, "invalid_parameter");
        }).await;
    }

    async fn a_batch_is_judged_call_by_call(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            let key = secret(api, &account).await;
            let calls = json!({"decisions": [call(&key), call("nonsense"), with(call(&key), &[("path", json!("/nowhere"))])]});
            let answers = api.operator().post("/v1/decisions/batch", calls).await.ok().body;
            let codes: Vec<_> = answers["decisions"].as_array().expect("answers").iter().map(|one| one["code"].clone()).collect();
            assert_eq!(codes, [Value::Null, json!("key_malformed"), json!("endpoint_unknown")]);
            for wrong in [vec![], vec![call(&key); 257]] {
                api.operator().post("/v1/decisions/batch", json!({"decisions": wrong})).await.refused(400, "invalid_field");
            }
        }).await;
    }

    async fn proxies_ask_with_the_headers_of_the_caller(database) {
        let trusted_proxies = Networks::parse(&["127.0.0.0/8"]).expect("networks");
        Api::run_with(database, Limits::DEFAULT, Config { trusted_proxies, ..Config::default() }, async |api| {
            catalogue(api).await;
            let [account, child] = api.line("Acme").await;
            let made = api.new_key(&account, json!({"name": "k", "ipAllowlist": ["192.0.2.0/24"]})).await;
            let key = api.key(&made.text("secret"));
            let ask_at = async |path: &str, way: &str, headers: &[(&str, &str)]| {
                let pair = if way == "nginx" { ["x-original-method", "x-original-uri"] } else { ["x-forwarded-method", "x-forwarded-uri"] };
                let mut asked = key.request(Method::GET, path).header("x-forwarded-for", "192.0.2.9");
                let named = |name: &str| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
                asked = asked.header(pair[0], named("method").unwrap_or("GET")).header(pair[1], named("uri").unwrap_or("/voice/languages?q=1"));
                for (name, value) in headers.iter().filter(|(name, _)| !["method", "uri"].contains(name)) {
                    asked = asked.header(*name, *value);
                }
                Answer::of(asked).await
            };
            // The short way, and the one by the router: the same answer.
            let ask = async |way: &str, headers: &[(&str, &str)]| {
                let short = ask_at(&format!("/v1/authz/{way}"), way, headers).await;
                let long = ask_at(&format!("/v2/authz/{way}/"), way, headers).await;
                let told = |answer: &Answer| {
                    let (mut headers, mut body) = (answer.headers.clone(), answer.body.clone());
                    for varying in ["x-request-id", "date", "content-length"] {
                        headers.remove(varying);
                    }
                    if let Some(body) = body.as_object_mut() {
                        body.remove("requestId");
                    }
                    let mut headers: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
                    headers.sort();
                    (answer.status, headers, body)
                };
                assert_eq!(told(&short), told(&long));
                short
            };
            for way in ["nginx", "forward"] {
                let answer = ask(way, &[("x-assume-org", &child)]).await.is(if way == "nginx" { 204 } else { 200 });
                let told = ["account", "actor", "key", "api", "cost"].map(|name| answer.header(&format!("x-tenantry-{name}")).to_owned());
                assert_eq!(told, [child.clone(), account.clone(), made.id(), "voice".to_owned(), "0".to_owned()]);
            }
            for (headers, status, code) in [
                (vec![("uri", "/voice/nothing")], 404, "endpoint_unknown"),
                (vec![("uri", "/voice/../x")], 400, "path_invalid"),
                (vec![("x-assume-org", NOBODY)], 403, "assume_forbidden"),
                (vec![("x-forwarded-for", "192.0.2.9, 203.0.113.1")], 403, "ip_not_allowed"),
                (vec![("x-api-key", "another")], 400, "ambiguous_credentials"),
            ] {
                ask("forward", &headers).await.refused(status, code);
                let answer = ask("nginx", &headers).await.is(403);
                assert_eq!((answer.header("x-tenantry-code"), answer.header("x-tenantry-status")), (code, status.to_string().as_str()));
            }
            let nobody = api.anonymous();
            let asked = nobody.request(Method::GET, "/v1/authz/nginx").header("x-original-method", "GET").header("x-original-uri", "/x");
            assert_eq!(Answer::of(asked).await.is(401).header("x-tenantry-code"), "credential_missing");
            Answer::of(key.request(Method::GET, "/v1/authz/forward")).await.refused(400, "invalid_parameter");
        }).await;
    }

    async fn the_catalogue_is_the_operators(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let operator = api.operator();
            operator.post("/v1/apis", json!({"id": "voice", "name": "V", "basePath": "/v"})).await.refused(409, "api_taken");
            operator.post("/v1/apis", json!({"id": "v", "name": "V", "basePath": "/voice"})).await.refused(409, "base_path_taken");
            for wrong in [
                json!({"id": "tenantry", "name": "V", "basePath": "/v"}),
                json!({"id": "v", "name": "V", "basePath": "/{v}"}),
                json!({"id": "v", "name": "V", "basePath": "v"}),
                json!({"id": "v", "name": "V", "basePath": "/v", "upstream": "file:///etc/passwd"}),
            ] {
                operator.post("/v1/apis", wrong).await.refused(400, "invalid_field");
            }
            let at = "/v1/apis/voice/endpoints";
            let same = json!({"method": "post", "path": "/voice/tts/{other}"});
            operator.post(at, same).await.refused(409, "endpoint_taken");
            for wrong in [
                json!({"method": "POST", "path": "/x", "cost": -1}),
                json!({"method": "POST", "path": "/x", "permission": "everything"}),
                json!({"method": "POST", "path": "/x", "resource": {"kind": "voice", "name": "voice"}}),
                json!({"method": "POST", "path": "/x/**/y"}),
            ] {
                operator.post(at, wrong).await.refused(400, "invalid_field");
            }
            let list = operator.get(at).await.ok();
            assert_eq!(list.body["pagination"]["total"], json!(4));
            let one = list.body["data"][0]["id"].as_str().expect("id").to_owned();
            assert_eq!(operator.patch(&format!("{at}/{one}"), json!({"cost": 7})).await.ok().body["cost"], json!(7));
            let nobody = api.user("nobody").await;
            assert_eq!(nobody.get("/v1/apis").await.ok().body["data"][0]["id"], json!("voice"));
            nobody.patch("/v1/apis/voice", json!({"name": "Mine"})).await.refused(403, "operator_only");

            // A document makes the endpoints; what it would change can be seen first.
            let document = json!({"openapi": "3.1.0", "info": {"title": "Voice", "version": "1"}, "paths": {
                "/tts/{name}": {"post": {"summary": "Speak"}, "parameters": []},
                "/voice/new": {"get": {"x-tenantry-cost": 3}},
            }});
            let shown = operator.put("/v1/apis/voice/openapi?dryRun=true", document.clone()).await.ok();
            let difference = json!({"added": ["GET /new"], "removed": ["GET /languages", "POST /clone", "GET /admin"], "kept": 1});
            assert_eq!(shown.body["result"], difference);
            assert_eq!(operator.get(at).await.ok().body["pagination"]["total"], json!(4), "nothing happened yet");
            assert_eq!(operator.put("/v1/apis/voice/openapi", document.clone()).await.ok().body, difference);
            let again = operator.put("/v1/apis/voice/openapi", document).await.ok().body;
            assert_eq!(again, json!({"added": [], "removed": [], "kept": 2}));
            let costs: Vec<_> = operator.get(at).await.ok().body["data"].as_array().expect("list").iter().map(|e| e["cost"].clone()).collect();
            assert_eq!(costs, [json!(7), json!(3)], "what was there keeps what it costs");
            operator.put("/v1/apis/voice/openapi", json!({"swagger": "2.0", "paths": {}})).await.refused(400, "invalid_field");
            operator.delete("/v1/apis/voice").await.ok();
            operator.get(at).await.refused(404, "not_found");
        }).await;
    }
}
