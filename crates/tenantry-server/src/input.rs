//! From the wire to the domain: every text and object that comes in is checked here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tenantry_api::{CallLimitsChange, CallRate, EndpointPattern, EndpointResource, Object, PageQuery};
use tenantry_core::account::Status;
use tenantry_core::catalogue::{NamedResource, Settle};
use tenantry_core::feature::Feature;
use tenantry_core::id::AccountId;
use tenantry_core::limit::{CallLimits, LONGEST_WINDOW, LimitsChange, MOST_CALLS, MOST_IN_FLIGHT, Rate};
use tenantry_core::lineage::Lineage;
use tenantry_core::method::{Method, MethodSet};
use tenantry_core::network::{MOST_NETWORKS, Networks};
use tenantry_core::path::Pattern;
use tenantry_core::permission::{Permission, PermissionSet};
use tenantry_core::refusal::{Code, FieldError};
use tenantry_core::restriction::CONTROL_API;
use tenantry_core::{Document, Refusal, Timestamp};
use tenantry_store::Page;

use crate::app::catalogue::Wanted;
use crate::app::restrictions::Named;
use crate::config::{Address, Config};

const LONGEST_NAME: usize = 200;
const LONGEST_EMAIL: usize = 254;
const LARGEST_DOCUMENT: usize = 16 * 1024;
const MOST_CONTACTS: usize = 20;
const LARGEST_PAGE: i64 = 100;
const DEFAULT_PAGE: i64 = 10;

const MOST_PATTERNS: usize = 100;
const MOST_ENDPOINTS: usize = 5_000;
const LARGEST_COST: i64 = 1_000_000_000;
const MOST_FEATURES: usize = 100;
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 8..=256;

type Checked<T> = Result<T, Refusal>;

/// A name for people: 1 to 200 characters, none of them a control character.
pub(crate) fn name(field: &str, text: &str) -> Checked<String> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 || length > LONGEST_NAME || text.chars().any(char::is_control) {
        return Err(Refusal::field(field, format!("takes 1 to {LONGEST_NAME} characters, without control characters")));
    }
    Ok(text.to_owned())
}

/// Something that can be an e-mail address; whether it is one, only a mail can tell.
pub(crate) fn email(field: &str, text: &str) -> Checked<String> {
    let sound = |text: &str| {
        let (local, domain) = text.rsplit_once('@')?;
        let labels =
            domain.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
        let ascii = text.bytes().all(|b| b.is_ascii_graphic())
            && !text.contains(['<', '>', '(', ')', ',', ';', ':', '"', '\\']);
        (!local.is_empty() && !local.contains('@') && labels && ascii && text.len() <= LONGEST_EMAIL).then_some(())
    };
    match sound(text) {
        Some(()) => Ok(text.to_owned()),
        None => Err(Refusal::field(field, "takes an e-mail address")),
    }
}

/// A password: any 8 to 256 characters, but not the address itself.
pub(crate) fn password(text: &str, email: &str) -> Checked<String> {
    if !PASSWORD_LENGTH.contains(&text.chars().count()) || text.to_lowercase() == email.to_lowercase() {
        return Err(Refusal::field(
            "password",
            format!("takes {} to {} characters, and not the address", PASSWORD_LENGTH.start(), PASSWORD_LENGTH.end()),
        ));
    }
    Ok(text.to_owned())
}

/// Features by name: `true`, or a number from 0.
pub(crate) fn features(wanted: &tenantry_api::FeatureMap) -> Checked<BTreeMap<String, Feature>> {
    if wanted.len() > MOST_FEATURES {
        return Err(Refusal::field("features", format!("takes at most {MOST_FEATURES}")));
    }
    let checked = |(name, value): (&String, &Value)| {
        let sound = (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b));
        let feature = match value {
            Value::Bool(true) => Some(Feature::On),
            value => value.as_i64().filter(|most| *most >= 0).map(Feature::UpTo),
        };
        match feature.filter(|_| sound) {
            Some(feature) => Ok((name.clone(), feature)),
            None => Err(Refusal::field(
                name.clone(),
                "takes true, or a number from 0; names are of lower-case letters, digits, `-`, `.` and `_`",
            )),
        }
    };
    wanted.iter().map(checked).collect()
}

/// An object that is stored as it is.
pub(crate) fn document(field: &str, object: &Object) -> Checked<Document> {
    let json = json_text(object);
    if json.len() > LARGEST_DOCUMENT {
        return Err(Refusal::field(field, format!("takes at most {LARGEST_DOCUMENT} bytes of JSON")));
    }
    Ok(Document::from_json(json))
}

/// JSON of what came as JSON.
fn json_text<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

