//! The catalogue: the APIs that the operator sells, and their endpoints.
//!
//! An endpoint is found by walking the segments of a path once. Where several patterns cover it, the one that is more exact
//! at the first difference counts: a literal before a variable, a variable before `**`.

use crate::Timestamp;
use crate::account::words;
use crate::id::EndpointId;
use crate::method::Method;
use crate::path::{CanonicalPath, Pattern};
use crate::permission::Permission;

words! {
    /// Which answers of the API cost what the endpoint costs.
    Settle {
        /// Those that say 2xx.
        Success = "success",
        /// All of them.
        Always = "always",
    }
}

/// A product: what is served below one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Its name in rules and addresses, chosen by the operator.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Where it begins.
    pub base_path: Pattern,
    /// Where the gateway forwards to, if not to the upstream of the deployment.
    pub upstream: Option<String>,
    /// Counts its changes.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A typed thing that a call names in its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedResource {
    /// What kind of thing.
    pub kind: String,
    /// Which variable of the path names it.
    pub variable: String,
}

/// A method and a pattern of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// The API that it belongs to.
    pub api: String,
    /// How.
    pub method: Method,
    /// Where, below the API's base path.
    pub path: Pattern,
    /// What a call costs, in credits.
    pub cost: i64,
    /// What a caller has to hold; `credits.consume` unless it says otherwise.
    pub permission: Permission,
    /// What the account has to have.
    pub feature: Option<String>,
    /// What the account has to own or be given.
    pub resource: Option<NamedResource>,
    /// Which answers cost.
    pub settle: Settle,
    /// Counts its changes.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// All APIs and endpoints, made for looking up calls.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    apis: Vec<Api>,
    endpoints: Vec<Placed>,
    nodes: Vec<Node>,
}

/// An endpoint and where its API stands.
#[derive(Debug, Clone)]
struct Placed {
    endpoint: Endpoint,
    api: usize,
}

/// What is below some segments.
#[derive(Debug, Clone, Default)]
struct Node {
    /// The next node by the text of a segment, in order.
    literals: Vec<(Box<str>, usize)>,
    /// The next node whatever the segment is.
    any: Option<usize>,
    /// The endpoints that end here, and those that cover everything from here on.
    here: [Option<usize>; METHODS],
    rest: [Option<usize>; METHODS],
}

const METHODS: usize = Method::ALL.len();
const ROOT: usize = 0;

/// An endpoint that a call was found to be for.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The API.
    pub api: &'a Api,
    /// The endpoint.
    pub endpoint: &'a Endpoint,
}

impl Catalogue {
    /// Puts a catalogue together. Endpoints of APIs that are not there are left out.
    #[must_use]
    pub fn new(apis: Vec<Api>, endpoints: Vec<Endpoint>) -> Self {
        let mut own = Self { apis, endpoints: Vec::new(), nodes: vec![Node::default()] };
        for endpoint in endpoints {
            if let Some(api) = own.apis.iter().position(|api| api.id == endpoint.api) {
                own.place(endpoint, api);
            }
        }
        own
    }

    fn place(&mut self, endpoint: Endpoint, api: usize) {
        let Some(base) = self.apis.get(api).map(|api| api.base_path.clone()) else { return };
        let mut node = ROOT;
        let (rest, method, number) = (endpoint.path.has_rest(), endpoint.method as usize, self.endpoints.len());
        for part in base.parts().chain(endpoint.path.parts()) {
            node = self.step(node, part);
        }
        self.endpoints.push(Placed { endpoint, api });
        let Some(node) = self.nodes.get_mut(node) else { return };
        let slots = if rest { &mut node.rest } else { &mut node.here };
        if let Some(slot) = slots.get_mut(method) {
            *slot = Some(number);
        }
    }

    /// The node behind one segment, made if it is not there.
    fn step(&mut self, from: usize, part: Option<&str>) -> usize {
        let next = self.nodes.len();
        let Some(node) = self.nodes.get_mut(from) else { return from };
        let found = match part {
            None => *node.any.get_or_insert(next),
            Some(text) => match node.literals.binary_search_by(|(own, _)| (**own).cmp(text)) {
                Ok(place) => node.literals.get(place).map_or(from, |(_, node)| *node),
                Err(place) => {
                    node.literals.insert(place, (text.into(), next));
                    next
                }
            },
        };
        if found == next {
            self.nodes.push(Node::default());
        }
        found
    }

