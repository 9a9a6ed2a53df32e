//! Every route × every kind of caller, as one golden table. A route without a sample fails.
//!
//! Writes are dry runs: they are judged in full and change nothing, so that one tree serves all.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use tenantry_server::route::{Need, Route};
use tenantry_server::router::routes;
use tenantry_testkit::{assert_golden, both_engines};

use crate::support::{Answer, Api, Caller, NOBODY, PASSWORD};

/// The things that the samples name.
struct World {
    account: String,
    other_parent: String,
    child: String,
    key: String,
    resource: String,
    share: String,
    user: String,
    role: String,
    invitation: String,
    link: String,
    restriction: String,
    allowlist: String,
    endpoint: String,
}

/// A body that the operation accepts. `who` keeps those apart whose attempts are counted.
fn sample(route: &Route, world: &World, who: &str) -> Option<Value> {
    let email = format!("{}@example.com", who.replace(' ', "-"));
    let token = "0".repeat(32);
    let answer = json!({"ceremony": token, "credential": {}});
    Some(match route.id.as_str() {
        "accounts.create" | "hierarchy.create_child" => json!({"name": "New", "email": "new@example.com"}),
        "accounts.update" | "catalogue.update" | "resources.update" | "roles.update" | "users.update_me" => {
            json!({"name": "Renamed"})
        }
        "accounts.limits" => json!({"maxDepth": 4}),
        "hierarchy.set_parent" => json!({"parentId": world.other_parent}),
        "settings.update" => json!({"timezone": "UTC"}),
        "settings.update_inheritance" => json!({"billingContacts": ["billing@example.com"]}),
        "keys.create" => json!({"name": "new"}),
        "keys.rotate" => json!({"overlap": "now"}),
        "keys.update" => json!({"limits": {"inFlight": 5}}),
        "call_limits.set" => json!({"rate": {"calls": 100, "seconds": 60}}),
        "resources.create" => json!({"kind": "device", "name": "New"}),
        "resources.share" => json!({"to": "descendants"}),
        "users.sign_up" => json!({"email": email, "password": PASSWORD, "name": "New"}),
        "users.verify"
        | "users.confirm_email"
        | "invitations.preview"
        | "invitations.accept"
        | "invitations.decline" => {
            json!({"token": token})
        }
        "users.request_reset" | "users.change_email" => json!({"email": email}),
        "users.reset" => json!({"token": token, "password": PASSWORD}),
        "users.set_password" | "sessions.prove" => json!({"password": PASSWORD}),
        "authenticator.confirm" => json!({"code": "000000"}),
        "passkeys.add" => json!({"ceremony": token, "name": "New", "credential": {}}),
        "passkeys.sign_in" => answer,
        "providers.begin" | "providers.begin_link" => json!({"provider": "none"}),
        "providers.sign_in" | "providers.link" => json!({"state": token, "code": "none"}),
        "sessions.create" => json!({"email": email, "password": "wrong password"}),
        "enrollment.create" => json!({"maxUses": 1}),
        "enrollment.enroll" => json!({"token": token, "name": "New", "email": email, "password": PASSWORD}),
        "features.assign" => json!({"seats.max": 20}),
        "members.update" => json!({"role": "member"}),
        "catalogue.create" => json!({"id": "new", "name": "New", "basePath": "/new"}),
        "catalogue.import" => json!({"openapi": "3.1.0", "paths": {"/x": {"get": {}}}}),
        "catalogue.create_endpoint" => json!({"method": "POST", "path": "/new"}),
        "catalogue.update_endpoint" => json!({"cost": 2}),
        "decisions.decide" => json!({"key": "tny_live_x", "ip": "127.0.0.1", "method": "GET", "path": "/"}),
        "decisions.decide_many" => {
            json!({"decisions": [{"key": "tny_live_x", "ip": "127.0.0.1", "method": "GET", "path": "/"}]})
        }
        "restrictions.create" => json!({"mode": "deny", "permissions": ["child.create"]}),
        "restrictions.update" => json!({"permissions": ["child.create", "key.manage"]}),
        "allowlists.create" => json!({"cidrs": ["127.0.0.0/8"]}),
        "allowlists.update" => json!({"cidrs": ["127.0.0.1"]}),
        "roles.create" => json!({"name": "New", "permissions": ["account.read"]}),
        "invitations.create" => json!({"email": email, "role": "member"}),
        "invitations.create_many" => json!({"invitations": [{"email": email, "role": "member"}]}),
        "accounts.suspend"
        | "accounts.activate"
        | "accounts.close"
        | "allowlists.remove"
        | "authenticator.begin"
        | "catalogue.remove"
        | "catalogue.remove_endpoint"
        | "authenticator.remove"
        | "enrollment.revoke"
        | "hierarchy.remove_parent"
        | "invitations.cancel"
        | "invitations.resend"
        | "keys.revoke"
        | "members.leave"
        | "members.remove"
        | "organization.cancel"
        | "organization.resume"
        | "passkeys.begin"
        | "passkeys.begin_sign_in"
        | "passkeys.remove"
        | "resources.remove"
        | "resources.unshare"
        | "restrictions.remove"
        | "roles.remove"
        | "sessions.end"
        | "sessions.end_all"
        | "sessions.end_current" => return None,
        id => {
            assert!(route.method.is_safe(), "give `{id}` a sample body here");
            return None;
        }
    })
}

