//! The whole API on one page. Every row is served below `/v1` and `/v2`.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tenantry_core::permission::Permission::{
    AccountClose, AccountMove, AccountRead, AccountSuspend, AccountUpdate, AuditRead, BudgetManage, ChildCreate,
    FeatureAssign, InvitationCancel, IpAllowlistManage, KeyManage, MemberInvite, MemberRead, MemberRemove,
    OrganizationCancel, ResourceManage, RestrictionManage, RoleAssign, RoleManage, SettingsUpdate, UsageRead,
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::edge;
use crate::http::{
    accounts, allowlists, audit, authenticator, authz, call_limits, catalogue, decisions, docs, enrollment, ext_authz,
    features, hierarchy, invitations, keys, links, mailbox, members, org, organization, passkeys, providers, resources,
    restrictions, roles, sessions, settings, usage, users,
};
use crate::route::Need::{
    Anyone, AnyoneOrPerson, Decider, FreshPerson, HoldingOrOwn, Member, Operator, OperatorOrPerson, Person,
};
use crate::route::{Route, delete, get, patch, post, put};
use crate::state::App;

/// The prefixes below which every route is served.
pub const PREFIXES: [&str; 2] = ["/v1", "/v2"];

/// All routes.
#[must_use]
#[rustfmt::skip]
pub fn routes() -> Vec<Route> {
    vec![
        post("/users", Anyone, users::sign_up, "Sign up: a mail with a link follows"),
        post("/users/verify", Anyone, users::verify, "Become a user, by the token of the mail"),
        post("/users/password-reset", Anyone, users::request_reset, "Have a mail sent with which a password can be replaced"),
        post("/users/password-reset/confirm", Anyone, users::reset, "Replace a password, by the token of the mail"),
        post("/users/email/confirm", Anyone, users::confirm_email, "Take a new address into use, by the token of the mail"),
        get("/users/me", Person, users::me, "Get the user who is signed in, with their accounts and roles"),
        patch("/users/me", Person, users::update_me, "Change one's own data"),
        post("/users/me/password", FreshPerson, users::set_password, "Set another password; ends all other sessions"),
        post("/users/me/email", FreshPerson, users::change_email, "Change the address: a mail to the new one follows"),
        get("/users/me/sessions", Person, sessions::list, "List one's own sessions"),
        delete("/users/me/sessions", Person, sessions::end_all, "Sign out everywhere"),
        delete("/users/me/sessions/{session}", Person, sessions::end, "End one of one's own sessions"),
        post("/users/me/authenticator", FreshPerson, authenticator::begin, "Make a secret for an authenticator app"),
        post("/users/me/authenticator/confirm", FreshPerson, authenticator::confirm, "Have codes asked for from now on"),
        delete("/users/me/authenticator", FreshPerson, authenticator::remove, "Have codes asked for no more"),
        get("/users/me/passkeys", Person, passkeys::list, "List one's own passkeys"),
        post("/users/me/passkeys", FreshPerson, passkeys::begin, "Begin to add a passkey"),
        post("/users/me/passkeys/confirm", FreshPerson, passkeys::add, "Add a passkey"),
        delete("/users/me/passkeys/{passkey}", FreshPerson, passkeys::remove, "Remove a passkey"),
        post("/users/me/identities", FreshPerson, providers::begin_link, "Begin to link who one is at an identity provider"),
        post("/users/me/identities/confirm", FreshPerson, providers::link, "Link who one is at an identity provider"),

        post("/sessions", Anyone, sessions::create, "Sign in with a password"),
        post("/sessions/passkey", Anyone, passkeys::begin_sign_in, "Begin to sign in with a passkey"),
        post("/sessions/passkey/confirm", Anyone, passkeys::sign_in, "Sign in with a passkey"),
        get("/providers", Anyone, providers::list, "List the identity providers"),
        post("/sessions/provider", Anyone, providers::begin, "Begin to sign in at an identity provider"),
        post("/sessions/provider/confirm", Anyone, providers::sign_in, "Sign in as who comes back from an identity provider"),
        post("/sessions/current/proof", Person, sessions::prove, "Prove again who one is, for sensitive acts"),
        delete("/sessions/current", Person, sessions::end_current, "Sign out"),

        post("/invitations/preview", Anyone, invitations::preview, "Look at an invitation, by the token of the mail"),
        post("/invitations/accept", AnyoneOrPerson, invitations::accept, "Accept an invitation, as the user signed in or as a new one"),
        post("/invitations/decline", Anyone, invitations::decline, "Decline an invitation"),
        post("/enroll", AnyoneOrPerson, enrollment::enroll, "Make a child organization with an enrollment link"),
        get("/mailbox", Operator, mailbox::list, "Read the mails that were kept, where none is sent"),

        get("/accounts", AccountRead, accounts::list, "List the account acted for and all below it, or what one is a member of; the operator sees all accounts"),
        post("/accounts", OperatorOrPerson, accounts::create, "Create a root account; who is signed in becomes its admin"),
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

        get("/accounts/{account}/features", AccountRead, features::get, "Get what the account may use"),
        put("/accounts/{account}/features", FeatureAssign, features::assign, "Assign what the account may use"),

        get("/accounts/{account}/call-limits", AccountRead, call_limits::get, "Get how many calls may be made for the account"),
        put("/accounts/{account}/call-limits", BudgetManage, call_limits::set, "Limit the calls for the account and all below it"),

        get("/accounts/{account}/members", MemberRead, members::list, "List members, those of accounts above included"),
        get("/accounts/{account}/members/{user}", MemberRead, members::get, "Get a member"),
        patch("/accounts/{account}/members/{user}", RoleAssign, members::update, "Give a member another role"),
        delete("/accounts/{account}/members/{user}", MemberRemove, members::remove, "Remove a member; their keys end at once"),
        post("/accounts/{account}/leave", Member, members::leave, "Leave the organization"),
        get("/accounts/{account}/roles", MemberRead, roles::list, "List the roles that can be given here"),
        post("/accounts/{account}/roles", RoleManage, roles::create, "Create a custom role, for here and below"),
        patch("/accounts/{account}/roles/{role}", RoleManage, roles::update, "Change a custom role"),
        delete("/accounts/{account}/roles/{role}", RoleManage, roles::remove, "Delete a custom role"),
        get("/accounts/{account}/invitations", MemberInvite, invitations::list, "List invitations"),
        post("/accounts/{account}/invitations", MemberInvite, invitations::create, "Invite somebody by e-mail"),
        post("/accounts/{account}/invitations/bulk", MemberInvite, invitations::create_many, "Invite several people, or nobody"),
        delete("/accounts/{account}/invitations/{invitation}", InvitationCancel, invitations::cancel, "Take an invitation back"),
        post("/accounts/{account}/invitations/{invitation}/resend", MemberInvite, invitations::resend, "Send an invitation again"),
        get("/accounts/{account}/enrollment-links", ChildCreate, enrollment::list, "List enrollment links"),
        post("/accounts/{account}/enrollment-links", ChildCreate, enrollment::create, "Make a link with which customers make child organizations"),
        delete("/accounts/{account}/enrollment-links/{link}", ChildCreate, enrollment::revoke, "Take an enrollment link back"),
        get("/accounts/{account}/organization-subscription", MemberRead, organization::get, "Get whether the organization goes on, and its seats"),
        post("/accounts/{account}/organization-subscription", OrganizationCancel, organization::resume, "Take a canceled organization up again"),
        delete("/accounts/{account}/organization-subscription", OrganizationCancel, organization::cancel, "Cancel the organization"),

        get("/accounts/{account}/keys", HoldingOrOwn(KeyManage), keys::list, "List API keys"),
        post("/accounts/{account}/keys", HoldingOrOwn(KeyManage), keys::create, "Create an API key"),
        get("/accounts/{account}/keys/{key}", HoldingOrOwn(KeyManage), keys::get, "Get an API key"),
        patch("/accounts/{account}/keys/{key}", HoldingOrOwn(KeyManage), keys::update, "Change the limits of an API key"),
        post("/accounts/{account}/keys/{key}/rotate", HoldingOrOwn(KeyManage), keys::rotate, "Replace an API key"),
        post("/accounts/{account}/keys/{key}/revoke", HoldingOrOwn(KeyManage), keys::revoke, "Revoke an API key"),

        get("/accounts/{account}/keys/{key}/decision", HoldingOrOwn(KeyManage), keys::why, "Explain whether a key may make a call"),
        get("/accounts/{account}/keys/{key}/reach", HoldingOrOwn(KeyManage), keys::reach, "List what a key can do"),

        get("/accounts/{account}/ip-allowlists", IpAllowlistManage, allowlists::list, "List IP allow-lists"),
        post("/accounts/{account}/ip-allowlists", IpAllowlistManage, allowlists::create, "Set from where the account may be used"),
        get("/accounts/{account}/ip-allowlists/{allowlist}", IpAllowlistManage, allowlists::get, "Get an IP allow-list"),
        patch("/accounts/{account}/ip-allowlists/{allowlist}", IpAllowlistManage, allowlists::update, "Change an IP allow-list"),
        delete("/accounts/{account}/ip-allowlists/{allowlist}", IpAllowlistManage, allowlists::remove, "Delete an IP allow-list"),
        get("/accounts/{account}/restrictions", RestrictionManage, restrictions::list, "List restrictions"),
        post("/accounts/{account}/restrictions", RestrictionManage, restrictions::create, "Restrict the account, a role, a user or a key"),
        get("/accounts/{account}/restrictions/{restriction}", RestrictionManage, restrictions::get, "Get a restriction"),
        patch("/accounts/{account}/restrictions/{restriction}", RestrictionManage, restrictions::update, "Change a restriction"),
        delete("/accounts/{account}/restrictions/{restriction}", RestrictionManage, restrictions::remove, "Lift a restriction"),

        get("/accounts/{account}/resources", AccountRead, resources::list, "List resources"),
        post("/accounts/{account}/resources", ResourceManage, resources::create, "Create a resource"),
        get("/accounts/{account}/resources/{resource}", AccountRead, resources::get, "Get a resource"),
        patch("/accounts/{account}/resources/{resource}", ResourceManage, resources::update, "Change a resource"),
        delete("/accounts/{account}/resources/{resource}", ResourceManage, resources::remove, "Delete a resource and its shares"),
        get("/accounts/{account}/resources/{resource}/shares", ResourceManage, resources::shares, "List with whom a resource is shared"),
        post("/accounts/{account}/resources/{resource}/shares", ResourceManage, resources::share, "Share a resource with accounts below"),
        delete("/accounts/{account}/resources/{resource}/shares/{share}", ResourceManage, resources::unshare, "Take a share back"),

        get("/accounts/{account}/usage", HoldingOrOwn(UsageRead), usage::get, "Read what calls used"),
        get("/accounts/{account}/audit-log", AuditRead, audit::list, "Read the audit log"),

        get("/apis", OperatorOrPerson, catalogue::list, "List the APIs that are sold"),
        post("/apis", Operator, catalogue::create, "Add an API to the catalogue"),
        get("/apis/{api}", OperatorOrPerson, catalogue::get, "Get an API"),
        patch("/apis/{api}", Operator, catalogue::update, "Change an API"),
        delete("/apis/{api}", Operator, catalogue::remove, "Take an API out of the catalogue, with its endpoints"),
        put("/apis/{api}/openapi", Operator, catalogue::import, "Make the endpoints of an API those of an OpenAPI document"),
        get("/apis/{api}/endpoints", OperatorOrPerson, catalogue::endpoints, "List the endpoints of an API"),
        post("/apis/{api}/endpoints", Operator, catalogue::create_endpoint, "Add an endpoint"),
        patch("/apis/{api}/endpoints/{endpoint}", Operator, catalogue::update_endpoint, "Change an endpoint"),
        delete("/apis/{api}/endpoints/{endpoint}", Operator, catalogue::remove_endpoint, "Take an endpoint out"),

        post("/decisions", Decider, decisions::decide, "Ask whether a call may happen"),
        get("/authz/nginx", Anyone, authz::nginx, "Ask for nginx whether a call may go on"),
        get("/authz/forward", Anyone, authz::forward, "Ask for Caddy, Traefik and the like whether a call may go on"),
        post("/decisions/batch", Decider, decisions::decide_many, "Ask whether several calls may happen"),

        get("/org", AccountRead, org::org, "Get the organization acted for").bare(),
        get("/org/child_orgs", AccountRead, org::child_orgs, "List the child organizations with their usage").bare(),
        get("/secrets", AccountRead, org::secrets, "Get the organization's secrets, masked").bare(),
    ]
}

/// The control plane as a service: the routes below each prefix, the bare ones, the pages, and what Envoy asks in gRPC.
pub(crate) fn router(app: &App) -> Router {
    let mut versioned = Router::new();
    for route in routes() {
        versioned = versioned.route(route.path, route.service);
    }
    let api = PREFIXES.into_iter().fold(bare(), |api, prefix| api.nest(prefix, versioned.clone()));
    served(
        api.layer(from_fn(edge::read_payload)).merge(docs::pages()).merge(links::pages()).merge(ext_authz::service()),
        app,
    )
}

/// What customers of the API reach beside it: the bare routes.
pub(crate) fn beside(app: &App) -> Router {
    served(bare(), app)
}

/// The paths of the bare routes.
pub(crate) fn bare_paths() -> Vec<&'static str> {
    routes().into_iter().filter(|route| route.bare).map(|route| route.path).collect()
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
