//! Rate limits of keys, accounts and all above them; who may set them; and what callers are told.

use reqwest::Method;
use serde_json::{Value, json};
use tenantry_core::snapshot::{Presented, Request};
use tenantry_core::time::Span;
use tenantry_testkit::both_engines;

use crate::support::{Answer, Api, Caller, all};

/// An API with one endpoint.
async fn catalogue(api: &Api) {
    let operator = api.operator();
    operator.post("/v1/apis", json!({"id": "voice", "name": "Voice", "basePath": "/voice"})).await.created();
    operator.post("/v1/apis/voice/endpoints", json!({"method": "GET", "path": "/languages"})).await.created();
}

fn call(key: &str) -> Value {
    json!({"key": key, "ip": "192.0.2.7", "method": "GET", "path": "/voice/languages"})
}

fn assuming(key: &str, account: &str) -> Value {
    json!({"key": key, "ip": "192.0.2.7", "method": "GET", "path": "/voice/languages", "assumeOrg": account})
}

fn rate(calls: u32, seconds: u32) -> Value {
    json!({"rate": {"calls": calls, "seconds": seconds}})
}

async fn decide(api: &Api, call: Value) -> Value {
    api.operator().post("/v1/decisions", call).await.ok().body
}

async fn allowed(api: &Api, call: Value) -> Value {
    let told = decide(api, call).await;
    assert_eq!((&told["allow"], &told["retryAfter"]), (&json!(true), &Value::Null), "{told}");
    told
}

/// Asserts that a call has to wait for so long, because of a limit of this key or account.
async fn limited(api: &Api, call: Value, holder: &str, seconds: u64) -> Value {
    let told = decide(api, call).await;
    assert_eq!(
        (&told["allow"], &told["code"], &told["status"]),
        (&json!(false), &json!("rate_limited"), &json!(429)),
        "{told}"
    );
    assert_eq!((&told["rule"]["kind"], &told["rule"]["id"]), (&json!("rateLimit"), &json!(holder)), "{told}");
    assert_eq!(told["retryAfter"], json!(seconds), "{told}");
    told
}

/// A key with these limits: its id and its secret.
async fn key(api: &Api, account: &str, limits: Value) -> (String, String) {
    let made = api.new_key(account, json!({"name": "k", "limits": limits})).await;
    (made.id(), made.text("secret"))
}

async fn limit(who: &Caller<'_>, account: &str, limits: Value) -> Answer {
    who.put(&format!("/v1/accounts/{account}/call-limits"), limits).await
}

