//! Codes of an authenticator, and recovery codes.

use serde_json::json;
use tenantry_core::time::Span;
use tenantry_testkit::both_engines;
use totp_rs::{Builder, Secret};

use crate::support::{Answer, Api, PASSWORD, Person, all};

/// What an authenticator app with this secret shows now.
fn code(api: &Api, secret: &str) -> String {
    let secret = Secret::try_from_base32(secret).expect("base 32");
    let seconds = u64::try_from(api.clock.now().0 / 1_000_000).expect("after 1970");
    Builder::new().with_secret(secret).build().expect("an authenticator").generate(seconds).to_string()
}

/// Adds an authenticator; answers its secret and the recovery codes.
async fn protect(api: &Api, person: &Person<'_>) -> (String, Vec<String>) {
    let begun = person.act("/v1/users/me/authenticator").await.created();
    assert!(begun.text("url").starts_with("otpauth://totp/Tenantry:"), "{}", begun.text("url"));
    let secret = begun.text("secret");
    let confirm = json!({"code": code(api, &secret)});
    let confirmed = person.post("/v1/users/me/authenticator/confirm", confirm).await.ok().body;
    let codes = confirmed["recoveryCodes"].as_array().expect("codes").iter();
    (secret, codes.map(|code| code.as_str().expect("text").to_owned()).collect())
}

async fn sign_in(api: &Api, code: Option<&str>) -> Answer {
    let body = json!({"email": "ann@example.com", "password": PASSWORD, "code": code});
    api.anonymous().post("/v1/sessions", body).await
}

both_engines! {
    async fn codes_are_asked_for_and_good_once(database) {
        Api::run(database, async |api| {
            let ann = api.user("ann").await;
            let (secret, recovery) = protect(api, &ann).await;
            assert_eq!(recovery.len(), 10);
            ann.act("/v1/users/me/authenticator").await.refused(409, "authenticator_exists");
            sign_in(api, None).await.refused(401, "code_required");
            sign_in(api, Some(&code(api, &secret))).await.refused(401, "code_wrong");
            api.clock.advance(Span::seconds(30));
            let now = code(api, &secret);
            let at_once = all((0..10).map(|_| sign_in(api, Some(&now))).collect()).await;
            assert_eq!(at_once.iter().filter(|answer| answer.status == 201).count(), 1, "one code, one sign-in");
            api.clock.advance(Span::seconds(900));
            sign_in(api, Some(&recovery[3])).await.created();
            sign_in(api, Some(&recovery[3])).await.refused(401, "code_wrong");
            assert_eq!(ann.get("/v1/users/me").await.ok().body["security"]["recoveryCodes"], 9);
            // A wrong password tells nothing of the codes.
            let wrong = json!({"email": "ann@example.com", "password": "wrong password"});
            api.anonymous().post("/v1/sessions", wrong).await.refused(401, "sign_in_failed");
        }).await;
    }

    async fn s70_five_wrong_codes_wherever_they_are_asked_for(database) {
        Api::run(database, async |api| {
            let ann = api.user("ann").await;
            let (secret, _) = protect(api, &ann).await;
            api.clock.advance(Span::seconds(900));
            for _ in 0..3 {
                sign_in(api, Some("000000")).await.refused(401, "code_wrong");
            }
            let proof = json!({"password": PASSWORD, "code": "000000"});
            for _ in 0..2 {
                ann.post("/v1/sessions/current/proof", proof.clone()).await.refused(401, "code_wrong");
            }
            ann.post("/v1/sessions/current/proof", proof).await.refused(429, "too_many_attempts");
            sign_in(api, Some(&code(api, &secret))).await.refused(429, "too_many_attempts");
            api.clock.advance(Span::seconds(900));
            sign_in(api, Some(&code(api, &secret))).await.created();
        }).await;
    }

    async fn an_authenticator_goes_with_a_fresh_proof_only(database) {
        Api::run(database, async |api| {
            let ann = api.user("ann").await;
            let (secret, _) = protect(api, &ann).await;
            api.clock.advance(Span::seconds(900));
            ann.delete("/v1/users/me/authenticator").await.refused(403, "step_up_required");
            ann.post("/v1/sessions/current/proof", json!({"password": PASSWORD})).await.refused(401, "code_required");
            let proof = json!({"password": PASSWORD, "code": code(api, &secret)});
            assert_eq!(ann.post("/v1/sessions/current/proof", proof).await.ok().text("proof"), "password_and_code");
            ann.delete("/v1/users/me/authenticator").await.ok();
            sign_in(api, None).await.created();
        }).await;
    }
}
