//! Random sequences of tree operations against a slow, obvious model: the answers and the final
//! trees must be the same, on both engines.

use serde_json::json;
use tenantry_server::Config;
use tenantry_store::Limits;
use tenantry_testkit::{Random, both_engines};

use crate::support::{Answer, Api};

const SEQUENCES: u64 = 25;
const STEPS: usize = 400;
const DEPTH: usize = 4;
const CHILDREN: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Active,
    Suspended,
    Closed,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Root,
    Child(usize),
    Move(usize, usize),
    Detach(usize),
    Suspend(usize),
    Activate(usize),
    Close(usize),
}

#[derive(Debug)]
struct Node {
    name: String,
    parent: Option<usize>,
    status: Status,
}

/// The tree as nothing but parents; all else is found by walking.
#[derive(Debug, Default)]
struct Model(Vec<Node>);

type Outcome = Result<(), &'static str>;

impl Model {
    fn line(&self, of: usize) -> Vec<usize> {
        let mut line = vec![of];
        while let Some(parent) = self.0[line[line.len() - 1]].parent {
            line.push(parent);
        }
        line
    }

    fn depth(&self, of: usize) -> usize {
        self.line(of).len()
    }

    fn height(&self, of: usize) -> usize {
        let below = (0..self.0.len()).filter(|node| self.0[*node].parent == Some(of));
        1 + below.map(|node| self.height(node)).max().unwrap_or(0)
    }

    fn open_children(&self, of: usize) -> usize {
        self.0.iter().filter(|node| node.parent == Some(of) && node.status != Status::Closed).count()
    }

    fn effective(&self, of: usize) -> Status {
        if self.0[of].status == Status::Closed {
            return Status::Closed;
        }
        let shut = self.line(of).into_iter().any(|node| self.0[node].status != Status::Active);
        if shut { Status::Suspended } else { Status::Active }
    }

    fn attach(&self, parent: usize, height: usize) -> Outcome {
        match self.effective(parent) {
            Status::Closed => return Err("parent_closed"),
            Status::Suspended => return Err("parent_suspended"),
            Status::Active => (),
        }
        if self.depth(parent) + height > DEPTH {
            return Err("depth_exceeded");
        }
        if self.open_children(parent) >= CHILDREN {
            return Err("children_exceeded");
        }
        Ok(())
    }

    fn open(&self, node: usize) -> Outcome {
        if self.0[node].status == Status::Closed { Err("closed_is_terminal") } else { Ok(()) }
    }

    fn add(&mut self, name: &str, parent: Option<usize>) {
        self.0.push(Node { name: name.to_owned(), parent, status: Status::Active });
    }

    fn apply(&mut self, step: Step, name: &str) -> Outcome {
        match step {
            Step::Root => self.add(name, None),
            Step::Child(parent) => {
                self.attach(parent, 1)?;
                self.add(name, Some(parent));
            }
            Step::Move(node, to) => {
                self.open(node)?;
                if node == to {
                    return Err("self_parent");
                }
                if self.line(to).contains(&node) {
                    return Err("cycle");
                }
                if self.0[node].parent != Some(to) {
                    self.attach(to, self.height(node))?;
                    self.0[node].parent = Some(to);
                }
            }
            Step::Detach(node) => {
                self.open(node)?;
                self.0[node].parent.ok_or("already_root")?;
                self.0[node].parent = None;
            }
            Step::Suspend(node) => {
                self.open(node)?;
                self.0[node].status = Status::Suspended;
            }
            Step::Activate(node) => {
                self.open(node)?;
                if self.0[node].parent.is_some_and(|parent| self.effective(parent) != Status::Active) {
                    return Err("parent_suspended");
                }
                self.0[node].status = Status::Active;
            }
            Step::Close(node) => {
                if self.open_children(node) > 0 {
                    return Err("has_children");
                }
                self.0[node].status = Status::Closed;
            }
        }
        Ok(())
    }

