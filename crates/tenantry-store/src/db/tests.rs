//! The proof that one SQL text does on both engines: what the rest of the store relies on.

use tenantry_core::id::{AccountId, Id};
use tenantry_testkit::{Database, both_engines};

use super::*;

const TABLE: &str = "CREATE TABLE thing (\
    id UUID NOT NULL CONSTRAINT thing_pk PRIMARY KEY, parent_id UUID CONSTRAINT thing_parent REFERENCES thing (id), \
    n BIGINT, flag BOOLEAN NOT NULL, hash BYTEA, name TEXT, CONSTRAINT thing_n CHECK (n < 1000))";

/// The schema of the store, and a table to play with.
async fn open(database: &Database) -> Db {
    let db = Db::create(&Location::from(database.url.as_str())).await.expect("open");
    crate::schema::migrate(&db).await.expect("migrate");
    let mut conn = db.begin_write().await.expect("begin");
    conn.execute(TABLE, vec![]).await.expect("create");
    conn.commit().await.expect("commit");
    db
}

fn id(n: u8) -> AccountId {
    AccountId::from_bytes([n; 16])
}

async fn insert(conn: &mut Conn, n: u8, parent: Option<AccountId>) -> Result<u64> {
    conn.execute(
        "INSERT INTO thing (id, parent_id, n, flag, hash, name) VALUES ($1, $2, $3, $4, $5, $6)",
        args![id(n), parent, Some(i64::from(n)), n % 2 == 1, [n; 32], None::<&str>],
    )
    .await
}

