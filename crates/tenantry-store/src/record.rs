//! What every commit writes besides its change: the audit row, the changelog entry, and the answer
//! that a repetition of the request will get.

use std::collections::BTreeSet;
use std::net::IpAddr;

use tenantry_core::access::{Actor, Caller};
use tenantry_core::account::Account;
use tenantry_core::event::{self, Event, Revision, bucket};
use tenantry_core::id::{AccountId, AuditId, RequestId};
use tenantry_core::refusal::Code;
use tenantry_core::time::{Span, Timestamp};

use crate::db::{Conn, args};
use crate::tenant::Visit;
use crate::{Result, Store};

/// How long an answer is kept for repetitions of its request.
pub const KEEP_ANSWERS: Span = Span::days(1);

/// How a repetition of a request is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotency {
    /// A hash of the credential and the idempotency key.
    pub id: [u8; 32],
    /// A hash of method, path and body.
    pub request: [u8; 32],
}

/// An answer to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers and body, sealed with a key that only the caller can make.
    pub sealed: Vec<u8>,
}

/// An answer that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The answer.
    pub answer: Answer,
    /// The revisions of the change, as sent.
    pub revision: String,
}

impl Store {
    /// The answer to an earlier request with the same idempotency key, if there is one.
    ///
    /// # Errors
    /// `idempotency_key_reused` if the earlier request was another.
    pub async fn answer_kept(&self, visit: &Visit) -> Result<Option<KeptAnswer>> {
        let mut conn = self.db.begin_read().await?;
        let kept = kept_answer(&mut conn, visit).await?;
        conn.commit().await?;
        Ok(kept)
    }
}

/// The same within a transaction.
pub(crate) async fn kept_answer(conn: &mut Conn, visit: &Visit) -> Result<Option<KeptAnswer>> {
    let Some(idempotency) = visit.idempotency else { return Ok(None) };
    let row = conn
        .optional(
            "SELECT request, status, revision, answer FROM idempotency WHERE id = $1 AND created_at > $2",
            args![idempotency.id, visit.now.minus(KEEP_ANSWERS)],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    if row.bytes("request")? != idempotency.request {
        return Err(Code::IdempotencyKeyReused.into());
    }
    let status = u16::try_from(row.int("status")?).unwrap_or(500);
    let answer = Answer { status, sealed: row.bytes("answer")? };
    Ok(Some(KeptAnswer { answer, revision: row.text("revision")? }))
}

/// What a change was about.
#[derive(Debug, Clone)]
pub(crate) struct About {
    /// The account that changed.
    pub(crate) account: AccountId,
    /// Accounts in whose logs the change stands, besides its own and those of actor and subject: its
    /// parents before and after.
    pub(crate) parents: [Option<AccountId>; 2],
    /// The roots of the trees that it touched.
    pub(crate) roots: BTreeSet<AccountId>,
}

impl About {
    /// Something that belongs to no account: `nobody` stands in the account's place.
    pub(crate) fn deployment(nobody: AccountId) -> Self {
        Self { account: nobody, parents: [None, None], roots: BTreeSet::from([nobody]) }
    }

    /// A change of an account where it stands.
    pub(crate) fn account(account: &Account) -> Self {
        Self { account: account.id, parents: [None, None], roots: BTreeSet::from([account.root_id]) }
    }
}

/// One of the changes that a transaction makes, with the id of its audit row.
#[derive(Debug, Clone)]
pub(crate) struct Noted {
    pub(crate) audit: AuditId,
    pub(crate) about: About,
    pub(crate) event: Event,
}

/// Writes the records of the changes of one transaction; the answer tells where the last of them stands.
pub(crate) async fn record(
    conn: &mut Conn,
    visit: &Visit,
    caller: &Caller,
    changes: &[Noted],
    answer: Option<Answer>,
) -> Result<Vec<Revision>> {
    for change in changes {
        let row = AuditEntry {
            id: change.audit,
            at: visit.now,
            account: change.about.account,
            parents: change.about.parents,
            actor: caller.actor,
            subject: caller.subject,
            reason: visit.reason.as_deref().filter(|_| caller.on_behalf),
            request: visit.request,
            ip: visit.ip,
        };
        audit_insert(conn, &row, &change.event).await?;
    }
    let revisions = changelog_append(conn, changes).await?;
    if let (Some(idempotency), Some(answer)) = (visit.idempotency, answer) {
        keep_answer(conn, visit, idempotency, answer, &revisions).await?;
    }
    Ok(revisions)
}

/// Who did something to which account, when and how.
pub(crate) struct AuditEntry<'a> {
    pub(crate) id: AuditId,
    pub(crate) at: Timestamp,
    pub(crate) account: AccountId,
    pub(crate) parents: [Option<AccountId>; 2],
    pub(crate) actor: Actor,
    pub(crate) subject: Option<AccountId>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) request: RequestId,
    pub(crate) ip: Option<IpAddr>,
}