    /// The same text as `Store::tree_digest`.
    fn digest(&self) -> String {
        let mut lines: Vec<_> = (0..self.0.len())
            .map(|node| {
                let (line, status) = (self.line(node), format!("{:?}", self.0[node].status).to_lowercase());
                let parent = self.0[node].parent.map(|parent| self.0[parent].name.as_str()).unwrap_or_default();
                let root = &self.0[line[line.len() - 1]].name;
                format!("{}<{parent}^{root}@{}#{}{status}\n", self.0[node].name, line.len(), self.open_children(node))
            })
            .collect();
        lines.sort_unstable();
        lines.concat()
    }
}

fn step(random: &mut Random, nodes: usize) -> Step {
    if nodes == 0 {
        return Step::Root;
    }
    let mut any = || random.below(nodes);
    let (a, b) = (any(), any());
    match random.below(100) {
        0..=4 => Step::Root,
        5..=34 => Step::Child(a),
        35..=69 => Step::Move(a, b),
        70..=79 => Step::Detach(a),
        80..=85 => Step::Suspend(a),
        86..=93 => Step::Activate(a),
        _ => Step::Close(a),
    }
}

async fn send(api: &Api, step: Step, ids: &[String], name: &str) -> Answer {
    let operator = api.operator();
    let new = json!({"name": name, "email": "x@example.com"});
    let at = |node: usize, what: &str| format!("/v1/accounts/{}/{what}", ids[node]);
    match step {
        Step::Root => operator.post("/v1/accounts", new).await,
        Step::Child(parent) => operator.post(&at(parent, "children"), new).await,
        Step::Move(node, to) => operator.move_below(&ids[node], &ids[to]).await,
        Step::Detach(node) => operator.delete(&at(node, "parent")).await,
        Step::Suspend(node) => operator.act(&at(node, "suspend")).await,
        Step::Activate(node) => operator.act(&at(node, "activate")).await,
        Step::Close(node) => operator.act(&at(node, "close")).await,
    }
}

/// One sequence on nodes of its own; answers the digest of the model.
async fn sequence(api: &Api, seed: u64, seen: &mut std::collections::BTreeMap<String, usize>) -> String {
    let (mut random, mut model, mut ids) = (Random::new(seed), Model::default(), Vec::new());
    for number in 0..STEPS {
        let step = step(&mut random, ids.len());
        let name = format!("s{seed:03} n{number:04}");
        let expected = model.apply(step, &name);
        let answer = send(api, step, &ids, &name).await;
        let got = if answer.status < 300 { Ok(()) } else { Err(answer.body["code"].as_str().unwrap_or_default()) };
        assert_eq!(got, expected, "seed {seed}, step {number}: {step:?}");
        *seen
            .entry(
                expected.map_or_else(str::to_owned, |()| {
                    format!("{step:?}").split('(').next().unwrap_or_default().to_owned()
                }),
            )
            .or_default() += 1;
        if answer.status == 201 {
            ids.push(answer.id());
        }
    }
    model.digest()
}

both_engines! {
    async fn ten_thousand_steps_answer_like_the_model(database) {
        let limits = Limits { max_depth: Some(4), max_children: Some(3), super_organization: false };
        Api::run_with(database, limits, Config::default(), async |api| {
            let (mut digest, mut seen) = (String::new(), std::collections::BTreeMap::new());
            for seed in 1..=SEQUENCES {
                digest.push_str(&sequence(api, seed, &mut seen).await);
            }
            assert_eq!(api.running.app.store.tree_digest().await.expect("digest"), digest);
            println!("{} steps: {seen:?}", SEQUENCES * STEPS as u64);
            for rule in ["cycle", "depth_exceeded", "children_exceeded", "parent_suspended", "parent_closed", "has_children",
                "already_root", "self_parent", "closed_is_terminal"] {
                assert!(seen.contains_key(rule), "{rule} never happened");
            }
        }).await;
    }
}