pub(crate) fn contacts(field: &str, addresses: &[String]) -> Checked<Vec<String>> {
    if addresses.len() > MOST_CONTACTS {
        return Err(Refusal::field(field, format!("takes at most {MOST_CONTACTS} addresses")));
    }
    addresses.iter().enumerate().map(|(place, address)| email(&format!("{field}[{place}]"), address)).collect()
}

/// The kind of a resource: a lower-case word.
pub(crate) fn resource_kind(text: &str) -> Checked<String> {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if first && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Ok(text.to_owned());
    }
    Err(Refusal::field("kind", "takes 1 to 64 lower-case letters, digits and dashes, beginning with a letter"))
}

/// One of the words of an enum of the domain.
pub(crate) fn word<T: std::str::FromStr>(field: &str, text: &str, words: &[&str]) -> Checked<T> {
    text.parse().map_err(|_| Refusal::field(field, format!("takes {}", words.join(", "))))
}

/// A window of a list.
pub(crate) fn page(query: &PageQuery) -> Checked<Page> {
    let limit = query.limit.unwrap_or(DEFAULT_PAGE);
    let offset = query.offset.unwrap_or(0);
    let mut fields = Vec::new();
    let mut wrong = |field: &str, message: String| fields.push(FieldError { field: field.to_owned(), message });
    if !(1..=LARGEST_PAGE).contains(&limit) {
        wrong("limit", format!("takes 1 to {LARGEST_PAGE}"));
    }
    if offset < 0 {
        wrong("offset", "takes 0 and up".to_owned());
    }
    if fields.is_empty() {
        return Ok(Page { limit, offset });
    }
    Err(Refusal { fields, ..Code::InvalidParameter.into() })
}

/// A status to filter by.
pub(crate) fn status_filter(text: Option<&str>) -> Checked<Option<Status>> {
    let parse = |text: &str| {
        text.parse().map_err(|_| Refusal::at(Code::InvalidParameter, "status", "takes active, suspended or closed"))
    };
    text.map(parse).transpose()
}

/// An instant in RFC 3339.
pub(crate) fn instant(code: Code, field: &str, text: &str) -> Checked<Timestamp> {
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed
        .map(|at| Timestamp(at.as_microsecond()))
        .map_err(|_| Refusal::at(code, field, "takes an RFC 3339 time, such as 2026-01-31T12:00:00Z"))
}

/// Names of permissions.
pub(crate) fn permissions(field: &str, names: &[String]) -> Checked<PermissionSet> {
    let parse = |(place, name): (usize, &String)| {
        name.parse::<Permission>()
            .map_err(|error| Refusal::field(format!("{field}[{place}]"), format!("`{name}` is {error}")))
    };
    names.iter().enumerate().map(parse).collect()
}

/// Endpoints that a rule names.
pub(crate) fn endpoints(field: &str, named: &[EndpointPattern]) -> Checked<Vec<Named>> {
    if named.len() > MOST_PATTERNS {
        return Err(Refusal::field(field, format!("takes at most {MOST_PATTERNS}")));
    }
    let read = |(place, one): (usize, &EndpointPattern)| {
        let field = format!("{field}[{place}]");
        let method = |word: &String| method(&format!("{field}.methods"), word);
        let methods = one.methods.iter().map(method).collect::<Checked<MethodSet>>()?;
        Ok(Named {
            api: one.api.clone(),
            methods: if one.methods.is_empty() { MethodSet::ALL } else { methods },
            path: pattern(&format!("{field}.path"), &one.path)?,
            field,
        })
    };
    named.iter().enumerate().map(read).collect()
}

/// A method of HTTP.
pub(crate) fn method(field: &str, text: &str) -> Checked<Method> {
    let words: Vec<_> = Method::ALL.iter().map(|method| method.as_str()).collect();
    word(field, &text.to_ascii_uppercase(), &words)
}

/// A pattern of paths.
pub(crate) fn pattern(field: &str, text: &str) -> Checked<Pattern> {
    Pattern::parse(text).map_err(|takes| Refusal::field(field, takes))
}

/// A path without variables below which an API is.
pub(crate) fn base_path(field: &str, text: &str) -> Checked<Pattern> {
    let pattern = pattern(field, text)?;
    if pattern.is_literal() { Ok(pattern) } else { Err(Refusal::field(field, "takes a path without variables")) }
}

/// The operator's name for an API. The control plane's own is taken.
pub(crate) fn api_id(field: &str, text: &str) -> Checked<String> {
    let sound = resource_kind(text).is_ok() && text != CONTROL_API;
    let takes = "takes 1 to 64 lower-case letters, digits and dashes, beginning with a letter, but not `tenantry`";
    if sound { Ok(text.to_owned()) } else { Err(Refusal::field(field, takes)) }
}

/// Where calls are forwarded to.
pub(crate) fn upstream(field: &str, text: &str) -> Checked<String> {
    let takes = || Refusal::field(field, "takes an address such as http://10.0.0.7:8000");
    text.parse::<Address>().map(|_| text.to_owned()).map_err(|_| takes())
}

