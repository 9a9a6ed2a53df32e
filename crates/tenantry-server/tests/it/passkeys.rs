//! Passkeys, with a software authenticator.

use serde_json::{Value, json};
use tenantry_core::time::Span;
use tenantry_server::Config;
use tenantry_store::Limits;
use tenantry_testkit::both_engines;
use webauthn_authenticator_rs::WebauthnAuthenticator as _;
use webauthn_authenticator_rs::prelude::{CreationChallengeResponse, RequestChallengeResponse, Url};
use webauthn_authenticator_rs::softpasskey::SoftPasskey;

use crate::support::{Answer, Api, Person};

const ORIGIN: &str = "http://localhost:8080";

/// A browser at `origin` with an authenticator in it.
struct Browser {
    origin: Url,
    authenticator: SoftPasskey,
    /// The passkeys that it found for the page: their ids, and whose they are.
    known: Vec<(Value, Value)>,
}

impl Browser {
    fn at(origin: &str) -> Self {
        let authenticator = SoftPasskey::new(true);
        Self { origin: origin.parse().expect("an address"), authenticator, known: Vec::new() }
    }

    async fn add(&mut self, person: &Person<'_>, name: &str) -> Answer {
        let begun = person.act("/v1/users/me/passkeys").await.ok();
        let options: CreationChallengeResponse =
            serde_json::from_value(begun.body["options"].clone()).expect("options");
        let made = self.authenticator.do_registration(self.origin.clone(), options).expect("a passkey");
        let made = serde_json::to_value(&made).expect("JSON");
        self.known.push((made["rawId"].clone(), begun.body["options"]["publicKey"]["user"]["id"].clone()));
        let answer = json!({"ceremony": begun.text("ceremony"), "name": name, "credential": made});
        person.post("/v1/users/me/passkeys/confirm", answer).await
    }

    /// What the authenticator answers to a challenge. It is a simple one, which has to be told which passkey to take: a
    /// browser would let the user choose.
    fn answer(&mut self, options: &Value) -> Value {
        let (id, user) = self.known.last().expect("a passkey").clone();
        let mut options = options.clone();
        options["publicKey"]["allowCredentials"] = json!([{"type": "public-key", "id": id}]);
        options["mediation"] = Value::Null;
        let options: RequestChallengeResponse = serde_json::from_value(options).expect("options");
        let given = self.authenticator.do_authentication(self.origin.clone(), options).expect("an answer");
        let mut given = serde_json::to_value(&given).expect("JSON");
        given["response"]["userHandle"] = user;
        given
    }
}

async fn begin(api: &Api) -> Answer {
    api.anonymous().act("/v1/sessions/passkey").await.ok()
}

async fn finish(api: &Api, ceremony: &str, credential: Value) -> Answer {
    api.anonymous().post("/v1/sessions/passkey/confirm", json!({"ceremony": ceremony, "credential": credential})).await
}

async fn with_passkeys(database: tenantry_testkit::Database, test: impl AsyncFnOnce(&Api)) {
    let config = Config { public_url: ORIGIN.to_owned(), ..Config::default() };
    Api::run_with(database, Limits::DEFAULT, config, test).await;
}

both_engines! {
    async fn a_passkey_signs_its_user_in(database) {
        with_passkeys(database, async |api| {
            let ann = api.user("ann").await;
            let mut browser = Browser::at(ORIGIN);
            assert_eq!(browser.add(&ann, "laptop").await.created().text("name"), "laptop");
            let begun = begin(api).await;
            let given = browser.answer(&begun.body["options"]);
            let signed_in = finish(api, &begun.text("ceremony"), given.clone()).await.created();
            assert_eq!(signed_in.body["user"]["id"], ann.id);
            let session = api.key(&signed_in.text("token"));
            assert_eq!(session.get("/v1/users/me/sessions").await.ok().body["data"][0]["proof"], "passkey");
            // An answer is good once, and only for its own challenge.
            finish(api, &begun.text("ceremony"), given.clone()).await.refused(400, "token_invalid");
            finish(api, &begin(api).await.text("ceremony"), given).await.refused(400, "passkey_invalid");
            let list = ann.get("/v1/users/me/passkeys").await.ok().body;
            assert_eq!(list["data"][0]["lastUsedAt"], "2026-01-31T12:00:00Z");
        }).await;
    }

    async fn answers_from_elsewhere_do_not_count(database) {
        with_passkeys(database, async |api| {
            let (ann, eve) = (api.user("ann").await, api.user("eve").await);
            let mut browser = Browser::at(ORIGIN);
            browser.add(&ann, "laptop").await.created();
            // The same authenticator, asked by the page of another origin.
            browser.origin = "http://localhost:9999".parse().expect("an address");
            let begun = begin(api).await;
            let given = browser.answer(&begun.body["options"]);
            finish(api, &begun.text("ceremony"), given).await.refused(400, "passkey_invalid");
            // Somebody who says that the passkey is theirs.
            browser.origin = ORIGIN.parse().expect("an address");
            let mut other = Browser::at(ORIGIN);
            other.add(&eve, "phone").await.created();
            browser.known[0].1 = other.known[0].1.clone();
            let begun = begin(api).await;
            let given = browser.answer(&begun.body["options"]);
            finish(api, &begun.text("ceremony"), given).await.refused(400, "passkey_invalid");
            // A challenge does not wait for ever.
            let begun = begin(api).await;
            let given = other.answer(&begun.body["options"]);
            api.clock.advance(Span::seconds(300));
            finish(api, &begun.text("ceremony"), given).await.refused(400, "token_invalid");
        }).await;
    }

    async fn a_passkey_is_a_fresh_proof_and_can_be_removed(database) {
        with_passkeys(database, async |api| {
            let ann = api.user("ann").await;
            let mut browser = Browser::at(ORIGIN);
            let id = browser.add(&ann, "laptop").await.created().id();
            api.clock.advance(Span::seconds(601));
            ann.delete(&format!("/v1/users/me/passkeys/{id}")).await.refused(403, "step_up_required");
            let begun = begin(api).await;
            let proof = json!({"ceremony": begun.text("ceremony"), "credential": browser.answer(&begun.body["options"])});
            // Only one's own passkey proves who one is.
            let eve = api.user("eve").await;
            eve.post("/v1/sessions/current/proof", proof.clone()).await.refused(400, "passkey_invalid");
            let begun = begin(api).await;
            let proof = json!({"ceremony": begun.text("ceremony"), "credential": browser.answer(&begun.body["options"])});
            ann.post("/v1/sessions/current/proof", proof).await.ok();
            ann.delete(&format!("/v1/users/me/passkeys/{id}")).await.ok();
            let begun = begin(api).await;
            let given = browser.answer(&begun.body["options"]);
            finish(api, &begun.text("ceremony"), given).await.refused(400, "passkey_invalid");
        }).await;
    }
}
