//! Engines of other people, asked the same: 1,000 keys below accounts on five levels, and one policy that lets all of a tree call
//! one API. No addresses, restrictions or catalogue: less than what a decision here looks at.

use std::collections::HashSet;

use casbin::{CoreApi as _, DefaultModel, Enforcer, MemoryAdapter, MgmtApi as _};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
};

use super::decide::each;
use super::shape::{Spot, leaves};
use crate::Result;

/// As many as it takes to have 1,000 on the last level.
const ACCOUNTS: usize = 2_111;

const MODEL: &str = "\
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && keyMatch2(r.obj, p.obj) && r.act == p.act
";

const POLICY: &str =
    r#"permit(principal in Account::"a0", action == Action::"GET", resource == Endpoint::"/voice/tts/:voice");"#;

/// Both engines, with the same keys.
pub(crate) struct Peers {
    names: Vec<String>,
    casbin: Enforcer,
    cedar: Cedar,
}

impl Peers {
    /// Fills them.
    pub(crate) async fn prepare() -> Result<Self> {
        let leaves = leaves(ACCOUNTS)?;
        let names: Vec<String> = (0..leaves.len()).map(|key| format!("k{key}")).collect();
        let below = (0..ACCOUNTS).filter_map(|number| Some((account(number), account(Spot::of(number).parent?))));
        let keys = names.iter().zip(leaves).map(|(name, leaf)| (name.clone(), account(leaf)));
        let links: Vec<(String, String)> = below.chain(keys).collect();
        Ok(Self { casbin: casbin(&links).await?, cedar: Cedar::new(&links)?, names })
    }

    /// The mean time of a question in nanoseconds; `None` if it was not built.
    pub(crate) fn casbin(&self, hot: &[usize]) -> Option<u64> {
        let ask = |place| {
            let name: &str = self.names.get(place)?;
            self.casbin.enforce((name, "/voice/tts/ann", "GET")).ok()?.then_some(())
        };
        Some(each(hot, ask))
    }

    /// The mean time of a question in nanoseconds; `None` if it was not built.
    pub(crate) fn cedar(&self, hot: &[usize]) -> Option<u64> {
        let ask = |place| self.cedar.allows(self.names.get(place)?).then_some(());
        Some(each(hot, ask))
    }
}

fn account(number: usize) -> String {
    format!("a{number}")
}

async fn casbin(links: &[(String, String)]) -> Result<Enforcer> {
    let mut enforcer = Enforcer::new(DefaultModel::from_str(MODEL).await?, MemoryAdapter::default()).await?;
    enforcer.add_policy(["a0", "/voice/tts/:voice", "GET"].map(str::to_owned).to_vec()).await?;
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
}

impl Cedar {
    fn new(links: &[(String, String)]) -> Result<Self> {
        let (keys, accounts): (EntityTypeName, EntityTypeName) = ("Key".parse()?, "Account".parse()?);
        let uid = |name: &str| {
            let of = if name.starts_with('k') { &keys } else { &accounts };
            EntityUid::from_type_name_and_id(of.clone(), EntityId::new(name))
        };
        let root = Entity::new_no_attrs(uid(&account(0)), HashSet::new());
        let rest = links.iter().map(|(below, above)| Entity::new_no_attrs(uid(below), HashSet::from([uid(above)])));
        let entities = Entities::from_entities(std::iter::once(root).chain(rest), None)?;
        Ok(Self {
            authorizer: Authorizer::new(),
            policies: POLICY.parse()?,
            entities,
            action: r#"Action::"GET""#.parse()?,
            endpoint: r#"Endpoint::"/voice/tts/:voice""#.parse()?,
            keys,
        })
    }

    fn allows(&self, key: &str) -> bool {
        let principal = EntityUid::from_type_name_and_id(self.keys.clone(), EntityId::new(key));
        let (action, endpoint) = (self.action.clone(), self.endpoint.clone());
        let Ok(request) = Request::new(principal, action, endpoint, Context::empty(), None) else { return false };
        self.authorizer.is_authorized(&request, &self.policies, &self.entities).decision() == Decision::Allow
    }
}
