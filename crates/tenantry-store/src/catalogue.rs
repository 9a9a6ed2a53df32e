//! The catalogue of APIs and endpoints, which only the operator writes.

use tenantry_core::access::{Bearer, Caller, Rules};
use tenantry_core::catalogue::{Api, Catalogue, Endpoint, NamedResource};
use tenantry_core::event::{Event, Revision};
use tenantry_core::id::{AccountId, EndpointId, Id as _};
use tenantry_core::path::Pattern;
use tenantry_core::permission::Permission;

use crate::db::{Conn, Row, args};
use crate::record::{About, Answer, Noted, kept_answer, record};
use crate::root::check_operator;
use crate::tenant::{Identity, Visit};
use crate::{Error, Result, Store};

/// What stands in the audit log in the place of an account where something belongs to the whole deployment.
const DEPLOYMENT: [u8; 16] = [0; 16];

macro_rules! endpoint_columns {
    () => {
        "id, api_id, method, path, cost, permission, feature, resource_kind, resource_name, settle, version, created_at, updated_at"
    };
}

fn pattern(row: &Row, column: &'static str) -> Result<Pattern> {
    let text = row.text(column)?;
    Pattern::parse(&text).map_err(|_| Error::Inconsistent { column, found: text })
}

fn api(row: &Row) -> Result<Api> {
    Ok(Api {
        id: row.text("id")?,
        name: row.text("name")?,
        base_path: pattern(row, "base_path")?,
        upstream: row.optional_text("upstream")?,
        version: row.int("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn endpoint(row: &Row) -> Result<Endpoint> {
    let resource = row.optional_text("resource_kind")?.zip(row.optional_text("resource_name")?);
    Ok(Endpoint {
        id: row.id("id")?,
        api: row.text("api_id")?,
        method: row.word("method")?,
        path: pattern(row, "path")?,
        cost: row.int("cost")?,
        permission: match row.optional_text("permission")? {
            None => Permission::CreditsConsume,
            Some(text) => text.parse().map_err(|_| Error::Inconsistent { column: "permission", found: text })?,
        },
        feature: row.optional_text("feature")?,
        resource: resource.map(|(kind, variable)| NamedResource { kind, variable }),
        settle: row.word("settle")?,
        version: row.int("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// All APIs and endpoints.
pub(crate) async fn catalogue(conn: &mut Conn) -> Result<Catalogue> {
    let sql = "SELECT id, name, base_path, upstream, version, created_at, updated_at FROM api ORDER BY id";
    let apis = conn.all(sql, vec![]).await?.iter().map(api).collect::<Result<_>>()?;
    let sql = concat!("SELECT ", endpoint_columns!(), " FROM endpoint ORDER BY id");
    let endpoints = conn.all(sql, vec![]).await?.iter().map(endpoint).collect::<Result<_>>()?;
    Ok(Catalogue::new(apis, endpoints))
}

/// A transaction of the operator that changes the catalogue.
pub struct CatalogueWrite {
    conn: Conn,
    visit: Visit,
    identity: Identity,
}

impl Store {
    /// Opens the catalogue for writing.
    ///
    /// # Errors
    /// `operator_only`; [`Error::Answered`] if this request was answered before.
    pub async fn write_catalogue(&self, visit: &Visit) -> Result<CatalogueWrite> {
        check_operator(visit)?;
        let caller = Caller::admit(Bearer::Operator, None, Rules::default(), visit.now)?;
        let mut conn = self.db.begin_write().await?;
        match kept_answer(&mut conn, visit).await? {
            Some(answer) => Err(Error::Answered(answer)),
            None => {
                let identity = Identity { caller, key: None, session: None };
                Ok(CatalogueWrite { conn, visit: visit.clone(), identity })
            }
        }
    }
}

impl CatalogueWrite {
    /// Who writes.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// All APIs and endpoints as they are now.
    pub async fn catalogue(&mut self) -> Result<Catalogue> {
        catalogue(&mut self.conn).await
    }

    /// Stores a new API.
    ///
    /// # Errors
    /// `api_taken`, `base_path_taken`.
    pub async fn api_insert(&mut self, new: &Api) -> Result<()> {
        self.conn
            .execute(
                "INSERT INTO api (id, name, base_path, upstream, version, created_at, updated_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $6)",
                args![
                    &new.id,
                    &new.name,
                    new.base_path.to_string(),
                    new.upstream.as_deref(),
                    new.version,
                    new.created_at
                ],
            )
            .await
            .map(drop)
    }

    /// Writes a changed API. Its id and its base path do not change.
    pub async fn api_update(&mut self, changed: &Api) -> Result<()> {
        self.conn
            .execute(
                "UPDATE api SET name = $2, upstream = $3, version = $4, updated_at = $5 WHERE id = $1",
                args![&changed.id, &changed.name, changed.upstream.as_deref(), changed.version, changed.updated_at],
            )
            .await
            .map(drop)
    }

    /// Deletes an API with its endpoints. Rules that name it stay, and say nothing.
    pub async fn api_delete(&mut self, id: &str) -> Result<()> {
        self.conn.execute("DELETE FROM endpoint WHERE api_id = $1", args![id]).await?;
        self.conn.execute("DELETE FROM api WHERE id = $1", args![id]).await.map(drop)
    }

    /// Stores a new endpoint.
    ///
    /// # Errors
    /// `endpoint_taken`.
    pub async fn endpoint_insert(&mut self, new: &Endpoint) -> Result<()> {
        let own = (new.permission != Permission::CreditsConsume).then(|| new.permission.as_str());
        self.conn
            .execute(
                "INSERT INTO endpoint (id, api_id, method, path, shape, cost, permission, feature, resource_kind, \
                   resource_name, settle, version, created_at, updated_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)",
                args![
                    new.id,
                    &new.api,
                    new.method.as_str(),
                    new.path.to_string(),
                    new.path.shape().to_string(),
                    new.cost,
                    own,
                    new.feature.as_deref(),
                    new.resource.as_ref().map(|resource| resource.kind.as_str()),
                    new.resource.as_ref().map(|resource| resource.variable.as_str()),
                    new.settle.as_str(),
                    new.version,
                    new.created_at
                ],
            )
            .await
            .map(drop)
    }

    /// Writes a changed endpoint. Method and path do not change.
    pub async fn endpoint_update(&mut self, changed: &Endpoint) -> Result<()> {
        let own = (changed.permission != Permission::CreditsConsume).then(|| changed.permission.as_str());
        self.conn
            .execute(
                "UPDATE endpoint SET cost = $2, permission = $3, feature = $4, resource_kind = $5, resource_name = $6, \
                   settle = $7, version = $8, updated_at = $9 WHERE id = $1",
                args![
                    changed.id,
                    changed.cost,
                    own,
                    changed.feature.as_deref(),
                    changed.resource.as_ref().map(|resource| resource.kind.as_str()),
                    changed.resource.as_ref().map(|resource| resource.variable.as_str()),
                    changed.settle.as_str(),
                    changed.version,
                    changed.updated_at
                ],
            )
            .await
            .map(drop)
    }

    /// Deletes an endpoint.
    pub async fn endpoint_delete(&mut self, id: EndpointId) -> Result<()> {
        self.conn.execute("DELETE FROM endpoint WHERE id = $1", args![id]).await.map(drop)
    }

    /// Commits the change with its records; see [`crate::tenant::TenantWrite::commit`].
    ///
    /// # Errors
    /// `idempotency_in_flight` if the same request is being answered elsewhere.
    pub async fn commit(mut self, event: &Event, answer: Option<Answer>) -> Result<Vec<Revision>> {
        let about = About::deployment(AccountId::from_bytes(DEPLOYMENT));
        let change = Noted { audit: self.visit.audit, about, event: event.clone() };
        let revisions = record(&mut self.conn, &self.visit, &self.identity.caller, &[change], answer).await?;
        self.conn.commit().await?;
        Ok(revisions)
    }

    /// Ends the transaction without a change.
    ///
    /// # Errors
    /// If the database went away.
    pub async fn abandon(self) -> Result<()> {
        self.conn.rollback().await
    }
}
