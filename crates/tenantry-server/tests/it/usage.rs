//! Usage: recorded, added up once whatever happens, and read by who may.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tenantry_core::Timestamp;
use tenantry_core::id::{AccountId, EndpointId, Id as _, KeyId, UserId};
use tenantry_core::time::Span;
use tenantry_core::usage::{Granularity, Grouping, Outcome, Sums, Usage};
use tenantry_gateway::journal::Journal;
use tenantry_testkit::{Random, both_engines};

use crate::support::{Answer, Api, NOBODY};

/// A call for an account, a second ago.
fn call(api: &Api, account: &str, credits: i64) -> Usage<'static> {
    let subject = account.parse().expect("an account");
    let line = api.running.app.plane.snapshot().line_of(subject).expect("an account that is there");
    Usage {
        at: api.clock.now().minus(Span::seconds(1)),
        line,
        actor: subject,
        user: None,
        key: KeyId::from_bytes([1; 16]),
        api: "voice",
        endpoint: EndpointId::from_bytes([1; 16]),
        credits,
        outcome: Outcome::Success,
    }
}

async fn used(api: &Api, calls: impl IntoIterator<Item = Usage<'static>>) {
    for usage in calls {
        api.running.app.metering.journal.append(&usage).expect("taken");
    }
    api.running.ship().await.expect("shipped");
}

fn at(account: &str, query: &str) -> String {
    format!("/v1/accounts/{account}/usage?{query}")
}

/// The credits that the operator sees.
async fn credits(api: &Api, account: &str, query: &str) -> i64 {
    api.operator().get(&at(account, query)).await.ok().body["totals"]["credits"].as_i64().expect("a number")
}

/// Rows by their beginnings and what they are about.
fn rows(answer: &Answer) -> BTreeMap<(String, Option<String>), Sums> {
    let text = |row: &Value, field: &str| row[field].as_str().map(str::to_owned);
    let number = |row: &Value, field: &str| row[field].as_i64().expect("a number");
    let row = |row: &Value| {
        let sums =
            Sums { calls: number(row, "calls"), failures: number(row, "failures"), credits: number(row, "credits") };
        ((text(row, "from").expect("a time"), text(row, "group")), sums)
    };
    let data = answer.body["data"].as_array().expect("rows");
    let rows: BTreeMap<_, _> = data.iter().map(row).collect();
    assert_eq!(rows.len(), data.len(), "no row is there twice");
    rows
}

/// The same from the calls themselves.
fn counted<'a>(
    calls: impl Iterator<Item = &'a Usage<'static>>,
    granularity: Granularity,
    grouping: Option<Grouping>,
) -> BTreeMap<(String, Option<String>), Sums> {
    let mut rows: BTreeMap<_, Sums> = BTreeMap::new();
    for usage in calls {
        let group = grouping.and_then(|grouping| match grouping {
            Grouping::Account => Some(usage.line.subject().to_string()),
            Grouping::User => usage.user.map(|id| id.to_string()),
            Grouping::Key => Some(usage.key.to_string()),
            Grouping::Api => Some(usage.api.to_owned()),
            Grouping::Endpoint => Some(usage.endpoint.to_string()),
        });
        let sums = Sums { calls: 1, failures: i64::from(usage.outcome.is_failure()), credits: usage.credits };
        rows.entry((text(granularity.start(usage.at)), group)).or_default().add(sums);
    }
    rows
}

fn text(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).expect("a time").to_string()
}

/// Calls of two months for some accounts, with few different things in them.
fn some_calls(api: &Api, accounts: &[&String], users: &[UserId], random: &mut Random) -> Vec<Usage<'static>> {
    let names = ["voice", "image", "text"];
    let mut calls = Vec::new();
    for _ in 0..600 {
        let endpoint = random.below(names.len());
        let user = users.get(random.below(users.len() + 1)).copied();
        // A key is of one user, or of none.
        let key = user
            .map_or([9; 16], |user| [user.bytes()[15], random.below(2) as u8].repeat(8).try_into().expect("sixteen"));
        calls.push(Usage {
            at: api.clock.now().minus(Span::seconds(random.below(45 * 86_400).cast_signed() as i64)),
            user,
            key: KeyId::from_bytes(key),
            api: names[endpoint],
            endpoint: EndpointId::from_bytes([u8::try_from(endpoint).expect("few"); 16]),
            outcome: Outcome::of_status([200, 200, 404, 503][random.below(4)]),
            ..call(api, accounts[random.below(accounts.len())], random.below(10).cast_signed() as i64)
        });
    }
    calls
}

