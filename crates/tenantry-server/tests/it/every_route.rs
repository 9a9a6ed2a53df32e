//! Every route × every kind of caller, as one golden table. A route without a sample fails.
//!
//! Writes are dry runs: they are judged in full and change nothing, so that one tree serves all.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use tenantry_server::route::Route;
use tenantry_server::router::routes;
use tenantry_testkit::{assert_golden, both_engines};

use crate::support::{Answer, Api, Caller, NOBODY};

/// The things that the samples name.
struct World {
    account: String,
    other_parent: String,
    child: String,
    key: String,
    resource: String,
    share: String,
}

/// A body that the operation accepts.
fn sample(route: &Route, world: &World) -> Option<Value> {
    Some(match route.id.as_str() {
        "accounts.create" | "hierarchy.create_child" => json!({"name": "New", "email": "new@example.com"}),
        "accounts.update" | "resources.update" => json!({"name": "Renamed"}),
        "accounts.limits" => json!({"maxDepth": 4}),
        "hierarchy.set_parent" => json!({"parentId": world.other_parent}),
        "settings.update" => json!({"timezone": "UTC"}),
        "settings.update_inheritance" => json!({"billingContacts": ["billing@example.com"]}),
        "keys.create" => json!({"name": "new"}),
        "keys.rotate" => json!({"overlap": "now"}),
        "resources.create" => json!({"kind": "device", "name": "New"}),
        "resources.share" => json!({"to": "descendants"}),
        "accounts.suspend"
        | "accounts.activate"
        | "accounts.close"
        | "hierarchy.remove_parent"
        | "keys.revoke"
        | "resources.remove"
        | "resources.unshare" => return None,
        id => {
            assert!(route.method.is_safe(), "give `{id}` a sample body here");
            return None;
        }
    })
}

fn path(route: &Route, world: &World, account: &str) -> String {
    let filled = route
        .path
        .replace("{account}", account)
        .replace("{key}", &world.key)
        .replace("{resource}", &world.resource)
        .replace("{share}", &world.share);
    assert!(!filled.contains('{'), "a new kind of id in {}", route.path);
    let dry_run = if route.method.is_safe() { "" } else { "?dryRun=true" };
    format!("/v1{filled}{dry_run}")
}

async fn call(caller: &Caller<'_>, route: &Route, world: &World, account: &str) -> Answer {
    caller.send(route.method.clone(), &path(route, world, account), sample(route, world)).await
}

fn cell(answer: &Answer) -> String {
    match answer.body["code"].as_str() {
        Some(code) if answer.status >= 400 => format!("{} {code}", answer.status),
        _ => answer.status.to_string(),
    }
}

both_engines! {
    async fn golden_matrix(database) {
        Api::run(database, async |api| {
            let [parent, account, child] = api.line("Acme").await;
            let other_parent = api.child(&parent, "Other parent").await;
            let stranger = api.root("Stranger").await;
            let operator = api.operator();
            let key = api.new_key(&account, json!({"name": "k"})).await.id();
            let at = format!("/v1/accounts/{account}/resources");
            let resource = operator.post(&at, json!({"kind": "device", "name": "d"})).await.created().id();
            let share = operator.post(&format!("{at}/{resource}/shares"), json!({"to": child})).await.created().id();
            let world = World { account, other_parent, child, key, resource, share };

            let callers = [
                ("no credential", api.anonymous()),
                ("wrong credential", api.key("tny_live_00000000000000000000000000000000_000000")),
                ("stranger", api.key_of(&stranger).await),
                ("child", api.key_of(&world.child).await),
                ("self", api.key_of(&world.account).await),
                ("parent", api.key_of(&parent).await),
                ("operator", operator.clone()),
            ];
            let names: Vec<_> = callers.iter().map(|(name, _)| *name).collect();
            let mut table = format!("| route | needs | {} |\n|{}\n", names.join(" | "), "---|".repeat(names.len() + 2));
            for route in routes() {
                let need = format!("{:?}", route.need).replace("Holding(", "").replace(')', "");
                let _ = write!(table, "| {} {} | {need} |", route.method, route.path);
                for (_, caller) in &callers {
                    let _ = write!(table, " {} |", cell(&call(caller, &route, &world, &world.account).await));
                }
                table.push('\n');
                // S01: what belongs to another is exactly like what does not exist.
                if route.path.contains("{account}") {
                    let theirs = call(&callers[2].1, &route, &world, &world.account).await.body;
                    let nobodys = call(&callers[2].1, &route, &world, NOBODY).await.body;
                    assert_eq!((&theirs["code"], &theirs["detail"]), (&nobodys["code"], &nobodys["detail"]), "{}", route.id);
                }
            }
            assert_golden(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/every_route.golden.md"), &table);
        }).await;
    }
}
