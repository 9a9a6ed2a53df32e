//! A tree to play with: what `tenantry demo` starts with.

use tenantry_api as api;
use tenantry_core::Document;
use tenantry_core::account::{Kind, Profile};
use tenantry_core::catalogue::Settle;
use tenantry_core::id::AccountId;
use tenantry_core::key::Environment;
use tenantry_core::limit::CallLimits;
use tenantry_core::method::{Method, MethodSet};
use tenantry_core::path::Pattern;
use tenantry_core::permission::{Permission, PermissionSet};
use tenantry_core::restriction::Mode;
use tenantry_core::role::BuiltIn;
use tenantry_core::secret;
use tenantry_core::tree::LimitsChange;

use crate::app;
use crate::ctx::Ctx;
use crate::problem::{Error, Result};
use crate::state::App;

/// What there is to play with.
#[derive(Debug, Clone)]
pub struct Demo {
    /// A super organization.
    pub root: AccountId,
    /// Its first child.
    pub child: AccountId,
    /// Another child, to move the first one's children to.
    pub other_child: AccountId,
    /// A grandchild, below the first child.
    pub grandchild: AccountId,
    /// A key of the super organization.
    pub root_key: String,
    /// A key of the first child.
    pub child_key: String,
    /// The address of the super organization's admin.
    pub admin: String,
    /// Their password.
    pub password: String,
}

/// Plants the demo tree.
///
/// # Errors
/// If the database fails.
pub async fn plant(app: &App) -> Result<Demo> {
    let root = app::accounts::create(&Ctx::operator(app), profile("Acme", "ops@acme.example")).await?.body.id;
    let root = parse(&root)?;
    let super_organization = LimitsChange { super_organization: Some(true), ..LimitsChange::default() };
    app::accounts::limits(&Ctx::operator(app), root, super_organization).await?;
    let mut settings = api::Object::new();
    settings.insert("timezone".to_owned(), "America/New_York".into());
    settings.insert("language".to_owned(), "en".into());
    app::settings::update(&Ctx::operator(app), root, &settings, None).await?;

    let child = add(app, root, "Acme New York", "new-york@acme.example").await?;
    let other_child = add(app, root, "Acme Boston", "boston@acme.example").await?;
    add(app, root, "Acme Chicago", "chicago@acme.example").await?;
    let grandchild = add(app, child, "Sales", "sales@acme.example").await?;
    add(app, child, "Support", "support@acme.example").await?;
    add(app, other_child, "Engineering", "engineering@acme.example").await?;
    let (root_key, child_key) = (key(app, root).await?, key(app, child).await?);
    let (admin, password) = ("ann@acme.example".to_owned(), secret::token(&app.chance.bytes()?));
    join(app, root, &admin, "Ann", &password).await?;
    sell(app, child).await?;
    Ok(Demo { root, child, other_child, grandchild, root_key, child_key, admin, password })
}

/// An API to call, and a rule for one of those who would.
async fn sell(app: &App, restricted: AccountId) -> Result<()> {
    let operator = || Ctx::operator(app);
    let pattern = |text: &str| Pattern::parse(text).map_err(Error::internal);
    app::catalogue::create(&operator(), "voice".to_owned(), "Voice".to_owned(), pattern("/voice")?, None).await?;
    for (method, path, cost) in [(Method::Post, "/tts/{voice}", 5), (Method::Post, "/clone", 50)] {
        let wanted = app::catalogue::Wanted {
            method,
            path: pattern(path)?,
            cost,
            permission: Permission::CreditsConsume,
            feature: None,
            resource: None,
            settle: Settle::Success,
        };
        app::catalogue::create_endpoint(&operator(), "voice", wanted).await?;
    }
    let named = app::restrictions::Named {
        field: "endpoints[0]".to_owned(),
        api: "voice".to_owned(),
        methods: MethodSet::ALL,
        path: pattern("/clone")?,
    };
    let wanted = app::restrictions::Wanted {
        mode: Mode::Deny,
        subject: api::RestrictionSubject::default(),
        endpoints: vec![named],
        permissions: PermissionSet::NONE,
    };
    app::restrictions::create(&operator(), restricted, wanted).await?;
    Ok(())
}

/// Makes a new user an admin, the way every user becomes one: by the link of an invitation.
async fn join(app: &App, account: AccountId, email: &str, name: &str, password: &str) -> Result<()> {
    let wanted = app::invitations::Wanted {
        field: "email".to_owned(),
        email: email.to_owned(),
        role: BuiltIn::Admin.as_str().to_owned(),
    };
    let invitation = app::invitations::create(&Ctx::operator(app), account, wanted).await?.body;
    let token =
        invitation.link.as_deref().and_then(|link| link.split_once("token=")).map(|(_, token)| token.to_owned());
    let said = api::Acceptance {
        token: token.ok_or_else(|| Error::internal("where no mail is sent, the link is shown"))?,
        name: Some(name.to_owned()),
        password: Some(password.to_owned()),
    };
    app::invitations::accept(&Ctx::nobody(app), &said).await?;
    Ok(())
}

fn profile(name: &str, email: &str) -> Profile {
    Profile {
        kind: Kind::Organization,
        name: name.to_owned(),
        email: email.to_owned(),
        settings: std::collections::BTreeMap::new(),
        metadata: Document::empty(),
    }
}

async fn add(app: &App, parent: AccountId, name: &str, email: &str) -> Result<AccountId> {
    let child =
        app::hierarchy::create_child(&Ctx::operator(app), parent, profile(name, email), &api::Object::new()).await?;
    parse(&child.body.id)
}

async fn key(app: &App, account: AccountId) -> Result<String> {
    let wanted = app::keys::Wanted {
        networks: None,
        limits: CallLimits::NONE,
        name: "demo".to_owned(),
        environment: Environment::Live,
        user: None,
        scopes: None,
        expires_at: None,
    };
    let made = app::keys::create(&Ctx::operator(app), account, wanted).await?;
    made.body.secret.ok_or_else(|| Error::internal("a new key has a secret"))
}

fn parse(id: &str) -> Result<AccountId> {
    id.parse().map_err(Error::internal)
}