fn path(route: &Route, world: &World, account: &str) -> String {
    let nothing = |prefix: &str| NOBODY.replace("acc", prefix);
    let filled = route
        .path
        .replace("{account}", account)
        .replace("{key}", &world.key)
        .replace("{resource}", &world.resource)
        .replace("{share}", &world.share)
        .replace("{user}", &world.user)
        .replace("{role}", &world.role)
        .replace("{invitation}", &world.invitation)
        .replace("{link}", &world.link)
        .replace("{api}", "voice")
        .replace("{endpoint}", &world.endpoint)
        .replace("{restriction}", &world.restriction)
        .replace("{allowlist}", &world.allowlist)
        .replace("{session}", &nothing("ses"))
        .replace("{passkey}", &nothing("pky"));
    assert!(!filled.contains('{'), "a new kind of id in {}", route.path);
    let filled = match route.id.as_str() {
        "keys.why" => format!("{filled}?method=GET&path=/&ip=127.0.0.1"),
        _ => filled,
    };
    let tried = !route.method.is_safe() && !matches!(route.need, Need::Anyone | Need::AnyoneOrPerson);
    format!("/v1{filled}{}", if tried { "?dryRun=true" } else { "" })
}

async fn call(caller: &Caller<'_>, who: &str, route: &Route, world: &World, account: &str) -> Answer {
    caller.send(route.method.clone(), &path(route, world, account), sample(route, world, who)).await
}

fn cell(answer: &Answer) -> String {
    let in_headers = Some(answer.header("x-tenantry-code")).filter(|code| !code.is_empty());
    match answer.body["code"].as_str().or(in_headers) {
        Some(code) if answer.status >= 400 => format!("{} {code}", answer.status),
        _ => answer.status.to_string(),
    }
}