/// What a call costs.
pub(crate) fn cost(field: &str, credits: i64) -> Checked<i64> {
    let takes = || Refusal::field(field, format!("takes 0 to {LARGEST_COST}"));
    (0..=LARGEST_COST).contains(&credits).then_some(credits).ok_or_else(takes)
}

/// The name of a permission.
pub(crate) fn permission(field: &str, name: &str) -> Checked<Permission> {
    name.parse().map_err(|error| Refusal::field(field, format!("`{name}` is {error}")))
}

/// A resource that is named in a path.
pub(crate) fn named_resource(field: &str, named: &EndpointResource) -> Checked<NamedResource> {
    let kind =
        resource_kind(&named.kind).map_err(|_| Refusal::field(format!("{field}.kind"), "takes a kind of resource"))?;
    Ok(NamedResource { kind, variable: named.name.clone() })
}

/// Which answers cost.
pub(crate) fn settle(field: &str, text: &str) -> Checked<Settle> {
    word(field, text, &["success", "always"])
}

/// The endpoints of an OpenAPI document. An operation may say `x-tenantry-cost`, `x-tenantry-feature` and `x-tenantry-settle`.
pub(crate) fn openapi(document: &Object) -> Checked<Vec<Wanted>> {
    let version = document.get("openapi").and_then(Value::as_str).unwrap_or_default();
    if !version.starts_with("3.") {
        return Err(Refusal::field("openapi", "takes 3.x"));
    }
    let paths = document.get("paths").and_then(Value::as_object);
    let paths = paths.ok_or_else(|| Refusal::field("paths", "takes an object"))?;
    let mut wanted = Vec::new();
    for (path, item) in paths {
        let field = format!("paths.{path}");
        let pattern = pattern(&field, path)?;
        for (method, operation) in item.as_object().into_iter().flatten() {
            // Besides methods there are summaries, parameters and extensions.
            let Ok(method) = method.to_ascii_uppercase().parse::<Method>() else { continue };
            wanted.push(operation_of(&format!("{field}.{method}"), method, pattern.clone(), operation)?);
        }
    }
    if wanted.len() > MOST_ENDPOINTS {
        return Err(Refusal::field("paths", format!("takes at most {MOST_ENDPOINTS} operations")));
    }
    Ok(wanted)
}

fn operation_of(field: &str, method: Method, path: Pattern, operation: &Value) -> Checked<Wanted> {
    let said = |name: &str| operation.get(format!("x-tenantry-{name}"));
    let text = |name: &str| said(name).and_then(Value::as_str);
    let credits = match said("cost") {
        None => 1,
        Some(value) => value.as_i64().unwrap_or(-1),
    };
    Ok(Wanted {
        method,
        path,
        cost: cost(&format!("{field}.x-tenantry-cost"), credits)?,
        permission: Permission::CreditsConsume,
        feature: text("feature").map(|feature| name(field, feature)).transpose()?,
        resource: None,
        settle: text("settle").map_or(Ok(Settle::Success), |word| settle(field, word))?,
    })
}

/// What calls are limited to. `at` is where in the body it stands, up to the names of its fields.
pub(crate) fn call_limits(at: &str, wanted: tenantry_api::CallLimits) -> Checked<CallLimits> {
    let rate = wanted.rate.map(|wanted| rate(at, wanted)).transpose()?;
    Ok(CallLimits { rate, in_flight: wanted.in_flight.map(|most| in_flight(at, most)).transpose()? })
}

/// Changes to that.
pub(crate) fn limits_change(at: &str, wanted: CallLimitsChange) -> Checked<LimitsChange> {
    Ok(LimitsChange {
        rate: wanted.rate.map(|wanted| wanted.map(|wanted| rate(at, wanted)).transpose()).transpose()?,
        in_flight: wanted.in_flight.map(|most| most.map(|most| in_flight(at, most)).transpose()).transpose()?,
    })
}

fn rate(at: &str, wanted: CallRate) -> Checked<Rate> {
    let takes = || format!("takes 1 to {MOST_CALLS} calls in 1 to {LONGEST_WINDOW} seconds");
    Rate::new(wanted.calls, wanted.seconds).ok_or_else(|| Refusal::field(format!("{at}rate"), takes()))
}

fn in_flight(at: &str, most: u32) -> Checked<u32> {
    let takes = || Refusal::field(format!("{at}inFlight"), format!("takes 1 to {MOST_IN_FLIGHT}"));
    (1..=MOST_IN_FLIGHT).contains(&most).then_some(most).ok_or_else(takes)
}

