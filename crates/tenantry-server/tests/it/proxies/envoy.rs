//! Envoy, which asks in gRPC. What it asks and is answered without an Envoy is in `ext_authz`.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::json;
use tenantry_store::Limits;
use tenantry_testkit::peers::{Peer, free_port};
use tenantry_testkit::{Database, both_engines};

use super::{behind, call, config, shipped, upstream};
use crate::support::{Api, Caller};

/// An address that is no proxy's.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

both_engines! {
    async fn envoy_asks_before_it_forwards(database) {
        Api::run_with(database, Limits::DEFAULT, config(), async |api| {
            behind(api, |upstream, port| Peer::envoy(&shipped("envoy.yaml", api, upstream, port), port)).await;
        }).await;
    }
}

/// The key of somebody who may call `GET /voice/languages` from these networks.
async fn caller<'a>(api: &'a Api, networks: &[&str]) -> Caller<'a> {
    let account = api.root("Acme").await;
    let made = api.new_key(&account, json!({"name": "k", "ipAllowlist": networks})).await;
    api.key(&made.text("secret"))
}

async fn catalogue(api: &Api) {
    api.operator().post("/v1/apis", json!({"id": "voice", "name": "Voice", "basePath": "/voice"})).await.created();
    let endpoint = json!({"method": "GET", "path": "/languages"});
    api.operator().post("/v1/apis/voice/endpoints", endpoint).await.created();
}

/// The configuration without what an Envoy behind another proxy has to leave out.
fn behind_another(configuration: &str) -> String {
    let (before, rest) = configuration.split_once("disallowed_headers:").expect("the part");
    let (_, after) = rest.split_once("exact: x-forwarded-for").expect("its end");
    format!("{before}{after}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_tells_envoy_where_they_come_from() {
    Api::run_with(Database::sqlite(), Limits::DEFAULT, config(), async |api| {
        catalogue(api).await;
        let claimed = caller(api, &["198.51.100.0/24"]).await;
        let own = caller(api, &["127.0.0.2"]).await;
        let upstream = upstream().await;
        let start = |configure: &dyn Fn(String) -> String| {
            let port = free_port();
            (Peer::envoy(&configure(shipped("envoy.yaml", api, upstream, port)), port), port)
        };
        let forwarded = [("x-forwarded-for", "198.51.100.7")];
        let from_elsewhere = reqwest::Client::builder().local_address(ELSEWHERE).build().expect("a client");
        let from_elsewhere = async |caller: &Caller<'_>, port: u16| {
            let url = format!("http://127.0.0.1:{port}/voice/languages");
            let key = caller.credential.as_deref().expect("a key");
            let request = from_elsewhere.get(url).header("x-api-key", key).header("x-forwarded-for", "198.51.100.7");
            request.send().await.expect("an answer").status().as_u16()
        };

        // As it is handed out, it is the address that Envoy sees, even where that is one of a proxy.
        let (_envoy, port) = start(&|text| text);
        assert_eq!(call(&claimed, port, "/voice/languages", &forwarded).await.0, 403);
        assert_eq!((from_elsewhere(&claimed, port).await, from_elsewhere(&own, port).await), (403, 200));

        // Behind another proxy it is what that one says; whoever is none is not believed, however Envoy is set.
        let remote = "use_remote_address: true";
        let silent =
            |text: String| behind_another(&text).replace(remote, &format!("skip_xff_append: true\n          {remote}"));
        let (_envoy, port) = start(&silent);
        assert_eq!(call(&claimed, port, "/voice/languages", &forwarded).await.0, 200);
        assert_eq!((from_elsewhere(&claimed, port).await, from_elsewhere(&own, port).await), (403, 200));
        for other in [remote, "use_remote_address: false", "xff_num_trusted_hops: 1"] {
            let (_envoy, port) = start(&|text| behind_another(&text).replace(remote, other));
            assert_eq!((from_elsewhere(&claimed, port).await, from_elsewhere(&own, port).await), (403, 200), "{other}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_keeps_to_itself_what_is_not_for_the_api() {
    Api::run_with(Database::sqlite(), Limits::DEFAULT, config(), async |api| {
        catalogue(api).await;
        let key = caller(api, &["127.0.0.1"]).await;
        let port = free_port();
        let envoy = Peer::envoy(&shipped("envoy.yaml", api, upstream().await, port), port);

        let inner = ["x-envoy-original-path", "x-envoy-internal", "x-envoy-upstream-rq-timeout-ms", "x-envoy-retry-on"];
        let mut sent = inner.map(|name| (name, "spoofed")).to_vec();
        sent.extend([
            ("x-tenantry-cost", "spoofed"),
            ("x-tenantry-anything", "spoofed"),
            ("x_tenantry_cost", "spoofed"),
        ]);
        let (status, seen) = call(&key, port, "/voice/languages", &sent).await;
        assert_eq!((status, &seen["headers"]["x-tenantry-cost"]), (200, &json!("1")), "{seen}");
        assert!(!seen.to_string().contains("spoofed"), "{seen}");
        for name in ["x-auth-token", "authorization"] {
            let key = key.credential.as_deref().expect("a key");
            let value = if name == "authorization" { format!("Bearer {key}") } else { key.to_owned() };
            let (status, seen) = call(&api.anonymous(), port, "/voice/languages", &[(name, &value)]).await;
            assert_eq!((status, seen["headers"][name].is_null()), (200, true), "{seen}");
        }

        // What Envoy takes fits into a question.
        let long = format!("/voice/languages?q={}", "x".repeat(28 << 10));
        assert_eq!(call(&key, port, &long, &[]).await.0, 200);
        let longer = format!("/voice/languages?q={}", "x".repeat(31 << 10));
        assert_eq!(call(&key, port, &longer, &[]).await.0, 431);

        // A refusal comes with its headers.
        let url = format!("http://127.0.0.1:{port}/voice/languages");
        let refused = reqwest::get(&url).await.expect("an answer");
        let header = |name: &str| refused.headers()[name].to_str().expect("text").to_owned();
        assert_eq!(header("content-type"), "application/problem+json");
        assert_eq!(header("www-authenticate"), "Bearer realm=\"tenantry\"");
        drop(envoy);

        // Where Tenantry cannot be asked, nothing goes on.
        let alone = shipped("envoy.yaml", api, upstream().await, port);
        let alone = alone.replace(&api.running.control.port().to_string(), &free_port().to_string());
        let _envoy = Peer::envoy(&alone, port);
        assert_eq!(call(&key, port, "/voice/languages", &[]).await.0, 503);
    })
    .await;
}
