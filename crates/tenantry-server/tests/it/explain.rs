//! Why a key may not make a call, and what it can do: as much as one may read.

use serde_json::{Value, json};
use tenantry_testkit::both_engines;

use crate::support::{Answer, Api, Caller};

/// An API of three endpoints.
async fn catalogue(api: &Api) {
    let operator = api.operator();
    operator.post("/v1/apis", json!({"id": "voice", "name": "Voice", "basePath": "/voice"})).await.created();
    for endpoint in [
        json!({"method": "GET", "path": "/languages"}),
        json!({"method": "POST", "path": "/tts/{voice}", "cost": 5}),
        json!({"method": "POST", "path": "/clones", "feature": "voice-cloning"}),
    ] {
        operator.post("/v1/apis/voice/endpoints", endpoint).await.created();
    }
}

async fn why(caller: &Caller<'_>, key: &str, path: &str) -> Answer {
    caller.get(&format!("{key}/decision?method=POST&path={path}&ip=192.0.2.7")).await
}

/// Path and verdict of each endpoint, and why.
fn verdicts(reach: &Answer) -> Vec<(String, String, String)> {
    let endpoints = reach.body["endpoints"].as_array().expect("endpoints").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut told: Vec<_> =
        endpoints.map(|one| (text(&one["path"]), text(&one["verdict"]), text(&one["code"]))).collect();
    told.sort();
    told
}

fn expected(told: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    told.iter().map(|(path, verdict, code)| ((*path).to_owned(), (*verdict).to_owned(), (*code).to_owned())).collect()
}

both_engines! {
    async fn a_denial_is_explained_to_who_may_know(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let [parent, account] = api.line("Acme").await;
            let above = api.member(&parent, "ann", "admin").await;
            let below = api.member(&account, "ben", "admin").await;
            let made = api.new_key(&account, json!({"name": "k"})).await;
            let key = format!("/v1/accounts/{account}/keys/{}", made.id());

            assert_eq!(why(&below, &key, "/voice/tts/ann").await.ok().body["allow"], true);
            // Imposed from above on the account: it holds the rule, so its admins see it.
            let rule = json!({"mode": "deny", "endpoints": [{"api": "voice", "path": "/tts/bob"}]});
            let imposed = above.post(&format!("/v1/accounts/{account}/restrictions"), rule.clone()).await.created().id();
            let told = why(&below, &key, "/voice/tts/bob").await.ok().body;
            assert_eq!((told["code"].as_str(), told["rule"]["id"].as_str()), (Some("endpoint_restricted"), Some(imposed.as_str())));
            assert_eq!(told["fixes"], json!([{"action": "liftRestriction", "accountId": account, "ruleId": imposed}]));
            assert!(told["trace"].as_array().is_some_and(|steps| steps.iter().any(|step| step["verdict"] == "failed")));
            above.delete(&format!("/v1/accounts/{account}/restrictions/{imposed}")).await.ok();

            // Held by the account above, which its child may not read: that there is one, and no more.
            let own = api.operator().post(&format!("/v1/accounts/{parent}/restrictions"), rule).await.created().id();
            let hidden = why(&below, &key, "/voice/tts/bob").await.ok().body;
            assert_eq!(hidden["rule"], json!({"id": null, "kind": "restriction", "accountId": null, "setAt": null, "setBy": null}));
            assert_eq!(hidden["fixes"], json!([{"action": "askAbove"}]));
            assert!(!hidden.to_string().contains(&own) && !hidden.to_string().contains(&parent));
            let seen = why(&above, &key, "/voice/tts/bob").await.ok().body;
            assert_eq!((seen["rule"]["id"].as_str(), seen["rule"]["accountId"].as_str()), (Some(own.as_str()), Some(parent.as_str())));

            // What is no call, what is nobody's business, what is not there.
            assert_eq!(why(&below, &key, "/nothing").await.ok().body["code"], "endpoint_unknown");
            let stranger = api.key_of(&api.root("Else").await).await;
            why(&stranger, &key, "/voice/tts/bob").await.refused(404, "not_found");
            why(&below, &format!("/v1/accounts/{account}/keys/key_7zzzzzzzzzzzzzzzzzzzzzzzzz"), "/voice").await.refused(404, "not_found");
            below.get(&format!("{key}/decision?method=GET")).await.refused(400, "invalid_parameter");
        }).await;
    }

    async fn what_a_key_can_do(database) {
        Api::run(database, async |api| {
            catalogue(api).await;
            let [parent, account] = api.line("Acme").await;
            let below = api.member(&account, "ben", "admin").await;
            let made = api.new_key(&account, json!({"name": "k"})).await;
            let reach = format!("/v1/accounts/{account}/keys/{}/reach", made.id());
            let all = [("/clones", "none", "feature_missing"), ("/languages", "all", ""), ("/tts/{voice}", "all", "")];
            assert_eq!(verdicts(&below.get(&reach).await.ok()), expected(&all));

            let some = json!({"mode": "deny", "endpoints": [{"api": "voice", "path": "/tts/bob"}, {"api": "voice", "path": "/languages"}]});
            api.operator().post(&format!("/v1/accounts/{parent}/restrictions"), some).await.created();
            let narrowed = below.get(&reach).await.ok();
            let some = [
                ("/clones", "none", "feature_missing"),
                ("/languages", "none", "endpoint_restricted"),
                ("/tts/{voice}", "some", ""),
            ];
            assert_eq!(verdicts(&narrowed), expected(&some));
            assert!(!narrowed.body.to_string().contains(&parent), "{:#}", narrowed.body);

            // For an account below; and for one that it may not act for.
            let child = api.child(&account, "Child").await;
            assert_eq!(verdicts(&below.get(&format!("{reach}?assumeOrg={child}")).await.ok()), expected(&some));
            let up = below.get(&format!("{reach}?assumeOrg={parent}")).await.ok().body;
            assert_eq!(up, json!({"code": "assume_forbidden", "endpoints": []}));
            below.get(&format!("{reach}?assumeOrg=nonsense")).await.refused(400, "assume_malformed");

            // A member asks about their own keys only.
            let member = api.member(&account, "cid", "member").await;
            member.get(&reach).await.refused(404, "not_found");
            let own = member.post(&format!("/v1/accounts/{account}/keys"), json!({"name": "own"})).await.created().id();
            member.get(&format!("/v1/accounts/{account}/keys/{own}/reach")).await.ok();
        }).await;
    }
}
