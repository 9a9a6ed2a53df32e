//! S69: the same request twice is one change, whatever happens in between.

use reqwest::Method;
use serde_json::{Value, json};
use tenantry_core::time::Span;
use tenantry_testkit::both_engines;

use crate::support::{Answer, Api, Caller};

async fn post(caller: &Caller<'_>, path: &str, key: &str, body: &Value) -> Answer {
    Answer::of(caller.request(Method::POST, path).header("idempotency-key", key).json(body)).await
}

both_engines! {
    async fn a_repetition_gets_the_first_answer(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let (key, other) = (api.key_of(&root).await, api.key_of(&root).await);
            let at = format!("/v1/accounts/{root}/children");
            let body = json!({"name": "Once", "email": "once@example.com"});
            let first = post(&key, &at, "k1", &body).await.created();
            let again = post(&key, &at, "k1", &body).await.created();
            assert_eq!((first.body.clone(), first.header("x-tenantry-rev"), first.header("etag")), (again.body.clone(), again.header("x-tenantry-rev"), again.header("etag")));
            assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));

            let changed = json!({"name": "Twice", "email": "once@example.com"});
            post(&key, &at, "k1", &changed).await.refused(422, "idempotency_key_reused");
            post(&key, &format!("/v1/accounts/{}/children", api.child(&root, "Other").await), "k1", &body).await.refused(422, "idempotency_key_reused");
            // Another owner of the same idempotency key is another request.
            assert_ne!(post(&other, &at, "k1", &body).await.created().id(), first.id());
            // After a day it is forgotten.
            api.clock.advance(Span::days(1));
            assert_ne!(post(&key, &at, "k1", &body).await.created().id(), first.id());
            assert_eq!(api.account(&root).await["childCount"], 4);

            for bad in ["with space", "ü", &"x".repeat(256)] {
                let request = key.request(Method::POST, &at).header("idempotency-key", bad.as_bytes()).json(&body);
                Answer::of(request).await.refused(400, "idempotency_key_invalid");
            }
        }).await;
    }

    async fn a_secret_is_shown_again_to_who_asked_for_it_and_to_nobody_else(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let key = api.key_of(&root).await;
            let at = format!("/v1/accounts/{root}/keys");
            let first = post(&key, &at, "k1", &json!({"name": "app"})).await.created();
            let again = post(&key, &at, "k1", &json!({"name": "app"})).await.created();
            assert_eq!(first.text("secret"), again.text("secret"));
            assert_eq!(api.operator().get(&at).await.ok().body["pagination"]["total"], 2);
        }).await;
    }

    /// Somebody without a credential, too: what they said is what they are recognised by.
    async fn who_becomes_a_user_may_ask_twice(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let token = api.invite(&api.operator(), &root, "new@example.com", "member").await;
            let said = json!({"token": token, "name": "New", "password": crate::support::PASSWORD});
            let accept = async |key: &str| post(&api.anonymous(), "/v1/invitations/accept", key, &said).await;
            let first = accept("k1").await.ok();
            let again = accept("k1").await.ok();
            assert_eq!((&first.body, again.header("idempotency-replayed")), (&again.body, "true"));
            accept("k2").await.refused(409, "invitation_used");
            let other = json!({"token": token, "name": "Another", "password": crate::support::PASSWORD});
            post(&api.anonymous(), "/v1/invitations/accept", "k1", &other).await.refused(409, "invitation_used");
            // Signing in twice is one session.
            let sign_in = json!({"email": "new@example.com", "password": crate::support::PASSWORD});
            let first = post(&api.anonymous(), "/v1/sessions", "k1", &sign_in).await.created();
            let again = post(&api.anonymous(), "/v1/sessions", "k1", &sign_in).await.created();
            assert_eq!(first.text("token"), again.text("token"));
            assert_eq!(again.headers.get_all("set-cookie").iter().count(), 2);
        }).await;
    }

    /// The caller may have lost its rights by the very change: the answer is still its own.
    async fn a_detached_account_is_still_answered_for(database) {
        Api::run(database, async |api| {
            let [root, two] = api.line("Acme").await;
            let key = api.key_of(&root).await;
            let detach = || Answer::of(key.request(Method::DELETE, &format!("/v1/accounts/{two}/parent")).header("idempotency-key", "d1"));
            let first = detach().await.ok();
            assert_eq!(detach().await.ok().body, first.body);
            key.delete(&format!("/v1/accounts/{two}/parent")).await.refused(404, "not_found");
        }).await;
    }

    async fn refusals_are_not_kept(database) {
        Api::run(database, async |api| {
            let [root, two] = api.line("Acme").await;
            let key = api.key_of(&root).await;
            let suspend = format!("/v1/accounts/{two}/suspend");
            let at = format!("/v1/accounts/{two}/children");
            let body = json!({"name": "x", "email": "x@example.com"});
            api.operator().act(&suspend).await.ok();
            post(&key, &at, "k1", &body).await.refused(409, "parent_suspended");
            api.operator().act(&format!("/v1/accounts/{two}/activate")).await.ok();
            post(&key, &at, "k1", &body).await.created();
            // A dry run is not kept either.
            post(&key, &format!("{at}?dryRun=true"), "k2", &body).await.ok();
            post(&key, &at, "k2", &body).await.created();
        }).await;
    }

    async fn a_hundred_at_once_are_one_change(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let key = api.key_of(&root).await;
            let (at, body) = (format!("/v1/accounts/{root}/children"), json!({"name": "Once", "email": "once@example.com"}));
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..100 {
                let request = key.request(Method::POST, &at).header("idempotency-key", "k1").json(&body);
                tasks.spawn(Answer::of(request));
            }
            let mut ids = std::collections::BTreeSet::new();
            while let Some(answer) = tasks.join_next().await {
                let answer = answer.expect("no panic");
                if answer.status == 201 {
                    ids.insert(answer.id());
                } else {
                    answer.refused(409, "idempotency_in_flight");
                }
            }
            assert_eq!(ids.len(), 1);
            assert_eq!(api.account(&root).await["childCount"], 1);
        }).await;
    }
}
