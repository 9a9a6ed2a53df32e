//! From the domain to the wire.

use std::collections::BTreeMap;

use serde_json::Value;
use tenantry_api as api;
use tenantry_core::account::{Account, Status};
use tenantry_core::allowlist::Allowlist;
use tenantry_core::catalogue::{Api, Catalogue, Endpoint, NamedResource};
use tenantry_core::feature::Feature;
use tenantry_core::id::{AccountId, SessionId};
use tenantry_core::invitation::{Invitation, Inviter};
use tenantry_core::key::{Key, State};
use tenantry_core::limit::{CallLimits, Holder};
use tenantry_core::lineage::Lineage;
use tenantry_core::method::MethodSet;
use tenantry_core::network::Networks;
use tenantry_core::permission::{Permission, PermissionSet};
use tenantry_core::refusal::Code;
use tenantry_core::restriction::{Endpoints, Imposer, Restriction, Target};
use tenantry_core::role::{Role, RoleRef, check_rank};
use tenantry_core::session::Session;
use tenantry_core::snapshot::Fix;
use tenantry_core::usage::Sums;
use tenantry_core::{Document, Timestamp};
use tenantry_gateway::limits::Exhausted;
use tenantry_store::{
    AuditRow, Belonging, Child, EnrollmentLink, Lined, Member, Page, Paged, Resource, Share, UsageGroup, UsageRow, User,
};

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

/// The window of a list that is there as a whole.
pub(crate) fn window<T, U>(all: Vec<T>, page: Page, view: impl Fn(&T) -> U) -> api::List<U> {
    let total = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let at = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
    let rows = all.into_iter().skip(at(page.offset)).take(at(page.limit)).collect();
    list(Paged { rows, total }, page, view)
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
        user_count: lined.counts.users,
        device_count: lined.counts.devices,
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
        user_count: child.counts.users,
        device_count: child.counts.devices,
    }
}

pub(crate) fn user(user: &User) -> api::User {
    api::User {
        id: user.id.to_string(),
        email: user.email.clone(),
        name: user.name.clone(),
        account_id: user.account_id.to_string(),
        created_at: instant(user.created_at),
    }
}

pub(crate) fn session(session: &Session, current: Option<SessionId>) -> api::Session {
    api::Session {
        id: session.id.to_string(),
        current: current == Some(session.id),
        proof: session.proof.to_string(),
        proven_at: instant(session.proven_at),
        created_at: instant(session.created_at),
        last_seen_at: instant(session.last_seen_at),
        expires_at: instant(session.expires_at()),
        ip: session.ip.clone(),
        user_agent: session.user_agent.clone(),
    }
}

pub(crate) fn belonging(belonging: &Belonging) -> api::Belonging {
    let role = &belonging.membership.role;
    api::Belonging {
        account_id: belonging.membership.account.to_string(),
        name: belonging.account_name.clone(),
        status: belonging.status.to_string(),
        role: role.name.clone(),
        role_id: role_id(role.which),
    }
}

/// The id of a custom role.
pub(crate) fn role_id(which: RoleRef) -> Option<String> {
    match which {
        RoleRef::BuiltIn(_) => None,
        RoleRef::Custom(id) => Some(id.to_string()),
    }
}

/// A member as somebody sees them who does, or does not, see the account that they are a member of.
pub(crate) fn member(member: &Member, here: &Account, visible: bool) -> api::Member {
    let (role, account) = (&member.membership.role, member.membership.account);
    api::Member {
        user_id: member.membership.user.to_string(),
        email: visible.then(|| member.email.clone()),
        name: member.name.clone(),
        role: role.name.clone(),
        role_id: role_id(role.which),
        source: if account == here.id { "direct" } else { "inherited" }.to_owned(),
        account_id: visible.then(|| account.to_string()),
        second_factor: member.second_factor,
        since: instant(member.since),
        last_seen_at: member.last_seen_at.map(instant),
    }
}

/// A role as somebody sees it who holds `own`.
pub(crate) fn role(role: &Role, own: PermissionSet, members: Option<i64>) -> api::Role {
    api::Role {
        id: role_id(role.which).unwrap_or_else(|| role.name.clone()),
        name: role.name.clone(),
        built_in: role.home.is_none(),
        account_id: role.home.map(|id| id.to_string()),
        permissions: role.permissions.iter().map(Permission::as_str).map(str::to_owned).collect(),
        reaches_down: role.reaches_down(),
        assignable: check_rank(own, role).is_ok(),
        members,
    }
}

pub(crate) fn invitation(invitation: &Invitation, now: Timestamp, link: Option<String>) -> api::Invitation {
    let invited_by = match invitation.inviter {
        Inviter::User(user) => Some(user.to_string()),
        Inviter::Operator | Inviter::Key(_) => None,
    };
    api::Invitation {
        id: invitation.id.to_string(),
        email: invitation.email.clone(),
        role: invitation.role_name.clone(),
        status: invitation.status_at(now).to_string(),
        invited_by,
        created_at: instant(invitation.created_at),
        expires_at: instant(invitation.expires_at),
        link,
    }
}

