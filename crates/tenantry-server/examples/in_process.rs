//! An API in Rust that asks Tenantry without a network between them: the control plane runs in the same process, and each call
//! is judged by the snapshot in memory.
//!
//! `cargo run -p tenantry-server --example in_process`

#![expect(clippy::print_stdout, reason = "an example")]

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};
use tenantry_gateway::verdict::{Call, Judge};
use tenantry_server::clock::Clock;
use tenantry_server::{App, Config, Server};
use tenantry_store::{Limits, Location, Store};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const TOKEN: &str = "the-operator-token-of-this-example";

/// What a handler of the API would call first.
fn check(app: &App, key: &str, method: &str, target: &str) -> String {
    let snapshot = app.plane.snapshot();
    let judge =
        Judge { snapshot: &snapshot, limiter: &app.limiter, now: app.clock.now(), monotonic: app.clock.monotonic() };
    let address = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let call = Call { key, assume: None, address, method, target, resource: None };
    match judge.admit(&call) {
        // The second value counts the call as one of those at once for as long as it lives.
        Ok((allowed, _admitted)) => format!("for {} at {} credits", allowed.subject(), allowed.cost),
        Err(refused) => format!("{}: {}", refused.refusal.code, refused.refusal.detail),
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    tenantry_server::use_ring();
    let directory = std::env::temp_dir().join(format!("tenantry-example-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let store = Store::migrate(&Location::File(directory.join("tenantry.sqlite3")), Limits::DEFAULT).await?;
    let any = ([127, 0, 0, 1], 0).into();
    let config = Config { operator_token: Some(TOKEN.to_owned()), ..Config::default() };
    let running = Server::bind(any, any).await?.start(store, Clock::system(), config).await?;

    // What an operator sets up once, over HTTP as always.
    let http = reqwest::Client::new();
    let post = async |path: &str, body: Value| -> Result<Value, Failure> {
        let request = http.post(format!("http://{}/v1{path}", running.control)).bearer_auth(TOKEN).json(&body);
        Ok(request.send().await?.error_for_status()?.json().await?)
    };
    post("/apis", json!({"id": "voice", "name": "Voice", "basePath": "/voice"})).await?;
    post("/apis/voice/endpoints", json!({"method": "POST", "path": "/tts/{voice}", "cost": 5})).await?;
    let account = post("/accounts", json!({"name": "Acme", "email": "ops@acme.example"})).await?;
    let account = account.get("id").and_then(Value::as_str).unwrap_or_default();
    let key = post(&format!("/accounts/{account}/keys"), json!({"name": "production"})).await?;
    let key = key.get("secret").and_then(Value::as_str).unwrap_or_default();

    for (key, target) in [(key, "/voice/tts/ann"), (key, "/voice/clones"), ("nonsense", "/voice/tts/ann")] {
        println!("POST {target}: {}", check(&running.app, key, "POST", target));
    }
    let rule = json!({"mode": "deny", "endpoints": [{"api": "voice", "path": "/tts/**"}]});
    post(&format!("/accounts/{account}/restrictions"), rule).await?;
    println!("POST /voice/tts/ann, once it is forbidden: {}", check(&running.app, key, "POST", "/voice/tts/ann"));

    running.stop().await;
    std::fs::remove_dir_all(directory)?;
    Ok(())
}