both_engines! {
    async fn every_question_is_answered_as_if_the_calls_were_counted_one_by_one(database) {
        Api::run(database, async |api| {
            let [root, child, grandchild] = api.line("Acme").await;
            let other = api.root("Other").await;
            let accounts = [&root, &child, &grandchild, &other];
            let users = [3, 4].map(|n| UserId::from_bytes([n; 16]));
            let calls = some_calls(api, &accounts, &users, &mut Random::new(1));
            used(api, calls.iter().copied()).await;
            let (operator, mut asked) = (api.operator(), 0);
            for account in accounts {
                let id: AccountId = account.parse().expect("an id");
                for granularity in Granularity::ALL {
                    for grouping in Grouping::ALL.iter().copied().map(Some).chain([None]) {
                        for below in [false, true] {
                            if *granularity == Granularity::Hour && matches!(grouping, Some(Grouping::User | Grouping::Key)) {
                                continue;
                            }
                            let group = grouping.map(|grouping| format!("&groupBy={grouping}")).unwrap_or_default();
                            let from = if *granularity == Granularity::Hour { "2026-01-10T07:15:00Z" } else { "2025-12-20T00:00:00Z" };
                            let query = format!("from={from}&granularity={granularity}&includeDescendants={below}{group}");
                            let answer = operator.get(&at(account, &query)).await.ok();
                            let from: Timestamp = from.parse().map(|at: jiff::Timestamp| Timestamp(at.as_microsecond())).expect("a time");
                            let here = calls.iter().filter(|usage| {
                                let of = if below { usage.line.accounts().contains(&id) } else { usage.line.subject() == id };
                                of && usage.at >= granularity.start(from)
                            });
                            let expected = counted(here, *granularity, grouping);
                            assert_eq!(rows(&answer), expected, "{query}");
                            let total = expected.values().map(|sums| sums.credits).sum::<i64>();
                            assert_eq!(answer.body["totals"]["credits"], total);
                            assert_eq!(answer.body["period"]["from"], text(granularity.start(from)));
                            asked += expected.len();
                        }
                    }
                }
            }
            assert!(asked > 2_000, "{asked} rows");
            let answer = operator.get(&at(&root, "groupBy=endpoint")).await.ok();
            assert_eq!((&answer.body["groupBy"], &answer.body["granularity"]), (&json!("endpoint"), &json!("day")));
            assert_eq!(answer.body["period"], json!({"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}));
            assert_eq!(answer.body["asOf"], "2026-01-31T12:00:00Z");
            assert!(answer.body["data"].as_array().expect("rows").iter().all(|row| row["api"].is_string()));
            operator.get(&at(&root, "")).await.ok();
        }).await;
    }

    async fn what_was_used_below_an_account_stays_its_history(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let [old, new] = [api.child(&root, "Old").await, api.child(&root, "New").await];
            let moving = api.child(&old, "Moving").await;
            let below = api.child(&moving, "Below").await;
            used(api, [call(api, &below, 10), call(api, &moving, 1)]).await;
            api.operator().move_below(&moving, &new).await.ok();
            used(api, [call(api, &below, 200), call(api, &moving, 20)]).await;
            let with_below = "includeDescendants=true";
            assert_eq!(credits(api, &old, with_below).await, 11, "what was used before");
            assert_eq!(credits(api, &new, with_below).await, 220, "what was used since then");
            assert_eq!(credits(api, &root, with_below).await, 231, "and all of it was below the root");
            assert_eq!((credits(api, &moving, "").await, credits(api, &moving, with_below).await), (21, 231));
            // The contract: each child with everything below it, this month.
            for (parent, expected) in [(&old, vec![]), (&new, vec![220]), (&root, vec![11, 220]), (&moving, vec![210])] {
                let children = api.operator().assuming(parent).get("/org/child_orgs").await.ok().body;
                let used: Vec<_> = children.as_array().expect("children").iter().map(|child| child["creditsUsed"].as_i64().expect("a number")).collect();
                assert_eq!(used, expected);
            }
            // A month later nothing has been used in it; the history is still there, also when the account is gone.
            api.clock.advance(Span::days(2));
            let children = api.operator().assuming(&new).get("/org/child_orgs").await.ok().body;
            assert_eq!(children[0]["creditsUsed"], 0);
            for account in [&below, &moving] {
                api.operator().act(&format!("/v1/accounts/{account}/close")).await.ok();
            }
            api.clock.advance(Span::days(31));
            api.running.purge().await.expect("purge");
            api.operator().get(&at(&moving, "")).await.refused(404, "not_found");
            let since = "from=2026-01-01T00:00:00Z&granularity=month&groupBy=account&includeDescendants=true";
            let history = api.operator().get(&at(&new, since)).await.ok();
            let accounts: Vec<_> = rows(&history).into_keys().filter_map(|(_, account)| account).collect();
            assert_eq!(accounts, [moving, below]);
        }).await;
    }

    async fn members_see_what_their_own_keys_did(database) {
        Api::run(database, async |api| {
            let [org, child] = api.line("Acme").await;
            let (ann, ben) = (api.member(&org, "ann", "member").await, api.member(&org, "ben", "maintainer").await);
            let id = |person: &str| person.parse::<UserId>().expect("an id");
            let key_of = |n: u8| KeyId::from_bytes([n; 16]);
            used(api, [
                Usage { user: Some(id(&ann.id)), key: key_of(2), ..call(api, &org, 1) },
                Usage { user: Some(id(&ben.id)), key: key_of(3), ..call(api, &org, 20) },
                Usage { user: None, key: key_of(4), ..call(api, &org, 300) },
                // With a key of hers, on behalf of the child.
                Usage { user: Some(id(&ann.id)), key: key_of(2), api: "image", endpoint: EndpointId::from_bytes([2; 16]), ..call(api, &child, 4_000) },
            ]).await;
            for (query, groups) in [
                ("", vec![None]),
                ("groupBy=account", vec![Some(org.clone())]),
                ("groupBy=user", vec![Some(ann.id.clone())]),
                ("groupBy=key", vec![Some(key_of(2).to_string())]),
                ("groupBy=api", vec![Some("voice".to_owned())]),
                ("groupBy=endpoint", vec![Some(EndpointId::from_bytes([1; 16]).to_string())]),
                ("groupBy=api&includeDescendants=true&granularity=month", vec![Some("image".to_owned()), Some("voice".to_owned())]),
            ] {
                let own = ann.get(&at(&org, query)).await.ok();
                let expected = if query.contains("includeDescendants") { 4_001 } else { 1 };
                assert_eq!(own.body["totals"]["credits"], expected, "{query}");
                assert_eq!(rows(&own).into_keys().map(|(_, group)| group).collect::<Vec<_>>(), groups, "{query}");
            }
            assert_eq!(ben.get(&at(&org, "")).await.ok().body["totals"]["credits"], 321);
            let by_user = ben.get(&at(&org, "groupBy=user")).await.ok();
            assert_eq!(rows(&by_user).len(), 3, "also what no user's key did");
            // By the hour only the whole is known.
            let refused = ann.get(&at(&org, "granularity=hour")).await.refused(400, "invalid_parameter");
            assert_eq!(refused.body["errors"][0]["field"], "granularity");
            ben.get(&at(&org, "granularity=hour")).await.ok();
            // A key of hers sees what she sees; who is nobody here sees nothing.
            let key = ann.post(&format!("/v1/accounts/{org}/keys"), json!({"name": "k"})).await.created().text("secret");
            assert_eq!(api.key(&key).get(&at(&org, "")).await.ok().body["totals"]["credits"], 1);
            ann.get(&at(&child, "")).await.refused(404, "not_found");
            let stranger = api.user("eve").await;
            for account in [org.as_str(), NOBODY, "acc_1"] {
                stranger.get(&at(account, "")).await.refused(404, "not_found");
            }
            // One below does not see what is above, nor beside.
            let below = api.key_of(&child).await;
            below.get(&at(&org, "")).await.refused(404, "not_found");
            assert_eq!(below.get(&at(&child, "")).await.ok().body["totals"]["credits"], 4_000);
        }).await;
    }

    async fn questions_that_make_no_sense_are_refused(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let operator = api.operator();
            for (query, field) in [
                ("granularity=week", "granularity"),
                ("groupBy=colour", "groupBy"),
                ("format=xlsx", "format"),
                ("from=yesterday", "from"),
                ("to=2026-01-31", "to"),
                ("granularity=hour&groupBy=user", "granularity"),
                ("granularity=hour&groupBy=key", "granularity"),
                ("granularity=hour&from=2025-12-01T00:00:00Z", "from"),
                ("from=2024-12-31T00:00:00Z", "from"),
                ("granularity=month&from=2020-01-01T00:00:00Z", "from"),
                ("from=2026-02-07T00:00:00Z", "from"),
                ("from=2026-01-07T00:00:00Z&to=2026-01-07T00:00:00Z", "to"),
            ] {
                let refused = operator.get(&at(&root, query)).await.refused(400, "invalid_parameter");
                assert_eq!(refused.body["errors"][0]["field"], field, "{query}");
            }
            for query in ["includeDescendants=maybe", "group_by=api"] {
                operator.get(&at(&root, query)).await.refused(400, "invalid_parameter");
            }
            // More rows than anybody reads at once.
            let start = Granularity::Month.start(api.clock.now());
            let calls = (0..700).flat_map(|hour| (0..15).map(move |endpoint| (hour, endpoint)));
            let calls: Vec<_> = calls
                .map(|(hour, endpoint)| Usage { at: start.plus(Span::hours(hour)), endpoint: EndpointId::from_bytes([endpoint; 16]), ..call(api, &root, 1) })
                .collect();
            used(api, calls).await;
            let refused = operator.get(&at(&root, "granularity=hour&groupBy=endpoint")).await.refused(422, "result_too_large");
            assert!(refused.text("detail").contains("10000 rows"), "{}", refused.body);
            assert_eq!(credits(api, &root, "granularity=hour").await, 10_500);
        }).await;
    }

    async fn s74_a_table_for_spreadsheets(database) {
        Api::run(database, async |api| {
            let root = api.root("Acme").await;
            let odd = Usage { api: "=cmd()", endpoint: EndpointId::from_bytes([2; 16]), outcome: Outcome::Unanswered, ..call(api, &root, 0) };
            used(api, [call(api, &root, 7), call(api, &root, -9), odd]).await;
            let get = async |query: &str| {
                let answer = api.operator().request(reqwest::Method::GET, &at(&root, query)).send().await.expect("an answer");
                assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
                assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
                let file = format!("attachment; filename=\"usage-{root}-2026-01-01-2026-02-01.csv\"");
                assert_eq!(answer.headers()["content-disposition"].to_str().expect("text"), file);
                answer.text().await.expect("text")
            };
            assert_eq!(get("format=csv").await, "from,calls,failures,credits\r\n2026-01-31T00:00:00Z,3,1,-2\r\n");
            let [first, second] = [1, 2].map(|n| EndpointId::from_bytes([n; 16]));
            let by_endpoint = format!(
                "from,endpoint,api,calls,failures,credits\r\n\
                 2026-01-31T00:00:00Z,{first},voice,2,0,-2\r\n2026-01-31T00:00:00Z,{second},\"'=cmd()\",1,1,0\r\n"
            );
            assert_eq!(get("format=csv&groupBy=endpoint").await, by_endpoint);
            assert_eq!(get("format=csv&groupBy=user").await, "from,user,calls,failures,credits\r\n2026-01-31T00:00:00Z,,3,1,-2\r\n");
            api.operator().get(&at(NOBODY, "format=csv")).await.refused(404, "not_found");
        }).await;
    }

    async fn a_restart_loses_nothing_and_doubles_nothing(database) {
        let api = Api::begin(database).await;
        let root = api.root("Acme").await;
        let usage = call(&api, &root, 1);
        for _ in 0..100 {
            api.running.app.metering.journal.append(&usage).expect("taken");
        }
        assert!(api.running.app.metering.journal.sync().await);
        // What is on the disk now, before it is in the database or while it is put there.
        let directory = api.database.directory.clone();
        copy(&directory.join("usage"), &directory.join("image"));
        // A server that is stopped ships what it has.
        let api = api.restarted(|_| ()).await;
        assert_eq!(credits(&api, &root, "").await, 100);
        // An old copy of the directory brings nothing new; the next one brings what no server has shipped.
        let api = api.restarted(|directory| {
            std::fs::remove_dir_all(directory.join("usage")).expect("removed");
            copy(&directory.join("image"), &directory.join("usage"));
        }).await;
        api.running.ship().await.expect("shipped");
        assert_eq!(credits(&api, &root, "").await, 100);
        let api = api.restarted(|directory| {
            let (journal, _) = Journal::open(&directory.join("usage"), [0; 16], usage.at).expect("the directory is free");
            for _ in 0..30 {
                journal.append(&usage).expect("taken");
            }
        }).await;
        api.running.ship().await.expect("shipped");
        assert_eq!(credits(&api, &root, "").await, 130);
        // Without a database at the end, it is there at the next start.
        api.running.app.store.close().await;
        api.running.app.metering.journal.append(&usage).expect("taken");
        api.running.ship().await.expect_err("there is no database");
        let api = api.restarted(|_| ()).await;
        api.running.ship().await.expect("shipped");
        assert_eq!(credits(&api, &root, "").await, 131);
        let metrics = reqwest::get(format!("http://{}/metrics", api.running.ops)).await.expect("figures").text().await.expect("text");
        for figure in ["usage_records_total 0", "usage_records_applied_total 1", "usage_batches_damaged_total 0", "usage_bytes_waiting 0"] {
            assert!(metrics.contains(&format!("tenantry_{figure}\n")), "{figure} in\n{metrics}");
        }
        api.end().await;
    }

    async fn two_servers_do_not_share_a_directory(database) {
        Api::run(database, async |api| {
            let directory = api.database.directory.join("usage");
            let refused = Journal::open(&directory, [0; 16], api.clock.now()).err().expect("it is in use");
            assert!(refused.to_string().contains("in use by another process"), "{refused}");
        }).await;
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a directory").map(|entry| entry.expect("an entry")) {
        let _ = std::fs::copy(entry.path(), to.join(entry.file_name()));
    }
}