both_engines! {
    /// S34: every operation on an account, by role, on the own account, on one below, and on a foreign one.
    async fn s34_golden_reach_of_roles(database) {
        Api::run(database, async |api| {
            let [own, child] = api.line("Acme").await;
            let foreign = api.root("Foreign").await;
            let operator = api.operator();
            operator.put(&format!("/v1/accounts/{own}/limits"), json!({"superOrganization": true})).await.ok();
            let auditor = json!({"name": "auditor", "permissions": ["account.read", "audit.read", "member.read"]});
            operator.post(&format!("/v1/accounts/{own}/roles"), auditor).await.created();
            let mut people = Vec::new();
            for role in ["admin", "maintainer", "member", "auditor"] {
                people.push((role, api.member(&own, role, role).await));
            }
            people.push(("none", api.user("none").await));
            let targets = [("own", &own), ("child", &child), ("foreign", &foreign)];
            let columns: Vec<_> = people.iter().flat_map(|(role, _)| targets.iter().map(move |(name, _)| format!("{role}, {name}"))).collect();
            let mut table = format!("| route | {} |\n|{}\n", columns.join(" | "), "---|".repeat(columns.len() + 1));
            // Things that are nowhere: who may look for them is told so.
            let nothing = |prefix: &str| NOBODY.replace("acc", prefix);
            let world = World {
                account: own.clone(), other_parent: own.clone(), child: child.clone(), key: nothing("key"), resource: nothing("res"),
                share: nothing("shr"), user: nothing("usr"), role: nothing("rol"), invitation: nothing("inv"), link: nothing("lnk"), restriction: nothing("rst"), allowlist: nothing("ipl"), endpoint: nothing("end"),
            };
            for route in routes().into_iter().filter(|route| route.path.contains("{account}")) {
                let _ = write!(table, "| {} {} |", route.method, route.path);
                for (role, person) in &people {
                    for (target, account) in targets {
                        let who = format!("{role} {target}");
                        let _ = write!(table, " {} |", cell(&call(person, &who, &route, &world, account).await));
                    }
                }
                table.push('\n');
            }
            assert_golden(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/every_role.golden.md"), &table);
        }).await;
    }

    async fn s01_golden_matrix(database) {
        Api::run(database, async |api| {
            let [parent, account, child] = api.line("Acme").await;
            let other_parent = api.child(&parent, "Other parent").await;
            let stranger = api.root("Stranger").await;
            let operator = api.operator();
            let key = api.new_key(&account, json!({"name": "k"})).await.id();
            let at = format!("/v1/accounts/{account}/resources");
            let resource = operator.post(&at, json!({"kind": "device", "name": "d"})).await.created().id();
            let share = operator.post(&format!("{at}/{resource}/shares"), json!({"to": child})).await.created().id();
            operator.put(&format!("/v1/accounts/{parent}/limits"), json!({"superOrganization": true})).await.ok();
            let at = format!("/v1/accounts/{account}");
            let role = json!({"name": "reader", "permissions": ["account.read"]});
            let role = operator.post(&format!("{at}/roles"), role).await.created().id();
            let invitation = json!({"email": "pending@example.com", "role": "member"});
            let invitation = operator.post(&format!("{at}/invitations"), invitation).await.created().id();
            let link = operator.post(&format!("{at}/enrollment-links"), json!({})).await.created().id();
            let admin = api.member(&account, "admin", "admin").await;
            let maintainer = api.member(&account, "maintainer", "maintainer").await;
            let member = api.member(&account, "member", "member").await;
            let user = api.member(&account, "somebody", "maintainer").await.id;
            let voice = json!({"id": "voice", "name": "Voice", "basePath": "/voice"});
            operator.post("/v1/apis", voice).await.created();
            let endpoint = json!({"method": "POST", "path": "/tts/{voice}"});
            let endpoint = operator.post("/v1/apis/voice/endpoints", endpoint).await.created().id();
            // Neither takes anything away from anybody who asks here.
            let rule = json!({"mode": "deny", "subject": {"userId": user}, "permissions": ["webhook.manage"]});
            let restriction = operator.assuming(&account).post(&format!("{at}/restrictions"), rule).await.created().id();
            let list = json!({"cidrs": ["127.0.0.0/8"]});
            let allowlist = operator.post(&format!("{at}/ip-allowlists"), list).await.created().id();
            let parent_admin = api.member(&parent, "parent-admin", "admin").await;
            let nobodys = api.user("stranger").await;
            let world = World { account, other_parent, child, key, resource, share, user, role, invitation, link, restriction, allowlist, endpoint };

            let callers = [
                ("anonymous", api.anonymous()),
                ("wrong credential", api.key("tny_live_00000000000000000000000000000000_000000")),
                ("stranger", nobodys.caller),
                ("member", member.caller),
                ("maintainer", maintainer.caller),
                ("admin", admin.caller),
                ("parent admin", parent_admin.caller),
                ("stranger's key", api.key_of(&stranger).await),
                ("child's key", api.key_of(&world.child).await),
                ("own key", api.key_of(&world.account).await),
                ("parent's key", api.key_of(&parent).await),
                ("operator", operator.clone()),
            ];
            let names: Vec<_> = callers.iter().map(|(name, _)| *name).collect();
            let mut table = format!("| route | needs | {} |\n|{}\n", names.join(" | "), "---|".repeat(names.len() + 2));
            for route in routes() {
                let need = format!("{:?}", route.need).replace("HoldingOrOwn(", "own or ").replace("Holding(", "").replace(')', "");
                let _ = write!(table, "| {} {} | {need} |", route.method, route.path);
                for (who, caller) in &callers {
                    let _ = write!(table, " {} |", cell(&call(caller, who, &route, &world, &world.account).await));
                }
                table.push('\n');
                // S01: what belongs to another is exactly like what does not exist.
                for (who, caller) in callers.iter().filter(|(who, _)| who.starts_with("stranger")) {
                    if route.path.contains("{account}") {
                        let theirs = call(caller, who, &route, &world, &world.account).await.body;
                        let nobodys = call(caller, who, &route, &world, NOBODY).await.body;
                        assert_eq!((&theirs["code"], &theirs["detail"]), (&nobodys["code"], &nobodys["detail"]), "{}", route.id);
                    }
                }
            }
            assert_golden(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/every_route.golden.md"), &table);
        }).await;
    }
}