pub(crate) fn enrollment_link(link: &EnrollmentLink, now: Timestamp) -> api::EnrollmentLink {
    let status = match link.check_usable(now) {
        Ok(()) => "active",
        Err(_) if link.revoked_at.is_some() => "revoked",
        Err(refusal) if refusal.code == Code::LinkExhausted => "exhausted",
        Err(_) => "expired",
    };
    api::EnrollmentLink {
        id: link.id.to_string(),
        name: link.name.clone(),
        status: status.to_owned(),
        max_uses: link.max_uses,
        uses: link.uses,
        created_at: instant(link.created_at),
        expires_at: link.expires_at.map(instant),
        revoked_at: link.revoked_at.map(instant),
    }
}

pub(crate) fn features(line: &Lineage) -> api::Features {
    let effective = line.features();
    api::Features {
        effective: effective.iter().map(|(name, had)| (name.clone(), feature(had.value))).collect(),
        assigned: line.account().features.iter().map(|(name, own)| (name.clone(), feature(*own))).collect(),
        sources: effective.iter().map(|(name, had)| (name.clone(), had.source.to_string())).collect(),
    }
}

/// A feature as it is sent.
pub(crate) fn feature(feature: Feature) -> Value {
    match feature {
        Feature::On => Value::from(true),
        Feature::UpTo(most) => Value::from(most),
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
        user_id: key.user_id.map(|id| id.to_string()),
        maker_id: key.maker_id.map(|id| id.to_string()),
        name: key.name.clone(),
        environment: key.environment.to_string(),
        masked: key.masked(),
        scopes: key.scopes.map(|set| set.iter().map(Permission::as_str).map(str::to_owned).collect()),
        status: status.to_owned(),
        created_at: instant(key.created_at),
        expires_at: key.expires_at.map(instant),
        revoked_at: key.revoked_at.map(instant),
        last_used_at: key.last_used_at.map(instant),
        ip_allowlist: key.networks.as_ref().map(cidrs),
        limits: (!key.limits.is_none()).then(|| call_limits(key.limits)),
        last_used_ip: key.last_used_ip.clone(),
        rotated_from: key.rotated_from.map(|id| id.to_string()),
    }
}

pub(crate) fn api(own: &Api, catalogue: &Catalogue) -> api::Api {
    api::Api {
        id: own.id.clone(),
        name: own.name.clone(),
        base_path: own.base_path.to_string(),
        upstream: own.upstream.clone(),
        endpoints: catalogue.endpoints().filter(|found| found.api.id == own.id).count(),
        created_at: instant(own.created_at),
        updated_at: instant(own.updated_at),
    }
}

pub(crate) fn endpoint(own: &Endpoint) -> api::Endpoint {
    let resource =
        |named: &NamedResource| api::EndpointResource { kind: named.kind.clone(), name: named.variable.clone() };
    api::Endpoint {
        id: own.id.to_string(),
        api: own.api.clone(),
        method: own.method.to_string(),
        path: own.path.to_string(),
        cost: own.cost,
        permission: own.permission.to_string(),
        feature: own.feature.clone(),
        resource: own.resource.as_ref().map(resource),
        settle: own.settle.to_string(),
        created_at: instant(own.created_at),
        updated_at: instant(own.updated_at),
    }
}

pub(crate) fn fix(fix: &Fix) -> api::DecisionFix {
    let to = |action: &str| api::DecisionFix { action: action.to_owned(), ..api::DecisionFix::default() };
    let on =
        |action: &str, account: AccountId| api::DecisionFix { account_id: Some(account.to_string()), ..to(action) };
    match fix {
        Fix::AnotherKey => to("useAnotherKey"),
        Fix::AnotherSubject => to("actForAnotherAccount"),
        Fix::AnotherCall => to("callSomethingElse"),
        Fix::AnotherAddress => to("callFromElsewhere"),
        Fix::Activate(account) => on("activate", *account),
        Fix::InheritAdmins(account) => on("inheritAdmins", *account),
        Fix::GiveRole(user, account, permission) => api::DecisionFix {
            user_id: Some(user.to_string()),
            what: Some(permission.to_string()),
            ..on("giveRole", *account)
        },
        Fix::WidenScopes(key, permission) => {
            api::DecisionFix { key_id: Some(key.to_string()), what: Some(permission.to_string()), ..to("widenScopes") }
        }
        Fix::AddAddress(list, account) => {
            api::DecisionFix { rule_id: Some(list.to_string()), ..on("addAddress", *account) }
        }
        Fix::Lift(rule, account) => {
            api::DecisionFix { rule_id: Some(rule.to_string()), ..on("liftRestriction", *account) }
        }
        Fix::AssignFeature(account, name) => {
            api::DecisionFix { what: Some(name.clone()), ..on("assignFeature", *account) }
        }
        Fix::ShareResource(account, kind, name) => {
            api::DecisionFix { what: Some(format!("{kind}:{name}")), ..on("shareResource", *account) }
        }
    }
}

