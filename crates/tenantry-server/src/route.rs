//! A row of the API: method, path, what the caller needs, the handler, and its documentation.
//!
//! What the OpenAPI document says about a route comes from the types of its handler, so it cannot
//! say anything else than what the handler takes and gives.

use std::future::Future;

use axum::extract::Request;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{Next, from_fn};
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use tenantry_core::permission::Permission;

use crate::ctx::Ctx;
use crate::http::authz::Asked;
use crate::http::extract::{Body, MaybeBody, Path, Query};
use crate::problem::Result;
use crate::reply::{Bare, Reply, Sheet};
use crate::state::App;

/// What a route asks of its caller. There is no route without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing; a credential is not even looked at.
    Anyone,
    /// Nothing; a session that is presented has to work.
    AnyoneOrPerson,
    /// To be signed in, and to act for oneself. Keys do not do.
    Person,
    /// The same, with a proof of identity that is no older than ten minutes.
    FreshPerson,
    /// To be a member of the account in the path.
    Member,
    /// A permission over the account in the path; without one, over the account acted for.
    Holding(Permission),
    /// The same; without the permission, members reach what is their own.
    HoldingOrOwn(Permission),
    /// To be the operator, acting for nobody, or to be signed in.
    OperatorOrPerson,
    /// To be the operator, acting for nobody.
    Operator,
    /// The same, or a key that has the scope `decide` by name.
    Decider,
}

/// A row of the API.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path below `/v1`, with `{names}`.
    pub path: &'static str,
    /// What the caller needs.
    pub need: Need,
    /// The operation in a few words.
    pub summary: &'static str,
    /// `module.function` of the handler: the operation's name.
    pub id: String,
    /// Whether it is also served without the prefix.
    pub bare: bool,
    pub(crate) describe: fn(&mut SchemaGenerator) -> Operation,
    pub(crate) service: MethodRouter<App>,
}

impl Route {
    fn new<H, T, D>(
        filter: MethodFilter,
        method: Method,
        path: &'static str,
        need: Need,
        handler: H,
        summary: &'static str,
    ) -> Self
    where
        H: Handler<T, App> + Documented<D>,
        T: 'static,
    {
        let with_need = move |mut request: Request, next: Next| {
            request.extensions_mut().insert(need);
            next.run(request)
        };
        let service = on(filter, handler).layer(from_fn(with_need));
        Self { method, path, need, summary, id: operation_id::<H>(), bare: false, describe: H::describe, service }
    }

    /// Serves the route without the prefix, too, as a published contract does.
    #[must_use]
    pub(crate) fn bare(self) -> Self {
        Self { bare: true, ..self }
    }
}

/// `tenantry_server::http::keys::rotate` is `keys.rotate`.
fn operation_id<H>() -> String {
    let mut parts = std::any::type_name::<H>().rsplit("::");
    let function = parts.next().unwrap_or_default();
    format!("{}.{function}", parts.next().unwrap_or_default())
}

macro_rules! methods {
    ($($name:ident $filter:ident;)*) => {$(
        pub(crate) fn $name<H, T, D>(path: &'static str, need: impl Into<Need>, handler: H, summary: &'static str) -> Route
        where
            H: Handler<T, App> + Documented<D>,
            T: 'static,
        {
            Route::new(MethodFilter::$filter, Method::$filter, path, need.into(), handler, summary)
        }
    )*};
}

methods! { get GET; post POST; put PUT; patch PATCH; delete DELETE; }

impl From<Permission> for Need {
    fn from(permission: Permission) -> Self {
        Self::Holding(permission)
    }
}

/// What the document says about an operation.
#[derive(Default)]
pub struct Operation {
    pub(crate) parameters: Vec<Value>,
    pub(crate) request: Option<Value>,
    pub(crate) status: u16,
    pub(crate) response: Value,
    /// Whether there is a table for spreadsheets as well.
    pub(crate) table: bool,
}

/// A handler whose types tell what it takes and gives. `D` only keeps the arities apart.
pub trait Documented<D> {
    /// Describes the operation.
    fn describe(schemas: &mut SchemaGenerator) -> Operation;
}

/// A parameter of a handler.
trait Takes {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator);
}

/// What a handler gives.
trait Gives {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator);
}

macro_rules! documented {
    ($($($taken:ident)*;)*) => {$(
        impl<F, Fut, R, $($taken),*> Documented<(R, $($taken,)*)> for F
        where
            F: Fn(Ctx, $($taken),*) -> Fut,
            Fut: Future<Output = Result<R>>,
            R: Gives,
            $($taken: Takes,)*
        {
            fn describe(schemas: &mut SchemaGenerator) -> Operation {
                let mut operation = Operation::default();
                $($taken::describe(&mut operation, schemas);)*
                R::describe(&mut operation, schemas);
                operation
            }
        }
    )*};
}

documented! { ; A; A B; A B C; }

impl<T> Takes for Path<T> {
    // The names in the path say it all; see `crate::openapi`.
    fn describe(_: &mut Operation, _: &mut SchemaGenerator) {}
}

impl<T: JsonSchema> Takes for Query<T> {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        let schema = T::json_schema(schemas);
        let none = Map::new();
        for (name, schema) in schema.get("properties").and_then(Value::as_object).unwrap_or(&none) {
            let mut schema = schema.clone();
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            operation
                .parameters
                .push(json!({"name": name, "in": "query", "description": description, "schema": schema}));
        }
    }
}

fn content(schema: &Schema) -> Value {
    json!({"application/json": {"schema": schema}})
}

impl Takes for Asked {
    fn describe(operation: &mut Operation, _: &mut SchemaGenerator) {
        for (name, about) in [
            ("X-Original-Method", "The method of the call that is waiting; or `X-Forwarded-Method`"),
            ("X-Original-URI", "Its path; or `X-Forwarded-Uri`"),
        ] {
            let schema = json!({"type": "string"});
            operation.parameters.push(json!({"name": name, "in": "header", "description": about, "schema": schema}));
        }
    }
}

impl<T: JsonSchema> Takes for Body<T> {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        operation.request = Some(json!({"required": true, "content": content(&schemas.subschema_for::<T>())}));
    }
}

impl<T: JsonSchema> Takes for MaybeBody<T> {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        operation.request = Some(json!({"required": false, "content": content(&schemas.subschema_for::<T>())}));
    }
}

impl Gives for Bare {
    fn describe(operation: &mut Operation, _: &mut SchemaGenerator) {
        operation.status = 204;
    }
}

impl<T: JsonSchema> Gives for Sheet<T> {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        Reply::<T>::describe(operation, schemas);
        operation.table = true;
    }
}

impl<T: JsonSchema, const STATUS: u16> Gives for Reply<T, STATUS> {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        operation.status = STATUS;
        operation.response = schemas.subschema_for::<T>().to_value();
    }
}
