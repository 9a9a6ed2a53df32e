//! What an event tells: the fields that changed, each with its value before and after.

use serde_json::{Map, Value, json};
use tenantry_core::Document;
use tenantry_core::account::Account;

use crate::view;

/// The detail of an event.
pub(super) fn detail(value: &Value) -> Document {
    Document::from_json(value.to_string())
}

/// The fields of an account's own that differ.
pub(super) fn between(before: &Account, after: &Account) -> Document {
    let (before, after) = (fields(before), fields(after));
    let changed: Map<String, Value> = after
        .into_iter()
        .filter_map(|(name, to)| {
            let from = before.get(&name).cloned().unwrap_or_default();
            (from != to).then(|| (name, json!({"from": from, "to": to})))
        })
        .collect();
    detail(&Value::Object(changed))
}

/// All that a new account starts with.
pub(super) fn created(account: &Account) -> Document {
    detail(&Value::Object(fields(account)))
}

fn fields(account: &Account) -> Map<String, Value> {
    let settings: Map<_, _> = account.settings.iter().map(|(name, own)| (name.clone(), view::value(own))).collect();
    let fields = json!({
        "name": account.name,
        "email": account.email,
        "kind": account.kind.as_str(),
        "parentId": account.parent_id.map(|id| id.to_string()),
        "rootId": account.root_id.to_string(),
        "depth": account.depth,
        "status": account.status.as_str(),
        "settings": settings,
        "lockedSettings": account.locked_settings,
        "inheritSettings": account.inherits.settings,
        "inheritAdmins": account.inherits.admins,
        "inheritBillingContacts": account.inherits.billing_contacts,
        "inheritAuditPolicies": account.inherits.audit_policies,
        "billingContacts": account.billing_contacts,
        "auditPolicies": account.audit_policies.as_ref().map(view::value),
        "billingMode": account.billing_mode.as_str(),
        "metadata": view::value(&account.metadata),
        "features": account.features.iter().map(|(name, own)| (name.clone(), view::feature(*own))).collect::<Map<_, _>>(),
        "callLimits": view::call_limits(account.call_limits),
        "canceledAt": account.canceled_at.map(view::instant),
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