/// What would let a call through that a limit keeps out.
pub(crate) fn wait(exhausted: Exhausted) -> api::DecisionFix {
    let (account_id, key_id) = match exhausted.holder {
        Holder::Account(id) => (Some(id.to_string()), None),
        Holder::Key(id) => (None, Some(id.to_string())),
    };
    api::DecisionFix {
        action: "wait".to_owned(),
        account_id,
        key_id,
        what: Some(exhausted.kind.as_str().to_owned()),
        seconds: Some(exhausted.seconds()),
        ..api::DecisionFix::default()
    }
}

pub(crate) fn call_limits(limits: CallLimits) -> api::CallLimits {
    let rate = limits.rate.map(|rate| api::CallRate { calls: rate.calls(), seconds: rate.seconds() });
    api::CallLimits { rate, in_flight: limits.in_flight }
}

/// The limits of an account, and those above it; which accounts those are is told where they are `visible`.
pub(crate) fn account_limits(line: &Lineage, visible: impl Fn(AccountId) -> bool) -> api::AccountLimits {
    let above = line.ancestors().iter().rev().filter(|account| !account.call_limits.is_none());
    let above = above.map(|account| {
        let api::CallLimits { rate, in_flight } = call_limits(account.call_limits);
        api::LimitsAbove { account_id: visible(account.id).then(|| account.id.to_string()), rate, in_flight }
    });
    let api::CallLimits { rate, in_flight } = call_limits(line.account().call_limits);
    api::AccountLimits { rate, in_flight, above: above.collect() }
}

pub(crate) fn restriction(rule: &Restriction) -> api::Restriction {
    api::Restriction {
        id: rule.id.to_string(),
        account_id: rule.account_id.to_string(),
        imposed_by: match rule.imposed_by {
            Imposer::Operator => None,
            Imposer::Account(account) => Some(account.to_string()),
        },
        mode: rule.mode.to_string(),
        subject: restriction_subject(rule.target),
        endpoints: rule.endpoints.iter().map(endpoint_pattern).collect(),
        permissions: rule.permissions.iter().map(|permission| permission.to_string()).collect(),
        set_by: rule.set_by.clone(),
        created_at: instant(rule.created_at),
        updated_at: instant(rule.updated_at),
    }
}

fn restriction_subject(target: Target) -> Option<api::RestrictionSubject> {
    let nobody = api::RestrictionSubject::default();
    match target {
        Target::Account => None,
        Target::Role(_) => Some(api::RestrictionSubject { role: Some(target.to_string()), ..nobody }),
        Target::User(_) => Some(api::RestrictionSubject { user_id: Some(target.to_string()), ..nobody }),
        Target::Key(_) => Some(api::RestrictionSubject { key_id: Some(target.to_string()), ..nobody }),
    }
}

fn endpoint_pattern(endpoints: &Endpoints) -> api::EndpointPattern {
    let all = endpoints.methods == MethodSet::ALL;
    api::EndpointPattern {
        api: endpoints.api.to_string(),
        methods: endpoints.methods.iter().filter(|_| !all).map(|method| method.to_string()).collect(),
        path: endpoints.path.to_string(),
    }
}

pub(crate) fn allowlist(list: &Allowlist) -> api::Allowlist {
    api::Allowlist {
        id: list.id.to_string(),
        account_id: list.account_id.to_string(),
        api: list.api.as_deref().map(str::to_owned),
        cidrs: cidrs(&list.networks),
        enforced: list.enforced,
        set_by: list.set_by.clone(),
        created_at: instant(list.created_at),
        updated_at: instant(list.updated_at),
    }
}

pub(crate) fn cidrs(networks: &Networks) -> Vec<String> {
    networks.iter().map(|network| network.to_string()).collect()
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
            user_id: row.actor_user.map(|id| id.to_string()),
            key_id: row.actor_key.map(|id| id.to_string()),
        },
        subject: row.subject.map(|id| id.to_string()),
        reason: row.reason.clone(),
        request_id: row.request_id.to_string(),
        ip: row.ip.clone(),
        detail: value(&row.detail),
    }
}

pub(crate) fn usage_row(row: &UsageRow) -> api::UsageRow {
    let (group, api) = match &row.group {
        UsageGroup::All | UsageGroup::User(None) => (None, None),
        UsageGroup::Account(id) => (Some(id.to_string()), None),
        UsageGroup::User(Some(id)) => (Some(id.to_string()), None),
        UsageGroup::Key(id) => (Some(id.to_string()), None),
        UsageGroup::Api(id) => (Some(id.clone()), None),
        UsageGroup::Endpoint(id, api) => (Some(id.to_string()), Some(api.clone())),
    };
    api::UsageRow { from: instant(row.at), group, api, sums: usage_sums(row.sums) }
}

pub(crate) fn usage_sums(sums: Sums) -> api::UsageSums {
    api::UsageSums { calls: sums.calls, failures: sums.failures, credits: sums.credits }
}