/// Writes the audit row, and lists it in the logs of all accounts that it concerns.
pub(crate) async fn audit_insert(conn: &mut Conn, entry: &AuditEntry<'_>, event: &Event) -> Result<()> {
    conn.execute(
        "INSERT INTO audit_log (id, at, action, account_id, entity, actor_kind, actor_account, actor_user, actor_key, \
           subject, reason, request_id, ip, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        args![
            entry.id,
            entry.at,
            event.kind.as_str(),
            entry.account,
            &event.entity,
            entry.actor.kind(),
            entry.actor.account(),
            entry.actor.user(),
            entry.actor.key(),
            entry.subject,
            entry.reason,
            entry.request,
            entry.ip.map(|address| address.to_string()),
            &event.detail,
        ],
    )
    .await?;
    let [before, after] = entry.parents;
    conn.execute(
        "INSERT INTO audit_log_scope (account_id, audit_id) SELECT id, $1 FROM account WHERE id IN ($2, $3, $4, $5, $6)",
        args![entry.id, entry.account, entry.actor.account(), entry.subject, before, after],
    )
    .await?;
    Ok(())
}

/// Appends the changes to the sequences of the trees they touched, in the order of the sequences, since each head is
/// a lock. Answers where the last change stands.
pub(crate) async fn changelog_append(conn: &mut Conn, changes: &[Noted]) -> Result<Vec<Revision>> {
    let buckets: BTreeSet<u8> = changes.iter().flat_map(|change| &change.about.roots).copied().map(bucket).collect();
    let mut revisions = Vec::new();
    for bucket in buckets {
        for (place, change) in changes.iter().enumerate() {
            if !change.about.roots.iter().any(|root| event::bucket(*root) == bucket) {
                continue;
            }
            let rev = conn
                .one("UPDATE changelog_head SET rev = rev + 1 WHERE bucket = $1 RETURNING rev", args![bucket])
                .await?
                .int("rev")?;
            let event = &change.event;
            conn.execute(
                "INSERT INTO changelog (bucket, rev, audit_id, kind, entity, version, body) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                args![bucket, rev, change.audit, event.kind.as_str(), &event.entity, event.version, &event.detail],
            )
            .await?;
            if place + 1 == changes.len() {
                revisions.push(Revision { bucket, rev });
            }
        }
    }
    Ok(revisions)
}

async fn keep_answer(
    conn: &mut Conn,
    visit: &Visit,
    idempotency: Idempotency,
    answer: Answer,
    revisions: &[Revision],
) -> Result<()> {
    let kept = conn
        .execute(
            "INSERT INTO idempotency (id, request, status, revision, answer, created_at) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (id) DO UPDATE SET request = excluded.request, status = excluded.status, \
               revision = excluded.revision, answer = excluded.answer, created_at = excluded.created_at \
             WHERE idempotency.created_at <= $7",
            args![
                idempotency.id,
                idempotency.request,
                i64::from(answer.status),
                revision_text(revisions),
                answer.sealed.as_slice(),
                visit.now,
                visit.now.minus(KEEP_ANSWERS),
            ],
        )
        .await?;
    if kept == 0 { Err(Code::IdempotencyInFlight.into()) } else { Ok(()) }
}

/// Revisions as they are sent.
#[must_use]
pub fn revision_text(revisions: &[Revision]) -> String {
    let texts: Vec<_> = revisions.iter().map(ToString::to_string).collect();
    texts.join(",")
}
