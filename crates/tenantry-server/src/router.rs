//! The whole API on one page. Every row is served below `/v1` and `/v2`.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tenantry_core::permission::Permission::{
    AccountClose, AccountMove, AccountRead, AccountSuspend, AccountUpdate, AuditRead, ChildCreate, KeyManage,
    ResourceManage, SettingsUpdate,
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::edge;
use crate::http::{accounts, audit, docs, hierarchy, keys, org, resources, settings};
use crate::route::Need::Operator;
use crate::route::{Route, delete, get, patch, post, put};
use crate::state::App;

/// The prefixes below which every route is served.
pub const PREFIXES: [&str; 2] = ["/v1", "/v2"];

/// All routes.
#[must_use]
#[rustfmt::skip]
pub fn routes() -> Vec<Route> {
    vec![
        get("/accounts", AccountRead, accounts::list, "List the account acted for and all below it; the operator sees all accounts"),
        post("/accounts", Operator, accounts::create, "Create a root account"),
        get("/accounts/{account}", AccountRead, accounts::get, "Get an account"),
        patch("/accounts/{account}", AccountUpdate, accounts::update, "Change an account"),
        get("/accounts/{account}/descendants", AccountRead, accounts::descendants, "List everything below an account"),
        get("/accounts/{account}/ancestors", AccountRead, accounts::ancestors, "List the accounts above, as far as they are visible"),
        get("/accounts/{account}/tree", AccountRead, accounts::tree, "Get a subtree"),
        post("/accounts/{account}/suspend", AccountSuspend, accounts::suspend, "Suspend an account and all below it"),
        post("/accounts/{account}/activate", AccountSuspend, accounts::activate, "Activate a suspended account"),
        post("/accounts/{account}/close", AccountClose, accounts::close, "Close an account for good"),
        put("/accounts/{account}/limits", Operator, accounts::limits, "Set the limits of a tree"),

        get("/accounts/{account}/children", AccountRead, hierarchy::children, "List sub-accounts"),
        post("/accounts/{account}/children", ChildCreate, hierarchy::create_child, "Create a sub-account"),
        patch("/accounts/{account}/parent", AccountMove, hierarchy::set_parent, "Move an account, with its subtree, below another parent"),
        delete("/accounts/{account}/parent", AccountMove, hierarchy::remove_parent, "Make a sub-account a root account"),

        get("/accounts/{account}/settings", AccountRead, settings::get, "Get settings, and where each comes from"),
        patch("/accounts/{account}/settings", SettingsUpdate, settings::update, "Override, reset and lock settings"),
        get("/accounts/{account}/inheritance", AccountRead, settings::inheritance, "Get what is inherited, and where it comes from"),
        patch("/accounts/{account}/inheritance", AccountUpdate, settings::update_inheritance, "Change what is inherited"),

        get("/accounts/{account}/keys", KeyManage, keys::list, "List API keys"),
        post("/accounts/{account}/keys", KeyManage, keys::create, "Create an API key"),
        get("/accounts/{account}/keys/{key}", KeyManage, keys::get, "Get an API key"),
        post("/accounts/{account}/keys/{key}/rotate", KeyManage, keys::rotate, "Replace an API key"),
        post("/accounts/{account}/keys/{key}/revoke", KeyManage, keys::revoke, "Revoke an API key"),

        get("/accounts/{account}/resources", AccountRead, resources::list, "List resources"),
        post("/accounts/{account}/resources", ResourceManage, resources::create, "Create a resource"),
        get("/accounts/{account}/resources/{resource}", AccountRead, resources::get, "Get a resource"),
        patch("/accounts/{account}/resources/{resource}", ResourceManage, resources::update, "Change a resource"),
        delete("/accounts/{account}/resources/{resource}", ResourceManage, resources::remove, "Delete a resource and its shares"),
        get("/accounts/{account}/resources/{resource}/shares", ResourceManage, resources::shares, "List with whom a resource is shared"),
        post("/accounts/{account}/resources/{resource}/shares", ResourceManage, resources::share, "Share a resource with accounts below"),
        delete("/accounts/{account}/resources/{resource}/shares/{share}", ResourceManage, resources::unshare, "Take a share back"),

        get("/accounts/{account}/audit-log", AuditRead, audit::list, "Read the audit log"),

        get("/org", AccountRead, org::org, "Get the organization acted for").bare(),
        get("/org/child_orgs", AccountRead, org::child_orgs, "List the child organizations with their usage").bare(),
        get("/secrets", AccountRead, org::secrets, "Get the organization's secrets, masked").bare(),
    ]
}

/// The control plane as a service: the routes below each prefix, the bare ones, and the pages.
pub(crate) fn router(app: &App) -> Router {
    let mut versioned = Router::new();
    for route in routes() {
        versioned = versioned.route(route.path, route.service);
    }
    let api = PREFIXES.into_iter().fold(bare(), |api, prefix| api.nest(prefix, versioned.clone()));
    served(api.layer(from_fn(edge::read_payload)).merge(docs::pages()), app)
}

/// What customers of the API reach beside it: the bare routes.
pub(crate) fn gateway(app: &App) -> Router {
    served(bare(), app)
}

fn bare() -> Router<App> {
    routes()
        .into_iter()
        .filter(|route| route.bare)
        .fold(Router::new(), |api, route| api.route(route.path, route.service))
}

/// With all that happens to every request.
fn served(api: Router<App>, app: &App) -> Router {
    api.fallback(edge::unknown_route)
        .method_not_allowed_fallback(edge::unknown_method)
        .layer(CatchPanicLayer::custom(edge::panicked))
        .layer(from_fn_with_state(app.clone(), edge::every_request))
        .with_state(app.clone())
}
