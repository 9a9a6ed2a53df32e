//! Eight writers tear at the same few trees; at every sample, all invariants hold.
//!
//! Runs for 30 seconds, or as long as `TENANTRY_TORTURE_SECONDS` says. With the lock of the tree taken out (make the `UPDATE`
//! of `tree_lock` in store/src/account.rs a `SELECT`) it fails within seconds on PostgreSQL; on SQLite the one writer is the lock.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::json;
use tenantry_server::Config;
use tenantry_store::Limits;
use tenantry_testkit::{Random, both_engines, setting};

use crate::support::{Answer, Api};

const MOST_OPEN: usize = 120;

/// What the writers share: accounts to tear at, and how often each answer was given.
struct Arena {
    ids: Mutex<Vec<String>>,
    answers: Mutex<BTreeMap<String, u64>>,
}

impl Arena {
    fn pick(&self, random: &mut Random) -> String {
        let ids = self.ids.lock().expect("ids");
        ids[random.below(ids.len())].clone()
    }

    fn note(&self, step: &str, answer: &Answer) {
        assert!(answer.status < 500, "{step}: {:#}", answer.body);
        let code = answer.body["code"].as_str().unwrap_or("done");
        *self.answers.lock().expect("answers").entry(format!("{step} {code}")).or_default() += 1;
        if answer.status == 201 {
            self.ids.lock().expect("ids").push(answer.id());
        }
    }

    fn is_full(&self) -> bool {
        self.ids.lock().expect("ids").len() > MOST_OPEN
    }

    fn forget(&self, id: &str) {
        self.ids.lock().expect("ids").retain(|other| other != id);
    }
}

async fn writer(api: &Api, arena: &Arena, seed: u64, until: Instant) {
    let (mut random, operator) = (Random::new(seed), api.operator());
    while Instant::now() < until {
        let (a, b) = (arena.pick(&mut random), arena.pick(&mut random));
        match random.below(10) {
            0..=2 if !arena.is_full() => {
                let body = json!({"name": "n", "email": "n@example.com"});
                arena.note("create", &operator.post(&format!("/v1/accounts/{a}/children"), body).await);
            }
            0..=6 => arena.note("move", &operator.move_below(&a, &b).await),
            7 => arena.note("detach", &operator.delete(&format!("/v1/accounts/{a}/parent")).await),
            _ => {
                let closed = operator.act(&format!("/v1/accounts/{a}/close")).await;
                arena.note("close", &closed);
                if closed.status == 200 && arena.ids.lock().expect("ids").len() > 20 {
                    arena.forget(&a);
                }
            }
        }
    }
}

/// Checks everything, again and again, while the writers write.
async fn checker(api: &Api, until: Instant) -> u32 {
    let mut samples = 0;
    while Instant::now() < until {
        let report = api.running.app.store.fsck().await.expect("fsck");
        assert_eq!((report.findings, report.over_limits), (vec![], vec![]), "sample {samples}");
        samples += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    samples
}

both_engines! {
    async fn invariants_hold_at_every_sample(database) {
        let limits = Limits { max_depth: Some(5), max_children: Some(10), super_organization: false };
        Api::run_with(database, limits, Config::default(), async |api| {
            let arena = Arena { ids: Mutex::default(), answers: Mutex::default() };
            for n in 0..6 {
                let root = api.root(&format!("root {n}")).await;
                arena.ids.lock().expect("ids").push(root);
            }
            let until = Instant::now() + Duration::from_secs(setting("TENANTRY_TORTURE_SECONDS", 30));
            let (samples, ()) = tokio::join!(checker(api, until), writers(api, &arena, until));
            let answers = arena.answers.into_inner().expect("answers");
            println!("{} answers, {samples} clean samples: {answers:?}", answers.values().sum::<u64>());
            for happened in ["create done", "move done", "detach done", "close done", "move cycle", "move depth_exceeded"] {
                assert!(answers.contains_key(happened), "{happened} never happened");
            }
        }).await;
    }
}

async fn writers(api: &Api, arena: &Arena, until: Instant) {
    let w = |seed| writer(api, arena, seed, until);
    tokio::join!(w(1), w(2), w(3), w(4), w(5), w(6), w(7), w(8));
}
