//! From the domain to the wire.

use std::collections::BTreeMap;

use serde_json::Value;
use tenantry_api as api;
use tenantry_core::account::{Account, Status};
use tenantry_core::key::{Key, State};
use tenantry_core::lineage::Lineage;
use tenantry_core::permission::Permission;
use tenantry_core::{Document, Timestamp};
use tenantry_store::{AuditRow, Child, Lined, Page, Paged, Resource, Share};

/// How many memberships an account has. There are none yet: people are not part of the tree so far.
const USERS: i64 = 0;

/// An instant in RFC 3339, UTC, whole seconds.
pub(crate) fn instant(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.0.div_euclid(1_000_000)).map(|at| at.to_string()).unwrap_or_default()
}

/// A stored document as a value again.
pub(crate) fn value(document: &Document) -> Value {
    serde_json::from_str(document.as_json()).unwrap_or_default()
}

pub(crate) fn object(document: &Document) -> api::Object {
    match value(document) {
        Value::Object(object) => object,
        _ => api::Object::new(),
    }
}

pub(crate) fn list<T, U>(paged: Paged<T>, page: Page, view: impl Fn(&T) -> U) -> api::List<U> {
    let pagination = api::Pagination { limit: page.limit, offset: page.offset, total: paged.total };
    api::List { data: paged.rows.into_iter().map(|row| view(&row)).collect(), pagination }
}

pub(crate) fn account(lined: &Lined) -> api::Account {
    let (account, limits) = (lined.line.account(), lined.limits);
    api::Account {
        id: account.id.to_string(),
        name: account.name.clone(),
        email: account.email.clone(),
        kind: account.kind.to_string(),
        parent_id: account.parent_id.map(|id| id.to_string()),
        root_id: account.root_id.to_string(),
        depth: account.depth,
        status: account.status.to_string(),
        effective_status: lined.line.effective_status().to_string(),
        settings: lined.line.settings().iter().map(|(name, s)| (name.clone(), value(&s.value))).collect(),
        inherit_settings: account.inherits.settings,
        inherit_admins: account.inherits.admins,
        billing_mode: account.billing_mode.to_string(),
        super_organization: limits.super_organization && account.parent_id.is_none(),
        limits: api::Limits { max_depth: limits.max_depth, max_children: limits.max_children },
        metadata: object(&account.metadata),
        child_count: account.child_count,
        user_count: USERS,
        device_count: lined.device_count,
        created_at: instant(account.created_at),
        updated_at: instant(account.updated_at),
    }
}

pub(crate) fn child(child: &Child) -> api::Child {
    api::Child {
        id: child.account.id.to_string(),
        name: child.account.name.clone(),
        status: child.account.status.to_string(),
        created_at: instant(child.account.created_at),
        user_count: USERS,
        device_count: child.device_count,
    }
}

/// A subtree out of its accounts, which come level by level.
pub(crate) fn tree(top: &Lineage, below: &[Account], truncated: bool) -> api::Tree {
    let mut children: BTreeMap<_, Vec<&Account>> = BTreeMap::new();
    for account in below {
        children.entry(account.parent_id).or_default().push(account);
    }
    let above = top.of_parent().map_or(Status::Active, |parent| parent.effective_status());
    api::Tree { root: tree_node(top.account(), above, &children), truncated }
}

fn tree_node(
    account: &Account,
    above: Status,
    children: &BTreeMap<Option<tenantry_core::id::AccountId>, Vec<&Account>>,
) -> api::TreeNode {
    let effective = account.status.below(above);
    let below = children.get(&Some(account.id)).map(Vec::as_slice).unwrap_or_default();
    api::TreeNode {
        id: account.id.to_string(),
        name: account.name.clone(),
        status: account.status.to_string(),
        effective_status: effective.to_string(),
        depth: account.depth,
        child_count: account.child_count,
        children: below.iter().map(|child| tree_node(child, effective, children)).collect(),
    }
}

