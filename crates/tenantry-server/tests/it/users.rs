//! Users: signing up and in, proving who one is, and what nobody learns from it.

use reqwest::Method;
use serde_json::{Value, json};
use tenantry_core::time::Span;
use tenantry_testkit::both_engines;

use crate::support::{Answer, Api, PASSWORD, all, cookies, token_in, with_cookie};

/// What an answer tells, without what differs from answer to answer.
fn told(answer: &Answer) -> (u16, Value, Vec<String>) {
    let mut body = answer.body.clone();
    if let Some(body) = body.as_object_mut() {
        body.remove("requestId");
        body.remove("email");
    }
    let mut names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
    names.sort();
    (answer.status, body, names)
}

async fn sign_in(api: &Api, email: &str, password: &str) -> Answer {
    api.anonymous().post("/v1/sessions", json!({"email": email, "password": password})).await
}

both_engines! {
    async fn a_sign_up_becomes_a_user_by_the_link_alone(database) {
        Api::run(database, async |api| {
            let new = json!({"email": "Ann@Example.com", "password": PASSWORD, "name": "Ann"});
            api.anonymous().post("/v1/users", new).await.is(202);
            sign_in(api, "ann@example.com", PASSWORD).await.refused(401, "sign_in_failed");
            let token = api.mailed_token("Ann@Example.com").await;
            let verified = api.anonymous().post("/v1/users/verify", json!({"token": token})).await.ok();
            assert_eq!(verified.body["user"]["name"], "Ann");
            api.anonymous().post("/v1/users/verify", json!({"token": token})).await.refused(400, "token_invalid");

            let ann = api.sign_in("ANN@example.com").await;
            let me = ann.get("/v1/users/me").await.ok().body;
            assert_eq!(me["personalAccount"]["accountId"], ann.personal);
            assert_eq!((&me["personalAccount"]["role"], &me["organizations"]), (&json!("admin"), &json!([])));
            let personal = api.account(&ann.personal).await;
            assert_eq!((&personal["kind"], &personal["userCount"], &personal["name"]), (&json!("personal"), &json!(1), &json!("Ann")));
            // Nobody else gets in, and it has nothing below.
            api.operator().post(&format!("/v1/accounts/{}/invitations", ann.personal), json!({"email": "b@example.com", "role": "member"}))
                .await.refused(409, "personal_account");
            ann.act(&format!("/v1/accounts/{}/close", ann.personal)).await.refused(409, "personal_account");
        }).await;
    }

    async fn users_make_organizations_and_turn_between_them(database) {
        Api::run(database, async |api| {
            let ann = api.user("ann").await;
            let org = json!({"name": "Acme", "email": "ops@example.com"});
            let first = ann.post("/v1/accounts", org.clone()).await.created();
            assert_eq!(first.body["userCount"], 1);
            let second = ann.post("/v1/accounts", org).await.created().id();
            let me = ann.get("/v1/users/me").await.ok().body;
            let roles: Vec<_> = me["organizations"].as_array().expect("list").iter().map(|o| &o["role"]).collect();
            assert_eq!(roles, ["admin", "admin"]);
            assert_eq!(ann.get("/v1/accounts").await.ok().body["pagination"]["total"], 3);
            // Without a header it is the personal account, with one the organization.
            assert_eq!(ann.get("/org").await.ok().body["orgId"], ann.personal);
            let assumed = ann.assuming(&second).get("/org").await.ok();
            assert_eq!(assumed.body["orgId"], second);
            assert_eq!((assumed.header("x-tenantry-actor"), assumed.header("x-tenantry-subject")), (ann.id.as_str(), second.as_str()));
            // A key of the personal account turns the same way, if its scopes allow for it.
            let keys = format!("/v1/accounts/{}/keys", ann.personal);
            let key = api.key(&ann.post(&keys, json!({"name": "mine"})).await.created().text("secret"));
            assert_eq!(key.assuming(&first.id()).get("/org").await.ok().body["orgId"], first.id());
            let narrow = json!({"name": "narrow", "scopes": ["account.read"]});
            let narrow = api.key(&ann.post(&keys, narrow).await.created().text("secret"));
            narrow.assuming(&first.id()).get("/org").await.refused(403, "assume_forbidden");
            let eve = api.user("eve").await;
            eve.assuming(&second).get("/org").await.refused(403, "assume_forbidden");
        }).await;
    }

    async fn s30_nobody_learns_who_is_a_user(database) {
        Api::run(database, async |api| {
            api.user("ann").await;
            let known = sign_in(api, "ann@example.com", "wrong password").await;
            let unknown = sign_in(api, "nobody@example.com", "wrong password").await;
            assert_eq!(told(&known), told(&unknown));
            let ask = async |path: &str, email: &str| {
                let body = match path {
                    "/v1/users" => json!({"email": email, "password": PASSWORD, "name": "N"}),
                    _ => json!({"email": email}),
                };
                told(&api.anonymous().post(path, body).await)
            };
            for path in ["/v1/users", "/v1/users/password-reset"] {
                assert_eq!(ask(path, "ann@example.com").await, ask(path, "nobody@example.com").await, "{path}");
            }
            // The mails tell it to those whom it concerns.
            assert!(api.mails("ann@example.com").await.iter().any(|mail| mail.contains("belongs to an account already")));
            assert!(api.mails("nobody@example.com").await.iter().any(|mail| mail.contains("There is none")));
        }).await;
    }

    async fn a_forgotten_password_is_replaced_once_and_ends_all_sessions(database) {
        Api::run(database, async |api| {
            let ann = api.user("ann").await;
            let reset = async |token: &str| {
                api.anonymous().post("/v1/users/password-reset/confirm", json!({"token": token, "password": "another password"})).await
            };
            api.anonymous().post("/v1/users/password-reset", json!({"email": "ann@example.com"})).await.is(202);
            let late = api.mailed_token("ann@example.com").await;
            api.clock.advance(Span::hours(1));
            reset(&late).await.refused(400, "token_invalid");
            api.anonymous().post("/v1/users/password-reset", json!({"email": "ann@example.com"})).await.is(202);
            let token = api.mailed_token("ann@example.com").await;
            // The token of another purpose is none, here or there.
            api.anonymous().post("/v1/users/verify", json!({"token": token})).await.refused(400, "token_invalid");
            reset("0000000000000000000000000000000x").await.refused(400, "token_invalid");
            ann.get("/v1/users/me").await.ok();
            reset(&token).await.ok();
            reset(&token).await.refused(400, "token_invalid");
            ann.get("/v1/users/me").await.refused(401, "session_unknown");
            sign_in(api, "ann@example.com", PASSWORD).await.refused(401, "sign_in_failed");
            sign_in(api, "ann@example.com", "another password").await.created();
            assert!(api.mails("ann@example.com").await[0].contains("was changed"));
        }).await;
    }

    async fn an_address_changes_when_the_new_one_is_proven(database) {
        Api::run(database, async |api| {
            let ann = api.user("ann").await;
            api.user("ben").await;
            ann.post("/v1/users/me/email", json!({"email": "ben@example.com"})).await.is(202);
            assert!(api.mails("ben@example.com").await[0].contains("belongs to an account already"));
            ann.post("/v1/users/me/email", json!({"email": "ann@new.example"})).await.is(202);
            let token = api.mailed_token("ann@new.example").await;
            sign_in(api, "ann@new.example", PASSWORD).await.refused(401, "sign_in_failed");
            let changed = api.anonymous().post("/v1/users/email/confirm", json!({"token": token})).await.ok();
            assert_eq!(changed.text("email"), "ann@new.example");
            assert!(api.mails("ann@example.com").await[0].contains("another e-mail address"));
            sign_in(api, "ann@example.com", PASSWORD).await.refused(401, "sign_in_failed");
            sign_in(api, "ann@new.example", PASSWORD).await.created();
        }).await;
    }

    async fn s39_a_session_is_dead_when_it_should_be(database) {
        Api::run(database, async |api| {
            let ann = api.user("ann").await;
            let signed_in = sign_in(api, "ann@example.com", PASSWORD).await.created();
            let set = signed_in.headers["set-cookie"].to_str().expect("text").to_owned();
            for attribute in ["__Host-tenantry=tny_session_", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Lax"] {
                assert!(set.contains(attribute), "{set}");
            }
            // A token that somebody brings along is not the one that they get.
            let again = with_cookie(api, "/v1/sessions", &cookies(&signed_in)[0], &[], json!({"email": "ann@example.com", "password": PASSWORD})).await;
            assert_ne!(again.created().text("token"), signed_in.text("token"));
            let other = api.key(&signed_in.text("token"));
            other.delete("/v1/sessions/current").await.ok();
            other.get("/v1/users/me").await.refused(401, "session_unknown");
            // Another password ends all other sessions.
            let third = api.sign_in("ann@example.com").await;
            third.post("/v1/users/me/password", json!({"password": "another password"})).await.ok();
            third.get("/v1/users/me").await.ok();
            ann.get("/v1/users/me").await.refused(401, "session_unknown");
            // A user whose personal account is suspended is out at once.
            api.operator().act(&format!("/v1/accounts/{}/suspend", ann.personal)).await.ok();
            third.get("/v1/users/me").await.refused(403, "account_suspended");
            sign_in(api, "ann@example.com", "another password").await.refused(403, "account_suspended");
        }).await;
    }

    async fn sessions_are_listed_ended_and_end_by_themselves(database) {
        Api::run(database, async |api| {
            let ann = api.user("ann").await;
            let second = api.sign_in("ann@example.com").await;
            let list = ann.get("/v1/users/me/sessions").await.ok().body;
            let sessions = list["data"].as_array().expect("list");
            assert_eq!((sessions.len(), &sessions[1]["current"], &sessions[0]["proof"]), (2, &json!(true), &json!("password")));
            let id = sessions[0]["id"].as_str().expect("id");
            let eve = api.user("eve").await;
            eve.delete(&format!("/v1/users/me/sessions/{id}")).await.refused(404, "not_found");
            ann.delete(&format!("/v1/users/me/sessions/{id}")).await.ok();
            second.get("/v1/users/me").await.refused(401, "session_unknown");
            // Used within a week it goes on, for a month.
            for _ in 0..5 {
                api.clock.advance(Span::days(5));
                ann.get("/v1/users/me").await.ok();
                api.running.flush().await.expect("flush");
            }
            eve.get("/v1/users/me").await.refused(401, "session_expired");
            api.clock.advance(Span::days(5));
            ann.get("/v1/users/me").await.refused(401, "session_expired");
            let last = api.sign_in("ann@example.com").await;
            assert_eq!(last.delete("/v1/users/me/sessions").await.ok().body["ended"], 2);
            last.get("/v1/users/me").await.refused(401, "session_unknown");
        }).await;
    }

    async fn sensitive_acts_take_a_fresh_proof(database) {
        Api::run(database, async |api| {
            let ann = api.user("ann").await;
            api.clock.advance(Span::seconds(601));
            let new = json!({"password": "another password"});
            ann.post("/v1/users/me/password", new.clone()).await.refused(403, "step_up_required");
            ann.act("/v1/users/me/authenticator").await.refused(403, "step_up_required");
            ann.post("/v1/sessions/current/proof", json!({"password": "wrong"})).await.refused(401, "sign_in_failed");
            ann.post("/v1/sessions/current/proof", json!({})).await.refused(400, "invalid_field");
            ann.post("/v1/sessions/current/proof", json!({"password": PASSWORD})).await.ok();
            ann.post("/v1/users/me/password", new).await.ok();
        }).await;
    }

    async fn s61_other_sites_cannot_use_a_browsers_cookie(database) {
        Api::run(database, async |api| {
            let ann = api.user("ann").await;
            let cookie = format!("__Host-tenantry={}", ann.credential.clone().expect("a token"));
            let body = json!({"name": "Acme", "email": "ops@example.com"});
            let post = async |headers: &[(&str, &str)]| with_cookie(api, "/v1/accounts", &cookie, headers, body.clone()).await;
            for site in ["cross-site", "same-site"] {
                post(&[("sec-fetch-site", site)]).await.refused(403, "cross_site");
            }
            post(&[("origin", "https://evil.example")]).await.refused(403, "cross_site");
            post(&[("origin", "null")]).await.refused(403, "cross_site");
            let same = post(&[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")]).await.created();
            assert!(same.headers.get("access-control-allow-origin").is_none());
            post(&[("origin", "http://127.0.0.1:8080")]).await.created();
            let plain = api.anonymous().request(Method::POST, "/v1/accounts").header("cookie", &cookie)
                .header("content-type", "text/plain").body(body.to_string());
            Answer::of(plain).await.refused(415, "media_type_unsupported");
            // Nobody signs somebody in from elsewhere, either; and a token that a program sends is no cookie.
            let login = json!({"email": "ann@example.com", "password": PASSWORD});
            with_cookie(api, "/v1/sessions", "a=b", &[("sec-fetch-site", "cross-site")], login).await.refused(403, "cross_site");
            let bearer = ann.request(Method::POST, "/v1/accounts").header("sec-fetch-site", "cross-site").json(&body);
            Answer::of(bearer).await.created();
            // S22: one credential.
            let both = api.user("ben").await.request(Method::GET, "/v1/users/me").header("cookie", &cookie);
            Answer::of(both).await.refused(400, "ambiguous_credentials");
        }).await;
    }

    async fn acting_for_others_in_a_browser_takes_a_reason_and_a_fresh_proof(database) {
        Api::run(database, async |api| {
            let [parent, child] = api.line("Acme").await;
            let ann = api.member(&parent, "ann", "admin").await;
            let cookie = format!("__Host-tenantry={}", ann.credential.clone().expect("a token"));
            let body = json!({"name": "Renamed"});
            let patch = async |headers: &[(&str, &str)]| {
                let mut request = api.anonymous().request(Method::PATCH, &format!("/v1/accounts/{child}")).header("cookie", &cookie).json(&body);
                for (name, value) in headers {
                    request = request.header(*name, *value);
                }
                Answer::of(request).await
            };
            let assume = ("x-assume-org", child.as_str());
            patch(&[assume]).await.refused(403, "reason_required");
            patch(&[assume, ("x-assume-reason", "ticket 42")]).await.ok();
            api.clock.advance(Span::seconds(601));
            patch(&[assume, ("x-assume-reason", "ticket 43")]).await.refused(403, "step_up_required");
            // To be what one is a member of is not acting for others.
            let own = api.anonymous().request(Method::GET, "/org").header("cookie", &cookie).header("x-assume-org", &parent);
            Answer::of(own).await.ok();
            let log = api.operator().get(&format!("/v1/accounts/{child}/audit-log?action=account.updated")).await.ok().body;
            let row = &log["data"][0];
            assert_eq!((&row["reason"], &row["actor"]["userId"], &row["subject"]), (&json!("ticket 42"), &json!(ann.id), &json!(child)));
        }).await;
    }

    async fn s70_guessing_is_slowed_down_without_locking_the_user_out(database) {
        Api::run(database, async |api| {
            api.user("ann").await;
            let device = cookies(&sign_in(api, "ann@example.com", PASSWORD).await.created())[1].clone();
            assert!(device.starts_with("__Host-tenantry-device="), "{device}");
            for _ in 0..10 {
                sign_in(api, "ann@example.com", "wrong password").await.refused(401, "sign_in_failed");
            }
            let throttled = sign_in(api, "ann@example.com", PASSWORD).await.refused(429, "too_many_attempts");
            assert!(throttled.header("retry-after").parse::<u32>().is_ok_and(|seconds| (1..=900).contains(&seconds)));
            // Where the user signed in before, they still get in; there, guessing is counted apart.
            let login = |password: &str| json!({"email": "ann@example.com", "password": password});
            with_cookie(api, "/v1/sessions", &device, &[], login(PASSWORD)).await.created();
            with_cookie(api, "/v1/sessions", "__Host-tenantry-device=0", &[], login(PASSWORD)).await.refused(429, "too_many_attempts");
            api.clock.advance(Span::seconds(900));
            sign_in(api, "ann@example.com", PASSWORD).await.created();
            // One address that tries many users.
            let mut refused = 0;
            for n in 0..60 {
                refused += i32::from(sign_in(api, &format!("user{n}@example.com"), "Spring2026").await.status == 429);
            }
            assert_eq!(refused, 10, "fifty failures from one address, whomever they are about");
            sign_in(api, "ann@example.com", PASSWORD).await.refused(429, "too_many_attempts");
            with_cookie(api, "/v1/sessions", &device, &[], login(PASSWORD)).await.created();
        }).await;
    }

    async fn s71_a_hundred_guesses_at_once_are_counted_one_by_one(database) {
        Api::run(database, async |api| {
            api.user("ann").await;
            let guesses: Vec<_> = (0..100).map(|_| sign_in(api, "ann@example.com", "wrong password")).collect();
            let tried = all(guesses).await.iter().filter(|guess| guess.status == 401).count();
            assert_eq!(tried, 10);
        }).await;
    }

    async fn s79_links_go_to_the_configured_address(database) {
        Api::run(database, async |api| {
            let request = api.anonymous().request(Method::POST, "/v1/users").header("x-forwarded-host", "evil.example")
                .header("host", "evil.example").json(&json!({"email": "ann@example.com", "password": PASSWORD, "name": "Ann"}));
            Answer::of(request).await.is(202);
            let mail = api.mails("ann@example.com").await.remove(0);
            assert!(mail.contains("http://127.0.0.1:8080/link/verify?token=") && !mail.contains("evil"), "{mail}");
            assert_eq!(token_in(&mail).len(), 32);
        }).await;
    }

    async fn mails_that_anybody_can_have_sent_are_few(database) {
        Api::run(database, async |api| {
            for _ in 0..5 {
                api.anonymous().post("/v1/users/password-reset", json!({"email": "ann@example.com"})).await.is(202);
            }
            api.anonymous().post("/v1/users/password-reset", json!({"email": "ann@example.com"})).await.refused(429, "too_many_attempts");
            let new = json!({"email": "ann@example.com", "password": PASSWORD, "name": "Ann"});
            api.anonymous().post("/v1/users", new).await.refused(429, "too_many_attempts");
            assert_eq!(api.mails("ann@example.com").await.len(), 5);
        }).await;
    }

    async fn s31_users_change_what_is_theirs_to_change(database) {
        Api::run(database, async |api| {
            let ann = api.user("ann").await;
            for field in ["email", "accountId", "role", "createdAt", "password"] {
                ann.patch("/v1/users/me", json!({"name": "Ann", field: "x"})).await.refused(400, "unknown_field");
            }
            let renamed = ann.patch("/v1/users/me", json!({"name": "Ann Smith"})).await.ok();
            assert_eq!((renamed.text("name").as_str(), renamed.header("etag")), ("Ann Smith", "\"2\""));
            let stale = ann.request(Method::PATCH, "/v1/users/me").header("if-match", "\"1\"").json(&json!({"name": "x"}));
            Answer::of(stale).await.refused(412, "version_stale");
        }).await;
    }

    async fn passwords_have_a_length(database) {
        Api::run(database, async |api| {
            for password in ["short", "", "ann@example.com", &"x".repeat(257)] {
                let new = json!({"email": "ann@example.com", "password": password, "name": "Ann"});
                let refused = api.anonymous().post("/v1/users", new).await.refused(400, "invalid_field");
                assert_eq!(refused.body["errors"][0]["field"], "password");
            }
        }).await;
    }
}
