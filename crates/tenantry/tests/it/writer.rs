//! One of the clients that write while the server is killed: what it knows of its accounts, what it may
//! write next, and how it holds the server to every answer that it got.
//!
//! A writer is the only one that writes to its accounts, and asks only for what the rules allow and
//! what changes something. So each write has one right answer, and a write whose answer was lost leaves
//! two states to choose from, not more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Api, OPERATOR, Write};

/// The deepest level of all trees: the default.
const MAX_DEPTH: usize = 5;

/// The most children that a writer gives an account of its own; below every limit.
const MOST_CHILDREN: usize = 20;

/// The most keys that a writer makes for one account.
const MOST_KEYS: usize = 20;

/// Random choices that follow from a seed (xorshift64*).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        // Zero would stay zero, and neighbouring seeds begin alike: stir first.
        let mut chance = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            chance.below(1);
        }
        chance
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn).unwrap() % end
    }
}

/// Where an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is a root.
    Alone,
    /// Below one of the roots that all writers share.
    Root(usize),
    /// Below another account of its writer.
    Below(usize),
}

/// An account of a writer, as it must be by all that was acknowledged.
#[derive(Debug)]
struct Account {
    id: String,
    name: String,
    place: Place,
    suspended: bool,
    children: BTreeSet<usize>,
    /// The secrets of its keys.
    keys: Vec<String>,
}

/// What a write changes.
#[derive(Debug, Clone)]
enum Effect {
    Create { place: Place, name: String },
    Rename { at: usize, name: String },
    Move { at: usize, to: Place },
    Suspend { at: usize, suspended: bool },
    MakeKey { at: usize },
}

/// A write that was sent, and its answer, if it came.
#[derive(Debug)]
struct Entry {
    effect: Effect,
    write: Write,
    answer: Option<Answer>,
}

/// What became of a write without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It had happened.
    Applied,
    /// It had not, and did when it was repeated.
    Lost,
}

/// A writing client.
#[derive(Debug)]
pub(crate) struct Writer {
    number: usize,
    chance: Chance,
    roots: Arc<[String]>,
    accounts: Vec<Account>,
    /// What was written since the last start of the server.
    journal: Vec<Entry>,
    /// The accounts that this could have changed.
    touched: BTreeSet<usize>,
    written: usize,
}

impl Writer {
    pub(crate) fn new(number: usize, seed: u64, roots: &Arc<[String]>) -> Self {
        Self {
            number,
            chance: Chance::new(seed ^ number as u64),
            roots: Arc::clone(roots),
            accounts: Vec::new(),
            journal: Vec::new(),
            touched: BTreeSet::new(),
            written: 0,
        }
    }

    /// How many accounts it has.
    pub(crate) fn account_count(&self) -> usize {
        self.accounts.len()
    }

    /// Its accounts directly below the shared root.
    pub(crate) fn children_of_root(&self, root: usize) -> impl Iterator<Item = &str> {
        self.accounts
            .iter()
            .filter(move |account| account.place == Place::Root(root))
            .map(|account| account.id.as_str())
    }

    /// How many writes of this round were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.journal.iter().filter(|entry| entry.answer.is_some()).count()
    }
}

/// Writing.
impl Writer {
    /// Writes, one request after the other, until an answer does not come.
    pub(crate) async fn write(&mut self, api: &Api, killed: &AtomicBool) {
        loop {
            let (effect, write) = self.next();
            match api.send(&write).await {
                Ok(answer) => {
                    self.check_success(&write, &answer);
                    assert!(!answer.replayed, "a new request was answered as an old one: {write:?} {answer:?}");
                    self.apply(&effect, &answer);
                    self.journal.push(Entry { effect, write, answer: Some(answer) });
                }
                Err(error) => {
                    assert!(killed.load(Ordering::SeqCst), "no answer while the server lived: {write:?} {error:?}");
                    self.journal.push(Entry { effect, write, answer: None });
                    return;
                }
            }
        }
    }

    fn check_success(&self, write: &Write, answer: &Answer) {
        let right = if write.method == Method::POST && write.body.is_some() { 201 } else { 200 };
        assert_eq!(answer.status, right, "writer {}: {write:?} {answer:?}", self.number);
    }

