//! A move of ten thousand accounts is one commit: whoever looks sees all of it before, or all of it after.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::json;
use tenantry_testkit::both_engines;

use crate::support::Api;

const BRANCHES: usize = 99;
const LEAVES: usize = 100;
/// The top, its children, and theirs.
const SIZE: i64 = 1 + 99 + 99 * 100;
const MOVES: u32 = 6;

/// Plants a top with [`BRANCHES`] children of [`LEAVES`] children each; answers the top and one leaf.
async fn plant(api: &Api, root: &str) -> (String, String) {
    let top = api.child(root, "Top").await;
    let mut branches = Vec::new();
    for n in 0..BRANCHES {
        branches.push(api.child(&top, &format!("branch {n}")).await);
    }
    let plant = async |branches: &[String]| {
        let mut leaf = String::new();
        for branch in branches {
            for n in 0..LEAVES {
                leaf = api.child(branch, &format!("leaf {n}")).await;
            }
        }
        leaf
    };
    let (left, right) = branches.split_at(BRANCHES / 2);
    let (leaf, _) = tokio::join!(plant(left), plant(right));
    (top, leaf)
}

async fn size_below(api: &Api, root: &str) -> i64 {
    let list = api.operator().get(&format!("/v1/accounts/{root}/descendants?limit=1")).await.ok();
    list.body["pagination"]["total"].as_i64().expect("a total")
}

/// Looks at both trees, and through the eyes of a leaf, until told to stop; answers how often.
async fn reader(api: &Api, left: &str, right: &str, leaf_key: &str, stop: &AtomicBool) -> u32 {
    let (mut looks, leaf) = (0, api.key(leaf_key));
    while !stop.load(Ordering::SeqCst) {
        for (root, others) in [(left, 0), (right, 1)] {
            let size = size_below(api, root).await - others;
            assert!(size == 0 || size == SIZE, "a reader saw {size} of {SIZE} accounts");
        }
        let org = leaf.get("/org").await.ok().body;
        let (root, depth) = (org["rootId"].as_str().expect("root"), org["depth"].as_i64());
        assert!((root == left && depth == Some(4)) || (root == right && depth == Some(5)), "{org:#}");
        looks += 1;
    }
    looks
}

both_engines! {
    async fn ten_thousand_accounts_move_as_one(database) {
        Api::run(database, async |api| {
            let left = api.root("Left").await;
            // One level further down, so that the move changes every depth as well.
            let far = api.root("Right").await;
            let right = api.child(&far, "Right 2").await;
            let (top, leaf) = plant(api, &left).await;
            let leaf_key = api.new_key(&leaf, json!({"name": "leaf"})).await.text("secret");
            let stop = AtomicBool::new(false);
            let mover = async {
                let mut took = Vec::new();
                for n in 0..MOVES {
                    let to = if n % 2 == 0 { &right } else { &left };
                    let started = Instant::now();
                    let moved = api.operator().move_below(&top, to).await;
                    moved.ok();
                    took.push(started.elapsed().as_millis());
                }
                stop.store(true, Ordering::SeqCst);
                took
            };
            let (took, looks) = tokio::join!(mover, reader(api, &left, &far, &leaf_key, &stop));
            println!("{SIZE} accounts moved in {took:?} ms, {looks} looks meanwhile");
            assert!(looks > 0);
        }).await;
    }
}