pub(crate) fn settings(line: &Lineage) -> api::Settings {
    let (effective, account) = (line.settings(), line.account());
    api::Settings {
        effective: effective.iter().map(|(name, s)| (name.clone(), value(&s.value))).collect(),
        overrides: account.settings.iter().map(|(name, own)| (name.clone(), value(own))).collect(),
        sources: effective.iter().map(|(name, s)| (name.clone(), s.source.to_string())).collect(),
        locks: line.locks().into_iter().map(|(name, holder)| (name, holder.to_string())).collect(),
        locked_settings: account.locked_settings.iter().cloned().collect(),
    }
}

pub(crate) fn inheritance(line: &Lineage) -> api::Inheritance {
    let account = line.account();
    let (contacts, policies) = (line.billing_contacts(), line.audit_policies());
    api::Inheritance {
        settings: account.inherits.settings,
        admins: account.inherits.admins,
        billing_contacts: api::InheritedContacts {
            inherit: account.inherits.billing_contacts,
            own: account.billing_contacts.clone(),
            effective: contacts.as_ref().map(|c| c.value.to_vec()),
            source: contacts.map(|c| c.source.to_string()),
        },
        audit_policies: api::InheritedPolicies {
            inherit: account.inherits.audit_policies,
            own: account.audit_policies.as_ref().map(object),
            effective: policies.as_ref().map(|p| object(p.value)),
            source: policies.map(|p| p.source.to_string()),
        },
    }
}

pub(crate) fn key(key: &Key, now: Timestamp) -> api::Key {
    let status = match key.state(now) {
        State::Active => "active",
        State::Expired => "expired",
        State::Revoked => "revoked",
    };
    api::Key {
        id: key.id.to_string(),
        account_id: key.account_id.to_string(),
        name: key.name.clone(),
        environment: key.environment.to_string(),
        masked: key.masked(),
        scopes: key.scopes.map(|set| set.iter().map(Permission::as_str).map(str::to_owned).collect()),
        status: status.to_owned(),
        created_at: instant(key.created_at),
        expires_at: key.expires_at.map(instant),
        revoked_at: key.revoked_at.map(instant),
        last_used_at: key.last_used_at.map(instant),
        last_used_ip: key.last_used_ip.clone(),
        rotated_from: key.rotated_from.map(|id| id.to_string()),
    }
}

/// A resource as `viewer` sees it.
pub(crate) fn resource(resource: &Resource, viewer: &Account) -> api::Resource {
    api::Resource {
        id: resource.id.to_string(),
        account_id: resource.account_id.to_string(),
        kind: resource.kind.clone(),
        name: resource.name.clone(),
        external_id: resource.external_id.clone(),
        metadata: object(&resource.metadata),
        shared: resource.account_id != viewer.id,
        created_at: instant(resource.created_at),
        updated_at: instant(resource.updated_at),
    }
}

/// The word for a share with all accounts below.
pub(crate) const DESCENDANTS: &str = "descendants";

pub(crate) fn share(share: &Share, owner: &Account) -> api::Share {
    api::Share {
        id: share.id.to_string(),
        resource_id: share.resource_id.to_string(),
        to: if share.to == owner.id { DESCENDANTS.to_owned() } else { share.to.to_string() },
        created_at: instant(share.created_at),
    }
}

pub(crate) fn audit_entry(row: &AuditRow) -> api::AuditEntry {
    api::AuditEntry {
        id: row.id.to_string(),
        at: instant(row.at),
        action: row.action.clone(),
        account_id: row.account_id.to_string(),
        entity: row.entity.clone(),
        actor: api::Actor {
            kind: row.actor_kind.clone(),
            account_id: row.actor_account.map(|id| id.to_string()),
            key_id: row.actor_key.map(|id| id.to_string()),
        },
        subject: row.subject.map(|id| id.to_string()),
        request_id: row.request_id.to_string(),
        ip: row.ip.clone(),
        detail: value(&row.detail),
    }
}