/// Networks from which something may be used.
pub(crate) fn networks(field: &str, cidrs: &[String]) -> Checked<Networks> {
    if cidrs.is_empty() || cidrs.len() > MOST_NETWORKS {
        return Err(Refusal::field(field, format!("takes 1 to {MOST_NETWORKS} networks")));
    }
    Networks::parse(cidrs).map_err(|bad| {
        Refusal::field(
            format!("{field}[{}]", bad.place),
            "takes a network such as 192.0.2.0/24 or 2001:db8::/32, or an address",
        )
    })
}

/// Settings of an account by name; `None` resets one.
type Overrides = BTreeMap<String, Option<Document>>;

/// New overrides of settings of the account that `line` leads to.
pub(crate) fn settings(object: &Object, line: &Lineage, config: &Config) -> Checked<Overrides> {
    overrides(object, &line.locks(), config)
}

/// The settings of a new root, above which nothing is locked.
pub(crate) fn root_settings(object: &Object, config: &Config) -> Checked<BTreeMap<String, Document>> {
    let overrides = overrides(object, &BTreeMap::new(), config)?;
    Ok(overrides.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

fn overrides(object: &Object, locks: &BTreeMap<String, AccountId>, config: &Config) -> Checked<Overrides> {
    let check = |(name, value): (&String, &Value)| {
        overridable(name, config)?;
        if let Some(holder) = locks.get(name) {
            return Err(Refusal::new(Code::SettingLocked, format!("`{name}` is locked by {holder}.")));
        }
        if value.is_null() {
            return Ok((name.clone(), None));
        }
        setting(name, value)?;
        Ok((name.clone(), Some(Document::from_json(json_text(value)))))
    };
    let checked: BTreeMap<_, _> = object.iter().map(check).collect::<Checked<_>>()?;
    document("settings", object)?;
    Ok(checked)
}

/// Names of settings to lock.
pub(crate) fn locked_settings(names: &[String], config: &Config) -> Checked<BTreeSet<String>> {
    names.iter().map(|name| overridable(name, config).map(|()| name.clone())).collect()
}

fn overridable(name: &str, config: &Config) -> Checked<()> {
    if config.overridable_settings.contains(name) {
        return Ok(());
    }
    let known: Vec<_> = config.overridable_settings.iter().map(String::as_str).collect();
    Err(Refusal::new(Code::SettingNotOverridable, format!("`{name}` is none of {}.", known.join(", "))))
}

/// The settings that Tenantry itself knows have values that make sense.
fn setting(name: &str, value: &Value) -> Checked<()> {
    let field = || format!("settings.{name}");
    match (name, value) {
        ("timezone", Value::String(zone)) if jiff::tz::TimeZone::get(zone).is_ok() => Ok(()),
        ("timezone", _) => Err(Refusal::field(field(), "takes an IANA time zone, such as America/Chicago")),
        ("language", Value::String(tag)) if is_language(tag) => Ok(()),
        ("language", _) => Err(Refusal::field(field(), "takes a language tag, such as en or de-AT")),
        _ => Ok(()),
    }
}

fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let primary =
        parts.next().is_some_and(|p| (2..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphabetic()));
    primary && parts.all(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails() {
        for good in ["a@b.co", "chicago@acme.com", "first.last+tag@sub.example.org", "root@localhost"] {
            assert!(email("email", good).is_ok(), "{good}");
        }
        for bad in
            ["", "a", "@b.co", "a@", "a@b..co", "a@-b.co", "a b@c.de", "a@b.co\r\nBcc: x@y.z", "<a@b.co>", "a@b@c.de"]
        {
            assert!(email("email", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_and_kinds() {
        assert_eq!(name("name", "  Acme – Chicago "), Ok("Acme – Chicago".to_owned()));
        assert!(name("name", "").is_err() && name("name", " ").is_err() && name("name", "a\nb").is_err());
        assert!(name("name", &"x".repeat(201)).is_err() && name("name", &"ü".repeat(200)).is_ok());
        assert!(
            resource_kind("sound-design").is_ok() && resource_kind("Device").is_err() && resource_kind("1st").is_err()
        );
    }

    #[test]
    fn pages_are_bounded() {
        let page_of = |limit, offset| page(&PageQuery { limit, offset });
        assert_eq!(page_of(None, None), Ok(Page { limit: 10, offset: 0 }));
        for (limit, offset) in [(0, 0), (-1, 0), (101, 0), (1_000_000_000, 0), (10, -1)] {
            assert_eq!(page_of(Some(limit), Some(offset)).map_err(|r| r.code), Err(Code::InvalidParameter));
        }
    }

    #[test]
    fn known_settings_have_sane_values() {
        assert!(setting("timezone", &Value::from("America/Chicago")).is_ok());
        assert!(setting("timezone", &Value::from("Mars/Olympus")).is_err());
        assert!(setting("language", &Value::from("de-AT")).is_ok());
        assert!(setting("language", &Value::from(7)).is_err());
        assert!(setting("recording", &Value::from(true)).is_ok());
    }
}