both_engines! {
    async fn typed_nulls_ids_and_bytes_come_back_as_they_went_in(database) {
        let db = open(&database).await;
        let mut conn = db.begin_write().await.expect("begin");
        conn.execute(
            "INSERT INTO thing (name, hash, flag, n, parent_id, id) VALUES ($6, $5, $4, $3, $2, $1)",
            args![id(7), None::<AccountId>, None::<i64>, true, [0xff; 32], Some("née")],
        )
        .await
        .expect("insert");
        let row = conn.one("SELECT * FROM thing WHERE id = $1", args![id(7)]).await.expect("one");
        assert_eq!(row.id::<AccountId>("id").expect("id"), id(7));
        assert_eq!(row.optional_id::<AccountId>("parent_id").expect("parent"), None);
        assert_eq!(row.optional_int("n").expect("n"), None);
        assert!(row.bool("flag").expect("flag"));
        assert_eq!(row.bytes("hash").expect("hash"), [0xff; 32]);
        assert_eq!(row.text("name").expect("name"), "née");
        // A NULL parameter in a filter is typed, too.
        let none = conn.all("SELECT id FROM thing WHERE ($1 IS NULL OR name = $1)", args![None::<&str>]).await;
        assert_eq!(none.expect("all").len(), 1);
    }

    async fn a_recursive_query_walks_up(database) {
        let db = open(&database).await;
        let mut conn = db.begin_write().await.expect("begin");
        for n in 1..=5 {
            insert(&mut conn, n, (n > 1).then(|| id(n - 1))).await.expect("insert");
        }
        let rows = conn
            .all(
                "WITH RECURSIVE up (id, parent_id) AS (SELECT id, parent_id FROM thing WHERE id = $1 \
                 UNION ALL SELECT t.id, t.parent_id FROM thing t JOIN up ON t.id = up.parent_id) SELECT id FROM up",
                args![id(4)],
            )
            .await
            .expect("walk");
        let walked: Vec<AccountId> = rows.iter().map(|row| row.id("id").expect("id")).collect();
        assert_eq!(walked, [id(4), id(3), id(2), id(1)]);
    }

    async fn an_upsert_answers_what_is_there_now(database) {
        let db = open(&database).await;
        let mut conn = db.begin_write().await.expect("begin");
        for expected in [5, 10, 15] {
            let row = conn
                .one(
                    "INSERT INTO thing (id, n, flag) VALUES ($1, $2, $3) \
                     ON CONFLICT (id) DO UPDATE SET n = thing.n + excluded.n RETURNING n",
                    args![id(1), 5_i64, false],
                )
                .await
                .expect("upsert");
            assert_eq!(row.int("n").expect("n"), expected);
        }
        let sum = conn.one("SELECT CAST(SUM(n) AS BIGINT) AS total FROM thing", vec![]).await.expect("sum");
        assert_eq!(sum.int("total").expect("total"), 15);
    }

    async fn a_violated_constraint_is_told_by_its_code(database) {
        let db = open(&database).await;
        let attempt = async |sql: &'static str, args: Vec<Arg>| {
            let mut conn = db.begin_write().await.expect("begin");
            conn.execute("INSERT INTO tree (root_id, super_organization, writes) VALUES ($1, $2, 0)", args![id(1), false]).await.expect("tree");
            conn.execute(sql, args.clone()).await.map(drop).and(conn.execute(sql, args).await)
        };
        let kept = "INSERT INTO idempotency (id, request, status, revision, answer, created_at) VALUES ($1, $1, 200, '', $1, 0)";
        let unique = attempt(kept, args![[1; 32]]).await;
        assert!(matches!(unique, Err(Error::Refused(refusal)) if refusal.code == Code::IdempotencyInFlight));
        let unmapped = attempt("INSERT INTO thing (id, n, flag) VALUES ($1, 1000, $2)", args![id(1), false]).await;
        assert!(matches!(unmapped, Err(Error::Database(_))), "{unmapped:?}");
    }

    /// The backstop: even without any lock or check, a cycle or a level too deep cannot be stored.
    async fn a_cycle_cannot_be_stored(database) {
        let db = open(&database).await;
        let mut conn = db.begin_write().await.expect("begin");
        let account = |n: u8, parent: Option<u8>, parent_depth: Option<i64>| {
            args![id(n), parent.map(id), id(1), parent_depth, format!("a{n}"), if parent.is_some() { "delegated" } else { "owned" }]
        };
        let sql = "INSERT INTO account (id, parent_id, root_id, parent_depth, child_count, kind, name, email, status, settings, \
            locked_settings, inherit_settings, inherit_admins, inherit_billing_contacts, inherit_audit_policies, billing_mode, \
            metadata, version, created_at, updated_at) \
            VALUES ($1, $2, $3, $4, 0, 'organization', $5, 'a@example.com', 'active', '{}', '[]', TRUE, TRUE, TRUE, TRUE, $6, '{}', 1, 0, 0)";
        conn.execute(sql, account(1, None, None)).await.expect("root");
        for n in 2..=16 {
            conn.execute(sql, account(n, Some(n - 1), Some(i64::from(n) - 1))).await.expect("child");
        }
        conn.commit().await.expect("commit");

        let refused = async |sql: &'static str, args: Vec<Arg>| {
            let mut conn = db.begin_write().await.expect("begin");
            let result = conn.execute(sql, args).await;
            let Err(Error::Refused(refusal)) = result else { panic!("stored: {result:?}") };
            refusal.code
        };
        assert_eq!(refused(sql, account(17, Some(16), Some(16))).await, Code::DepthExceeded);
        let place = "UPDATE account SET parent_id = $2, parent_depth = $3 WHERE id = $1";
        assert_eq!(refused(place, args![id(3), id(5), 5_i64]).await, Code::DepthExceeded, "a cycle of three");
        assert_eq!(refused(place, args![id(3), id(3), 3_i64]).await, Code::SelfParent);

        // A legal move carries the depth down the subtree.
        let mut conn = db.begin_write().await.expect("begin");
        conn.execute(place, args![id(10), id(2), 2_i64]).await.expect("move");
        let row = conn.one("SELECT depth FROM account WHERE id = $1", args![id(16)]).await.expect("one");
        assert_eq!(row.count("depth").expect("depth"), 9);
    }

    async fn eight_writers_wait_for_each_other_and_never_fail(database) {
        let db = open(&database).await;
        let mut conn = db.begin_write().await.expect("begin");
        conn.execute("INSERT INTO thing (id, n, flag) VALUES ($1, 0, $2)", args![id(1), false]).await.expect("insert");
        conn.commit().await.expect("commit");
        let writer = async || {
            for _ in 0..25 {
                let mut conn = db.begin_write().await?;
                // Reading first is what makes deferred transactions fail on SQLite. On PostgreSQL the no-op
                // update takes the row lock, as the tree lock does.
                conn.execute("UPDATE thing SET flag = flag WHERE id = $1", args![id(1)]).await?;
                let n = conn.one("SELECT n FROM thing WHERE id = $1", args![id(1)]).await?.int("n")?;
                conn.execute("UPDATE thing SET n = $2 WHERE id = $1", args![id(1), n + 1]).await?;
                conn.commit().await?;
            }
            Ok::<_, Error>(())
        };
        let (a, b, c, d, e, f, g, h) =
            tokio::join!(writer(), writer(), writer(), writer(), writer(), writer(), writer(), writer());
        for result in [a, b, c, d, e, f, g, h] {
            result.expect("no SQLITE_BUSY, no serialization failure");
        }
        let mut conn = db.begin_read().await.expect("begin");
        let n = conn.one("SELECT n FROM thing WHERE id = $1", args![id(1)]).await.expect("one");
        assert_eq!(n.int("n").expect("n"), 200);
    }

    async fn a_reader_sees_one_state_and_cannot_write(database) {
        let db = open(&database).await;
        let mut reader = db.begin_read().await.expect("begin");
        let count = "SELECT COUNT(*) AS n FROM thing";
        assert_eq!(reader.one(count, vec![]).await.expect("count").int("n").expect("n"), 0);
        let mut writer = db.begin_write().await.expect("begin");
        insert(&mut writer, 1, None).await.expect("insert");
        writer.commit().await.expect("commit");
        assert_eq!(reader.one(count, vec![]).await.expect("count").int("n").expect("n"), 0, "a snapshot");
        assert!(insert(&mut reader, 2, None).await.is_err());
    }
}