    /// The next write: anything that is legal and changes something.
    fn next(&mut self) -> (Effect, Write) {
        self.written += 1;
        let effect = self.wish().unwrap_or_else(|| self.create(Place::Root(0)));
        let write = self.request(&effect);
        (effect, write)
    }

    /// Draws a write; `None` if what was drawn is not legal at the moment.
    fn wish(&mut self) -> Option<Effect> {
        let root = Place::Root(self.chance.below(self.roots.len()));
        let drawn = self.chance.below(20);
        if self.accounts.is_empty() || drawn < 5 {
            return Some(self.create(root));
        }
        let at = self.chance.below(self.accounts.len());
        match drawn {
            5..=8 => self.admits(Place::Below(at), 1).then(|| self.create(Place::Below(at))),
            9..=11 => Some(Effect::Rename { at, name: self.fresh_name() }),
            12..=14 => {
                let other = Place::Below(self.chance.below(self.accounts.len()));
                let to = if self.chance.below(3) == 0 { root } else { other };
                self.may_move(at, to).then_some(Effect::Move { at, to })
            }
            15 => (self.accounts[at].place != Place::Alone).then_some(Effect::Move { at, to: Place::Alone }),
            16..=17 => (self.accounts[at].keys.len() < MOST_KEYS).then_some(Effect::MakeKey { at }),
            _ => {
                let suspended = !self.accounts[at].suspended;
                (suspended || self.is_active(self.accounts[at].place)).then_some(Effect::Suspend { at, suspended })
            }
        }
    }

    fn create(&self, place: Place) -> Effect {
        Effect::Create { place, name: self.fresh_name() }
    }

    fn fresh_name(&self) -> String {
        format!("w{}-{}", self.number, self.written)
    }

    /// The request that has this effect, under a key of its own.
    fn request(&mut self, effect: &Effect) -> Write {
        let account = |at: usize| format!("/v1/accounts/{}", self.accounts[at].id);
        let (method, path, body) = match effect {
            Effect::Create { place, name } => {
                let parent = self.id_of(*place).expect("children have a parent");
                let body = json!({"name": name, "email": "child@example.com"});
                (Method::POST, format!("/v1/accounts/{parent}/children"), Some(body))
            }
            Effect::Rename { at, name } => (Method::PATCH, account(*at), Some(json!({"name": name}))),
            Effect::Move { at, to } => {
                let path = format!("{}/parent", account(*at));
                match self.id_of(*to) {
                    Some(parent) => (Method::PATCH, path, Some(json!({"parentId": parent}))),
                    None => (Method::DELETE, path, None),
                }
            }
            Effect::Suspend { at, suspended: true } => (Method::POST, format!("{}/suspend", account(*at)), None),
            Effect::Suspend { at, suspended: false } => (Method::POST, format!("{}/activate", account(*at)), None),
            Effect::MakeKey { at } => {
                let name = self.fresh_name();
                (Method::POST, format!("{}/keys", account(*at)), Some(json!({"name": name})))
            }
        };
        let once = Some(format!("writer-{}-{}", self.number, self.written));
        Write { credential: self.credential(effect), once, method, path, body }
    }

    /// Half of the renames are done by the account itself, where it has a key that works.
    fn credential(&mut self, effect: &Effect) -> String {
        let own = match effect {
            Effect::Rename { at, .. } if self.is_active(Place::Below(*at)) => self.accounts[*at].keys.last().cloned(),
            _ => None,
        };
        own.filter(|_| self.chance.below(2) == 0).unwrap_or_else(|| OPERATOR.to_owned())
    }