    /// The endpoint that a call is for.
    #[must_use]
    pub fn find(&self, method: Method, path: &CanonicalPath<'_>) -> Option<Found<'_>> {
        let placed = self.endpoints.get(self.walk(ROOT, method as usize, path.as_str())?)?;
        Some(Found { api: self.apis.get(placed.api)?, endpoint: &placed.endpoint })
    }

    fn walk(&self, node: usize, method: usize, rest: &str) -> Option<usize> {
        let node = self.nodes.get(node)?;
        let ending = || node.rest.get(method).copied().flatten();
        let rest = rest.strip_prefix('/').filter(|rest| !rest.is_empty());
        let Some(rest) = rest else { return node.here.get(method).copied().flatten().or_else(ending) };
        let (segment, more) = rest.find('/').map_or((rest, ""), |end| rest.split_at(end));
        let literal = node.literals.binary_search_by(|(own, _)| (**own).cmp(segment)).ok();
        let literal = literal.and_then(|place| node.literals.get(place)).map(|(_, node)| *node);
        let found = [literal, node.any].into_iter().flatten().find_map(|next| self.walk(next, method, more));
        found.or_else(ending)
    }

    /// All APIs.
    #[must_use]
    pub fn apis(&self) -> &[Api] {
        &self.apis
    }

    /// All endpoints.
    pub fn endpoints(&self) -> impl Iterator<Item = Found<'_>> {
        self.endpoints
            .iter()
            .filter_map(|placed| Some(Found { api: self.apis.get(placed.api)?, endpoint: &placed.endpoint }))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::id::Id as _;
    use crate::path::Reading;
    use proptest::prelude::*;

    pub(crate) fn api(id: &str, base: &str) -> Api {
        Api {
            id: id.to_owned(),
            name: id.to_owned(),
            base_path: Pattern::parse(base).expect("base"),
            upstream: None,
            version: 1,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    pub(crate) fn endpoint(n: u8, api: &str, method: Method, path: &str) -> Endpoint {
        Endpoint {
            id: EndpointId::from_bytes([n; 16]),
            api: api.to_owned(),
            method,
            path: Pattern::parse(path).expect("path"),
            cost: 1,
            permission: Permission::CreditsConsume,
            feature: None,
            resource: None,
            settle: Settle::Success,
            version: 1,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    #[test]
    fn the_more_exact_endpoint_counts() {
        let catalogue = Catalogue::new(
            vec![api("voice", "/voice"), api("all", "/")],
            vec![
                endpoint(1, "voice", Method::Post, "/tts/{voice}"),
                endpoint(2, "voice", Method::Post, "/tts/default"),
                endpoint(3, "voice", Method::Post, "/tts/**"),
                endpoint(4, "voice", Method::Get, "/tts/{voice}/takes/{take}"),
                endpoint(5, "all", Method::Get, "/**"),
                endpoint(6, "nowhere", Method::Get, "/x"),
            ],
        );
        let found = |method, path: &str| {
            let path = CanonicalPath::parse(path).expect("path");
            catalogue.find(method, &path).map(|found| (found.endpoint.id.bytes()[0], found.api.id.as_str()))
        };
        for (method, path, expected) in [
            (Method::Post, "/voice/tts/ann", Some((1, "voice"))),
            (Method::Post, "/voice/tts/default", Some((2, "voice"))),
            (Method::Post, "/voice/tts/default/x", Some((3, "voice"))),
            (Method::Post, "/voice/tts", Some((3, "voice"))),
            (Method::Get, "/voice/tts/ann/takes/3", Some((4, "voice"))),
            (Method::Get, "/voice/tts/ann/takes", Some((5, "all"))),
            (Method::Get, "/", Some((5, "all"))),
            (Method::Post, "/voice", None),
            (Method::Delete, "/voice/tts/ann", None),
        ] {
            assert_eq!(found(method, path), expected, "{method} {path}");
        }
    }

    proptest! {
        #[test]
        fn something_is_found_exactly_if_some_pattern_covers_the_path(
            patterns in prop::collection::vec("(/(a|b|\\*)){0,3}(/\\*\\*)?", 0..6),
            path in "(/(a|b|c)){0,4}",
        ) {
            let path = if path.is_empty() { "/".to_owned() } else { path };
            let path = CanonicalPath::parse(&path).expect("path");
            let patterns: Vec<_> = patterns.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
            let endpoints = patterns.iter().map(|pattern| Endpoint { path: pattern.clone(), ..endpoint(1, "all", Method::Get, "/") });
            let catalogue = Catalogue::new(vec![api("all", "/")], endpoints.collect());
            let found = catalogue.find(Method::Get, &path);
            prop_assert_eq!(found.is_some(), patterns.iter().any(|pattern| pattern.covers(&path, Reading::Exact)));
            if let Some(found) = found {
                prop_assert!(found.endpoint.path.covers(&path, Reading::Exact));
            }
        }
    }
}