/// Both engines made the same columns out of the one migrations directory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_engines_have_the_same_columns() {
    let (sqlite, postgres) = (Database::sqlite(), Database::postgres().await);
    let columns = async |database: &Database, sql: &'static str| {
        let db = Db::create(&Location::from(database.url.as_str())).await.expect("open");
        crate::schema::migrate(&db).await.expect("migrate");
        let mut conn = db.begin_read().await.expect("begin");
        let rows = conn.all(sql, vec![]).await.expect("columns");
        let line = |row: &Row| {
            let text = |column| row.text(column).expect("text");
            format!(
                "{}.{} {} {}",
                text("t"),
                text("c"),
                text("ty").to_lowercase(),
                if row.int("nn").expect("nn") == 1 { "not null" } else { "null" }
            )
        };
        rows.iter().map(line).collect::<std::collections::BTreeSet<_>>()
    };
    let from_sqlite = columns(
        &sqlite,
        "SELECT m.name AS t, x.name AS c, x.type AS ty, x.\"notnull\" AS nn FROM sqlite_master m, pragma_table_xinfo(m.name) x \
         WHERE m.type = 'table' AND m.name NOT LIKE '\\_%' ESCAPE '\\' AND m.name NOT LIKE 'sqlite%'",
    )
    .await;
    let from_postgres = columns(
        &postgres,
        "SELECT table_name::text AS t, column_name::text AS c, data_type::text AS ty, \
           CASE is_nullable WHEN 'NO' THEN 1::bigint ELSE 0::bigint END AS nn FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name NOT LIKE '\\_%'",
    )
    .await;
    assert!(from_sqlite.len() > 60, "{from_sqlite:#?}");
    assert_eq!(from_sqlite, from_postgres);
}

#[test]
fn versions_compare_by_number() {
    assert!(parse_version("3.51.3") < parse_version("3.52.0"));
    assert!(parse_version("3.9.0") < parse_version("3.51.3"));
    assert_eq!(parse_version("three"), None);
}