    /// Writes down what an acknowledged write changed.
    fn apply(&mut self, effect: &Effect, answer: &Answer) {
        match effect {
            Effect::Create { place, name } => {
                let (id, at) = (answer.field("id"), self.accounts.len());
                let (name, place) = (name.clone(), *place);
                let children = BTreeSet::new();
                self.accounts.push(Account { id, name, place, suspended: false, children, keys: Vec::new() });
                self.note_parent(place, |children| children.insert(at));
                self.touch(at);
            }
            Effect::Rename { at, name } => {
                self.accounts[*at].name.clone_from(name);
                self.touched.insert(*at);
            }
            Effect::Move { at, to } => {
                let from = std::mem::replace(&mut self.accounts[*at].place, *to);
                self.note_parent(from, |children| children.remove(at));
                self.note_parent(*to, |children| children.insert(*at));
                self.touch(*at);
            }
            Effect::Suspend { at, suspended } => {
                self.accounts[*at].suspended = *suspended;
                self.touch(*at);
            }
            Effect::MakeKey { at } => {
                self.accounts[*at].keys.push(answer.field("secret"));
                self.touched.insert(*at);
            }
        }
    }

    fn note_parent(&mut self, place: Place, change: impl FnOnce(&mut BTreeSet<usize>) -> bool) {
        if let Place::Below(parent) = place {
            assert!(change(&mut self.accounts[parent].children), "the writer's own books are wrong");
            self.touched.insert(parent);
        }
    }

    /// Notes that an account changed in a way that those below it can tell.
    fn touch(&mut self, at: usize) {
        self.touched.insert(at);
        for child in self.accounts[at].children.clone() {
            self.touch(child);
        }
    }
}

/// The rules, as far as a writer has to know them.
impl Writer {
    fn id_of(&self, place: Place) -> Option<&str> {
        match place {
            Place::Alone => None,
            Place::Root(root) => Some(&self.roots[root]),
            Place::Below(at) => Some(&self.accounts[at].id),
        }
    }

    /// Whether neither the account nor one above it is suspended.
    fn is_active(&self, place: Place) -> bool {
        match place {
            Place::Alone | Place::Root(_) => true,
            Place::Below(at) => !self.accounts[at].suspended && self.is_active(self.accounts[at].place),
        }
    }

    fn depth(&self, place: Place) -> usize {
        match place {
            Place::Alone => 0,
            Place::Root(_) => 1,
            Place::Below(at) => self.depth(self.accounts[at].place) + 1,
        }
    }

    fn height(&self, at: usize) -> usize {
        1 + self.accounts[at].children.iter().map(|child| self.height(*child)).max().unwrap_or(0)
    }

    /// The top of the tree that an account is in.
    fn root_id(&self, at: usize) -> &str {
        match self.accounts[at].place {
            Place::Alone => &self.accounts[at].id,
            Place::Root(root) => &self.roots[root],
            Place::Below(parent) => self.root_id(parent),
        }
    }

    fn contains(&self, at: usize, place: Place) -> bool {
        matches!(place, Place::Below(other) if other == at || self.contains(at, self.accounts[other].place))
    }

    /// Whether another child, `height` levels high, may be attached there.
    fn admits(&self, place: Place, height: usize) -> bool {
        let room = match place {
            Place::Below(at) => self.accounts[at].children.len() < MOST_CHILDREN,
            Place::Alone | Place::Root(_) => true,
        };
        room && self.is_active(place) && self.depth(place) + height <= MAX_DEPTH
    }

    fn may_move(&self, at: usize, to: Place) -> bool {
        self.accounts[at].place != to && !self.contains(at, to) && self.admits(to, self.height(at))
    }
}

/// Holding the server to its word after a restart.
impl Writer {
    /// Repeats the write that got no answer; says what had become of it.
    pub(crate) async fn resolve(&mut self, api: &Api) -> Option<Fate> {
        let Entry { effect, write, .. } = self.journal.pop_if(|entry| entry.answer.is_none())?;
        let seen = self.look(api, &effect).await;
        let first = api.send(&write).await.expect("the server lives");
        self.check_success(&write, &first);
        if let Some(happened) = seen {
            assert!(first.replayed || !happened, "it happened, and again when it was repeated: {write:?} {first:?}");
        }
        check_repeated(api, &write, &first).await;
        self.apply(&effect, &first);
        let fate = if first.replayed { Fate::Applied } else { Fate::Lost };
        self.journal.push(Entry { effect, write, answer: Some(first) });
        Some(fate)
    }

    /// Repeats the last write of the operator that was answered before the server died.
    pub(crate) async fn repeat(&self, api: &Api) {
        let by_operator = |entry: &&Entry| entry.write.credential == OPERATOR;
        if let Some(Entry { write, answer: Some(answer), .. }) = self.journal.iter().rfind(by_operator) {
            check_repeated(api, write, answer).await;
        }
    }