both_engines! {
    async fn a_key_makes_as_many_calls_as_it_may(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            let (id, secret) = key(api, &account, rate(3, 60)).await;
            let other = api.new_key(&account, json!({"name": "o"})).await.text("secret");
            let told = allowed(api, call(&secret)).await;
            assert_eq!(told["headers"], json!({"RateLimit-Policy": "\"key\";q=3;w=60", "RateLimit": "\"key\";r=2;t=20"}));
            assert!(told["remaining"].is_null(), "that is for credits");
            allowed(api, call(&secret)).await;
            assert_eq!(allowed(api, call(&secret)).await["headers"]["RateLimit"], json!("\"key\";r=0;t=20"));
            let told = limited(api, call(&secret), &id, 20).await;
            assert_eq!((&told["rule"]["accountId"], &told["headers"]["RateLimit"]), (&Value::Null, &json!("\"key\";r=0;t=20")));
            assert!(allowed(api, call(&other)).await["headers"].is_null(), "nothing is told where there is no limit");
            // They come back one by one.
            api.clock.advance(Span(19_999_999));
            limited(api, call(&secret), &id, 1).await;
            api.clock.advance(Span(1));
            allowed(api, call(&secret)).await;
            limited(api, call(&secret), &id, 20).await;
            api.clock.advance(Span::hours(1));
            for _ in 0..3 {
                allowed(api, call(&secret)).await;
            }
            limited(api, call(&secret), &id, 20).await;
        }).await;
    }

    async fn many_at_once_are_counted_exactly(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            let (_, secret) = key(api, &account, rate(50, 60)).await;
            for expected in [50, 25] {
                let answers = all((0..200).map(|_| decide(api, call(&secret))).collect()).await;
                assert_eq!(answers.iter().filter(|told| told["allow"] == true).count(), expected);
                api.clock.advance(Span::seconds(30));
            }
        }).await;
    }

    async fn accounts_are_limited_with_all_below_them(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let [root, account, child] = api.line("Acme").await;
            let operator = api.operator();
            limit(&operator, &root, rate(6, 60)).await.ok();
            limit(&api.key_of(&root).await, &account, rate(4, 60)).await.ok();
            let (_, of_root) = key(api, &root, json!(null)).await;
            let (of_account_id, of_account) = key(api, &account, rate(3, 60)).await;
            let told = allowed(api, call(&of_account)).await;
            assert_eq!(told["headers"]["RateLimit-Policy"], json!("\"key\";q=3;w=60, \"account\";q=4;w=60, \"above-1\";q=6;w=60"));
            assert_eq!(told["headers"]["RateLimit"], json!("\"key\";r=2;t=20"), "the tightest");
            // Whoever acts for an account counts there, and with the own key.
            let told = allowed(api, assuming(&of_account, &child)).await;
            assert_eq!(told["headers"]["RateLimit-Policy"], json!("\"key\";q=3;w=60, \"above-1\";q=4;w=60, \"above-2\";q=6;w=60"));
            allowed(api, call(&of_account)).await;
            limited(api, assuming(&of_account, &child), &of_account_id, 20).await;
            // Three are left above, one below: what is refused took nothing from either.
            allowed(api, assuming(&of_root, &child)).await;
            let told = limited(api, assuming(&of_root, &child), &account, 15).await;
            assert_eq!(told["rule"]["accountId"], json!(account));
            limited(api, assuming(&of_root, &account), &account, 15).await;
            allowed(api, call(&of_root)).await;
            allowed(api, call(&of_root)).await;
            limited(api, call(&of_root), &root, 10).await;
            // The longest wait counts.
            limited(api, call(&of_account), &of_account_id, 20).await;
            // What moves away is not limited from there any more.
            let elsewhere = api.root("Elsewhere").await;
            operator.move_below(&account, &elsewhere).await.ok();
            limited(api, call(&of_account), &of_account_id, 20).await;
            let free = api.new_key(&child, json!({"name": "free"})).await.text("secret");
            limited(api, call(&free), &account, 15).await;
            limit(&operator, &account, json!({"rate": null})).await.ok();
            assert!(allowed(api, call(&free)).await["headers"].is_null());
        }).await;
    }

    async fn limits_of_accounts_are_set_from_above(database) {
        Api::run(database, async |api| {
            let [root, account, child] = api.line("Acme").await;
            let operator = api.operator();
            let (boss, mia, bob) = (
                api.member(&root, "boss", "admin").await,
                api.member(&root, "mia", "maintainer").await,
                api.member(&root, "bob", "member").await,
            );
            let own = api.member(&account, "own", "admin").await;
            limit(&boss, &root, rate(1, 1)).await.refused(403, "operator_only");
            limit(&operator, &root, json!({"rate": {"calls": 100, "seconds": 1}, "inFlight": 10})).await.ok();
            limit(&mia, &account, json!({"inFlight": 5})).await.ok();
            for who in [&own.caller, &bob.caller, &api.key_of(&account).await] {
                let refused = limit(who, &account, json!({"inFlight": null})).await;
                assert!(refused.status == 403 && refused.body["code"] == "permission_denied" || refused.status == 404, "{}", refused.body);
            }
            limit(&own, &child, rate(7, 86_400)).await.ok();
            let at = |id: &str| format!("/v1/accounts/{id}/call-limits");
            let above = |id: Option<&str>, calls: Option<u32>, in_flight: u32| {
                json!({"accountId": id, "rate": calls.map(|calls| json!({"calls": calls, "seconds": 1})), "inFlight": in_flight})
            };
            // An account sees what it is limited to, but not by whom, unless it sees them.
            let seen = own.get(&at(&child)).await.ok().body;
            let expected = json!({"rate": {"calls": 7, "seconds": 86_400}, "inFlight": null, "above": [above(Some(&account), None, 5), above(None, Some(100), 10)]});
            assert_eq!(seen, expected);
            assert_eq!(boss.get(&at(&child)).await.ok().body["above"][1], above(Some(&root), Some(100), 10));
            api.user("stranger").await.get(&at(&child)).await.refused(404, "not_found");
            // What is left out stays; versions count; closed is closed.
            let told = limit(&operator, &root, json!({"inFlight": 20})).await.ok();
            assert_eq!((&told.body["rate"]["calls"], &told.body["inFlight"]), (&json!(100), &json!(20)));
            let stale = boss.request(Method::PUT, &at(&child)).header("if-match", "\"1\"").json(&json!({"inFlight": 1}));
            Answer::of(stale).await.refused(412, "version_stale");
            for wrong in [rate(0, 1), rate(1, 0), rate(1, 86_401), rate(1_000_000_001, 1), json!({"inFlight": 0}), json!({"inFlight": 1_000_001}), json!({"rate": {"calls": -1, "seconds": 1}}), json!({"rate": {"calls": 1.5, "seconds": 1}})] {
                limit(&operator, &root, wrong).await.refused(400, "invalid_field");
            }
            limit(&operator, &root, json!({"rps": 5})).await.refused(400, "unknown_field");
            operator.act(&format!("/v1/accounts/{child}/close")).await.ok();
            limit(&operator, &child, rate(1, 1)).await.refused(409, "closed_is_terminal");
            let log = own.get(&format!("/v1/accounts/{account}/audit-log")).await.ok().body;
            let told = &log["data"].as_array().expect("log").iter().find(|row| row["action"] == "account.call_limits_set" && row["accountId"] == json!(account)).expect("the row")["detail"];
            assert_eq!(told["callLimits"], json!({"from": {"rate": null, "inFlight": null}, "to": {"rate": null, "inFlight": 5}}));
        }).await;
    }

    async fn questions_and_what_is_denied_anyway_take_nothing(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            let (id, secret) = key(api, &account, rate(2, 60)).await;
            let mut asked = call(&secret);
            asked["dryRun"] = json!(true);
            for _ in 0..5 {
                assert_eq!(allowed(api, asked.clone()).await["headers"]["RateLimit"], json!("\"key\";r=2;t=0"));
            }
            let mut elsewhere = call(&secret);
            elsewhere["path"] = json!("/voice/nothing");
            let told = decide(api, elsewhere.clone()).await;
            assert_eq!((&told["code"], &told["headers"]), (&json!("endpoint_unknown"), &Value::Null));
            // Each call of a batch is one.
            let batch = json!({"decisions": [call(&secret), elsewhere, call(&secret), call(&secret)]});
            let answers = api.operator().post("/v1/decisions/batch", batch).await.ok().body;
            let codes: Vec<_> = answers["decisions"].as_array().expect("answers").iter().map(|told| told["code"].clone()).collect();
            assert_eq!(codes, [Value::Null, json!("endpoint_unknown"), Value::Null, json!("rate_limited")]);
            limited(api, asked, &id, 30).await;
        }).await;
    }

    async fn an_explanation_says_how_long_to_wait(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            let (id, secret) = key(api, &account, rate(1, 60)).await;
            limit(&api.operator(), &account, rate(1, 10)).await.ok();
            let mut asked = call(&secret);
            asked["explain"] = json!(true);
            let told = allowed(api, asked.clone()).await;
            assert_eq!(told["fixes"], json!([]));
            let told = limited(api, asked, &id, 60).await;
            assert_eq!(told["trace"][10], json!({"step": "rate limits leave room", "verdict": "failed"}));
            let wait = |seconds: u32| json!({"action": "wait", "what": "rateLimit", "seconds": seconds});
            let (mut of_key, mut of_account) = (wait(60), wait(10));
            (of_key["keyId"], of_account["accountId"]) = (json!(id), json!(account));
            assert_eq!(told["fixes"], json!([of_key, of_account]));
        }).await;
    }

    async fn proxies_are_told_in_headers(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            let (_, secret) = key(api, &account, rate(2, 60)).await;
            let secret = api.key(&secret);
            let ask = async |who: &Caller<'_>, way: &str| {
                let asked = who.request(Method::GET, &format!("/v1/authz/{way}"));
                Answer::of(asked.header("x-original-method", "GET").header("x-original-uri", "/voice/languages")).await
            };
            let told = |answer: &Answer| ["ratelimit-policy", "ratelimit", "retry-after"].map(|name| answer.header(name).to_owned());
            let policy = "\"key\";q=2;w=60";
            assert_eq!(told(&ask(&secret, "forward").await.ok()), [policy, "\"key\";r=1;t=30", ""]);
            assert_eq!(told(&ask(&secret, "nginx").await.is(204)), [policy, "\"key\";r=0;t=30", ""]);
            let refused = ask(&secret, "forward").await.refused(429, "rate_limited");
            assert_eq!(told(&refused), [policy, "\"key\";r=0;t=30", "30"]);
            assert!(refused.text("detail").contains("rateLimit key_"), "{}", refused.body);
            let refused = ask(&secret, "nginx").await.is(403);
            assert_eq!(told(&refused), [policy, "\"key\";r=0;t=30", "30"]);
            assert_eq!((refused.header("x-tenantry-code"), refused.header("x-tenantry-status")), ("rate_limited", "429"));
            assert_eq!(told(&ask(&api.key_of(&account).await, "forward").await.ok()), ["", "", ""]);
        }).await;
    }

    async fn who_manages_only_the_own_keys_narrows_their_limits(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            let (ann, bob) = (api.member(&account, "ann", "admin").await, api.member(&account, "bob", "member").await);
            let at = format!("/v1/accounts/{account}/keys");
            let made = bob.post(&at, json!({"name": "b"})).await.created();
            assert!(made.body["limits"].is_null());
            let (one, secret) = (format!("{at}/{}", made.id()), made.text("secret"));
            let change = async |who: &Caller<'_>, limits: Value| who.patch(&one, json!({"limits": limits})).await;
            change(&ann, json!({"rate": {"calls": 10, "seconds": 60}, "inFlight": 3})).await.ok();
            for wider in [rate(11, 60), rate(10, 59), json!({"rate": null}), json!({"inFlight": 4}), json!({"inFlight": null})] {
                change(&bob, wider).await.refused(403, "permission_denied");
            }
            let told = change(&bob, json!({"rate": {"calls": 2, "seconds": 60}, "inFlight": 1})).await.ok();
            assert_eq!(told.body["limits"], json!({"rate": {"calls": 2, "seconds": 60}, "inFlight": 1}));
            change(&bob, json!({})).await.ok();
            // It counts from the next call on, and so does what was called before.
            allowed(api, call(&secret)).await;
            allowed(api, call(&secret)).await;
            limited(api, call(&secret), &made.id(), 30).await;
            change(&ann, rate(3, 60)).await.ok();
            allowed(api, call(&secret)).await;
            limited(api, call(&secret), &made.id(), 20).await;
            change(&ann, json!({"rate": null, "inFlight": null})).await.ok();
            assert!(ann.get(&one).await.ok().body["limits"].is_null());
            allowed(api, call(&secret)).await;
            let theirs = api.new_key(&account, json!({"name": "a"})).await.id();
            bob.patch(&format!("{at}/{theirs}"), json!({"limits": rate(1, 1)})).await.refused(404, "not_found");
            ann.patch(&one, json!({"limits": {"rate": {"calls": 0, "seconds": 1}}})).await.refused(400, "invalid_field");
            let log = ann.get(&format!("/v1/accounts/{account}/audit-log")).await.ok().body;
            let told = &log["data"].as_array().expect("log").iter().find(|row| row["action"] == "key.limited").expect("the row")["detail"];
            assert_eq!(told["limits"]["to"], json!({"rate": null, "inFlight": null}));
        }).await;
    }

    async fn s14_a_limited_key_makes_none_that_is_less_so(database) {
        Api::run(database, async |api| {
            let account = api.root("Acme").await;
            let (id, secret) = key(api, &account, json!({"rate": {"calls": 10, "seconds": 60}, "inFlight": 2})).await;
            let narrow = api.key(&secret);
            let at = format!("/v1/accounts/{account}/keys");
            let made = narrow.post(&at, json!({"name": "same"})).await.created();
            assert_eq!(made.body["limits"], json!({"rate": {"calls": 10, "seconds": 60}, "inFlight": 2}));
            for wider in [rate(11, 60), json!({"inFlight": 3})] {
                narrow.post(&at, json!({"name": "wide", "limits": wider})).await.refused(403, "scope_exceeded");
                narrow.patch(&format!("{at}/{id}"), json!({"limits": wider})).await.refused(403, "scope_exceeded");
            }
            narrow.patch(&format!("{at}/{id}"), json!({"limits": {"inFlight": null}})).await.refused(403, "scope_exceeded");
            let made = narrow.post(&at, json!({"name": "less", "limits": rate(1, 60)})).await.created();
            assert_eq!(made.body["limits"], json!({"rate": {"calls": 1, "seconds": 60}, "inFlight": 2}));
            let wide = api.new_key(&account, json!({"name": "wide"})).await.id();
            narrow.act(&format!("{at}/{wide}/rotate")).await.refused(403, "scope_exceeded");
            narrow.patch(&format!("{at}/{wide}"), json!({"limits": rate(100, 1)})).await.ok();
        }).await;
    }

    async fn a_key_that_replaces_another_is_limited_like_it(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            let (id, _) = key(api, &account, json!({"rate": {"calls": 1, "seconds": 60}, "inFlight": 4})).await;
            let rotated = api.operator().act(&format!("/v1/accounts/{account}/keys/{id}/rotate")).await.created();
            assert_eq!(rotated.body["limits"], json!({"rate": {"calls": 1, "seconds": 60}, "inFlight": 4}));
            allowed(api, call(&rotated.text("secret"))).await;
            limited(api, call(&rotated.text("secret")), &rotated.id(), 60).await;
        }).await;
    }

    async fn r12_setting_the_clock_changes_no_limit(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let account = api.root("Acme").await;
            let (id, secret) = key(api, &account, rate(1, 3_600)).await;
            allowed(api, call(&secret)).await;
            for jump in [Span::seconds(1), Span::days(3_650), Span::days(-7_300), Span::days(3_650)] {
                api.clock.set(jump);
                limited(api, call(&secret), &id, 3_600).await;
            }
            api.clock.advance(Span::hours(1));
            allowed(api, call(&secret)).await;
        }).await;
    }

    /// Asking about calls does not tell when they end: who forwards them counts how many there are.
    async fn calls_at_once_are_limited_for_who_is_told_when_they_end(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let [root, account] = api.line("Acme").await;
            limit(&api.operator(), &root, json!({"inFlight": 3})).await.ok();
            let (_, secret) = key(api, &account, json!({"inFlight": 2})).await;
            for _ in 0..5 {
                assert!(allowed(api, call(&secret)).await["headers"].is_null());
            }
            let hash = ring::digest::digest(&ring::digest::SHA256, secret.as_bytes()).as_ref().try_into().expect("32 bytes");
            let snapshot = api.running.app.plane.snapshot();
            let request = Request {
                presented: Presented::Hash(hash),
                assume: None,
                address: None,
                method: tenantry_core::method::Method::Get,
                target: "/voice/languages",
                resource: None,
                now: api.clock.now(),
            };
            let decision = snapshot.decide(&request);
            assert_eq!(decision.outcome, Ok(()));
            let begin = || api.running.app.limiter.admit(snapshot.limits(&decision), api.clock.monotonic());
            let (first, second) = (begin().expect("room"), begin().expect("room"));
            let policy = "\"key-in-flight\";q=2;qu=\"concurrent-requests\", \"above-1-in-flight\";q=3;qu=\"concurrent-requests\"";
            let told = second.report.fields().expect("limits");
            assert_eq!((told.policy.as_str(), told.limit.as_str()), (policy, "\"key-in-flight\";r=0"));
            assert!(begin().is_err());
            drop(first);
            drop(begin().expect("room"));
        }).await;
    }
}
