//! Engines of other people, asked the same: may a key below accounts on five levels call an endpoint? Once with one policy that
//! lets all of a tree call one API, which is the least that they can be asked, and once with the rules that a tree has here.

use std::collections::HashSet;

use casbin::{CoreApi as _, DefaultModel, Enforcer, MemoryAdapter, MgmtApi as _};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};

use super::decide::each;
use super::shape::{CLIENT, NETWORKS, Spot, leaves};
use crate::Result;

/// As many as it takes to have 1,000 on the last level.
const ACCOUNTS: usize = 2_111;
/// How often each is asked.
const CALLS: usize = 1_000;

/// What a tree is ruled by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// All of it may call one endpoint.
    One,
    /// The same, and the IP list and the restrictions that a tree has. casbin is not asked about addresses.
    Tree,
}

impl Rules {
    pub(crate) const ALL: [Self; 2] = [Self::One, Self::Tree];
}

/// One account below another, or a key below its account.
type Links = [(String, String)];

/// Both engines, with the same keys and either kind of rules.
pub(crate) struct Peers {
    names: Vec<String>,
    casbin: [Enforcer; 2],
    cedar: [Cedar; 2],
}

impl Peers {
    /// Fills them.
    pub(crate) async fn prepare() -> Result<Self> {
        let leaves = leaves(ACCOUNTS)?;
        let names: Vec<String> = (0..leaves.len()).map(|key| format!("k{key}")).collect();
        let below = (0..ACCOUNTS).filter_map(|number| Some((account(number), account(Spot::of(number).parent?))));
        let keys = names.iter().zip(leaves).map(|(name, leaf)| (name.clone(), account(leaf)));
        let links: Vec<(String, String)> = below.chain(keys).collect();
        let [one, tree] = Rules::ALL;
        Ok(Self {
            casbin: [casbin(&links, one).await?, casbin(&links, tree).await?],
            cedar: [Cedar::new(&links, one)?, Cedar::new(&links, tree)?],
            names,
        })
    }

    /// The mean times of a question in nanoseconds, with either kind of rules; none, if it was not built.
    pub(crate) fn casbin(&self, hot: &[usize]) -> [Option<u64>; 2] {
        self.casbin.each_ref().map(|engine| {
            let ask = |place: usize| {
                let name = self.names.get(place)?.as_str();
                engine.enforce((name, "/voice/tts/ann", "GET")).ok()?.then_some(())
            };
            Some(each(hot.get(..CALLS).unwrap_or(hot), ask))
        })
    }

    /// The same.
    pub(crate) fn cedar(&self, hot: &[usize]) -> [Option<u64>; 2] {
        self.cedar.each_ref().map(|engine| {
            let ask = |place: usize| engine.allows(self.names.get(place)?).then_some(());
            Some(each(hot.get(..CALLS).unwrap_or(hot), ask))
        })
    }
}

fn account(number: usize) -> String {
    format!("a{number}")
}

/// The accounts that hold a restriction.
fn restricted(rules: Rules) -> impl Iterator<Item = String> {
    let many = if rules == Rules::Tree { ACCOUNTS } else { 0 };
    (0..many).filter(|number| Spot::of(*number).is_restricted()).map(account)
}

const MODEL: &str = "\
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub) && keyMatch2(r.obj, p.obj) && (r.act == p.act || p.act == \"*\")
";

async fn casbin(links: &Links, rules: Rules) -> Result<Enforcer> {
    let mut enforcer = Enforcer::new(DefaultModel::from_str(MODEL).await?, MemoryAdapter::default()).await?;
    let policy = |words: [&str; 4]| words.map(str::to_owned).to_vec();
    enforcer.add_policy(policy(["a0", "/voice/tts/:voice", "GET", "allow"])).await?;
    for account in restricted(rules) {
        enforcer.add_policy(policy([&account, "/voice/clone/*", "*", "deny"])).await?;
    }
    let links = links.iter().map(|(below, above)| vec![below.clone(), above.clone()]);
    enforcer.add_grouping_policies(links.collect()).await?;
    Ok(enforcer)
}

/// Cedar, with what a question needs besides the key.
struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    keys: EntityTypeName,
    action: EntityUid,
    endpoint: EntityUid,
    /// Whether there is a rule about addresses: only then the question has one.
    asks_where: bool,
}

impl Cedar {
    fn new(links: &Links, rules: Rules) -> Result<Self> {
        let (keys, accounts): (EntityTypeName, EntityTypeName) = ("Key".parse()?, "Account".parse()?);
        let uid = |name: &str| {
            let of = if name.starts_with('k') { &keys } else { &accounts };
            EntityUid::from_type_name_and_id(of.clone(), EntityId::new(name))
        };
        let (endpoint, api): (EntityUid, EntityUid) =
            (r#"Endpoint::"/tts/{voice}""#.parse()?, r#"Api::"voice""#.parse()?);
        let tops = [uid(&account(0)), api.clone()].map(|top| Entity::new_no_attrs(top, HashSet::new()));
        let below = Entity::new_no_attrs(endpoint.clone(), HashSet::from([api]));
        let rest = links.iter().map(|(below, above)| Entity::new_no_attrs(uid(below), HashSet::from([uid(above)])));
        Ok(Self {
            authorizer: Authorizer::new(),
            policies: policies(rules).parse()?,
            entities: Entities::from_entities(tops.into_iter().chain([below]).chain(rest), None)?,
            action: r#"Action::"GET""#.parse()?,
            endpoint,
            keys,
            asks_where: rules == Rules::Tree,
        })
    }

    fn allows(&self, key: &str) -> bool {
        let principal = EntityUid::from_type_name_and_id(self.keys.clone(), EntityId::new(key));
        let address = || ("ip".to_owned(), RestrictedExpression::new_ip(CLIENT));
        let Ok(context) = Context::from_pairs(self.asks_where.then(address)) else { return false };
        let (action, endpoint) = (self.action.clone(), self.endpoint.clone());
        let Ok(request) = Request::new(principal, action, endpoint, context, None) else { return false };
        self.authorizer.is_authorized(&request, &self.policies, &self.entities).decision() == Decision::Allow
    }
}

fn policies(rules: Rules) -> String {
    let mut text =
        r#"permit(principal in Account::"a0", action == Action::"GET", resource in Api::"voice");"#.to_owned();
    if rules == Rules::Tree {
        let within = NETWORKS.map(|network| format!(r#"context.ip.isInRange(ip("{network}"))"#)).join(" || ");
        text.push_str(r#"forbid(principal in Account::"a0", action, resource in Api::"voice") unless { "#);
        text.push_str(&format!("{within} }};"));
    }
    for account in restricted(rules) {
        text.push_str(&format!(
            r#"forbid(principal in Account::"{account}", action, resource == Endpoint::"/clone");"#
        ));
    }
    text
}