    /// Whether a write without an answer happened, where one can tell; it must not have happened by half.
    async fn look(&self, api: &Api, effect: &Effect) -> Option<bool> {
        let (at, after) = match effect {
            Effect::Rename { at, name } => (*at, ("name", json!(name))),
            Effect::Move { at, to } => (*at, ("parent_id", json!(self.id_of(*to)))),
            Effect::Suspend { at, suspended } => (*at, ("status", json!(status(*suspended)))),
            Effect::Create { .. } | Effect::MakeKey { .. } => return None,
        };
        let found = self.found(api, at).await;
        let own = |value: &Value| ["name", "parent_id", "status"].map(|name| (name, value[name].clone()));
        let before = own(&self.expected(at));
        let happened = before.clone().map(|(name, value)| if name == after.0 { after.clone() } else { (name, value) });
        let found = own(&found);
        assert!(found == before || found == happened, "neither before nor after {effect:?}: {found:?}, was {before:?}");
        Some(found == happened)
    }

    /// Compares what this round touched with the server, and begins the next round.
    pub(crate) async fn check_touched(&mut self, api: &Api) {
        for at in std::mem::take(&mut self.touched) {
            self.check(api, at).await;
        }
        for entry in std::mem::take(&mut self.journal) {
            if let (Effect::MakeKey { at }, Some(answer)) = (entry.effect, entry.answer) {
                self.check_key(api, at, &answer.field("secret")).await;
            }
        }
    }

    /// Compares all that was ever acknowledged with the server.
    pub(crate) async fn check_everything(&self, api: &Api) {
        for (at, account) in self.accounts.iter().enumerate() {
            self.check(api, at).await;
            for key in &account.keys {
                self.check_key(api, at, key).await;
            }
        }
    }

    async fn check(&self, api: &Api, at: usize) {
        assert_eq!(self.found(api, at).await, self.expected(at), "writer {}", self.number);
        let account = &self.accounts[at];
        if account.children.is_empty() {
            return;
        }
        let listed = api.list(&format!("/v1/accounts/{}/children", account.id)).await;
        let known = account.children.iter().map(|child| self.accounts[*child].id.clone()).collect();
        assert_eq!(listed, known, "the children of {}", account.id);
    }

    /// What the server says about an account, as far as the writer knows it.
    async fn found(&self, api: &Api, at: usize) -> Value {
        let path = format!("/v1/accounts/{}", self.accounts[at].id);
        let mut found = api.get(&path, OPERATOR).await.expect_status(200).json();
        let known = self.expected(at);
        found.as_object_mut().unwrap().retain(|name, _| known.get(name).is_some());
        found
    }

    fn expected(&self, at: usize) -> Value {
        let account = &self.accounts[at];
        json!({
            "id": account.id,
            "name": account.name,
            "parent_id": self.id_of(account.place),
            "rootId": self.root_id(at),
            "depth": self.depth(Place::Below(at)),
            "status": status(account.suspended),
            "effectiveStatus": status(!self.is_active(Place::Below(at))),
            "childCount": account.children.len(),
        })
    }

    /// A key opens its account, unless that is suspended.
    async fn check_key(&self, api: &Api, at: usize, secret: &str) {
        let answer = api.get("/v1/org", secret).await;
        if self.is_active(Place::Below(at)) {
            assert_eq!(answer.expect_status(200).field("orgId"), self.accounts[at].id);
        } else {
            assert_eq!(answer.expect_status(403).field("code"), "account_suspended");
        }
    }
}

fn status(suspended: bool) -> &'static str {
    if suspended { "suspended" } else { "active" }
}

/// Repeats a write that was answered: it must get the same answer, and be told so.
async fn check_repeated(api: &Api, write: &Write, answer: &Answer) {
    let again = api.send(write).await.expect("the server lives");
    assert!(again.replayed, "not recognised: {write:?} {again:?}");
    let told = |answer: &Answer| (answer.status, answer.revision.clone(), answer.text.clone());
    assert_eq!(told(&again), told(answer), "{write:?}");
}
