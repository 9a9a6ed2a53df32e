//! The OpenAPI document, made from the routes and the wire types.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use tenantry_core::event::EventKind;
use tenantry_core::permission::Permission;
use tenantry_core::refusal::Code;
use tenantry_core::role::BuiltIn;

use crate::route::{Need, Operation, Route};
use crate::router::routes;

/// The document as a pretty-printed text.
#[must_use]
pub fn render() -> String {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    text
}

fn document() -> Value {
    let mut schemas = SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
        .into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes() {
        let operation = operation(&route, (route.describe)(&mut schemas));
        let mut add = |path: String, operation: Value| {
            let item = paths.entry(path).or_insert_with(|| json!({}));
            if let Some(item) = item.as_object_mut() {
                item.insert(route.method.as_str().to_ascii_lowercase(), operation);
            }
        };
        if route.bare {
            let mut bare = operation.clone();
            set(&mut bare, "operationId", json!(format!("{}.bare", route.id)));
            add(route.path.to_owned(), bare);
        }
        add(format!("/v1{}", route.path), operation);
    }
    schemas.subschema_for::<tenantry_api::DryRun>();
    let problem = schemas.subschema_for::<tenantry_api::Problem>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tenantry",
            "version": env!("CARGO_PKG_VERSION"),
            "description": description(),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"xApiKey": []}, {"xAuthToken": []}, {"bearer": []}, {"session": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "xApiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "xAuthToken": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-tenantry"},
            },
            "parameters": parameters(),
            "responses": {
                "Problem": {
                    "description": "The request was refused; `code` says why.",
                    "content": {"application/problem+json": {"schema": problem}},
                },
            },
            "schemas": schemas.take_definitions(true),
        },
    })
}

fn description() -> String {
    let permissions: String = Permission::ALL.iter().map(|p| permission_row(*p)).collect();
    let events: String = EventKind::ALL.iter().map(|kind| format!("| `{kind}` | {} |\n", kind.about())).collect();
    let codes: String = Code::ALL.iter().map(|code| format!("| `{code}` | {} |\n", code.title())).collect();
    format!(
        "The account tree of an API platform. Every path below `/v1` answers below `/v2`, too.\n\n\
         ## Permissions\n\n| permission | allows to | admin | maintainer | member |\n|---|---|---|---|---|\n{permissions}\n\
         ## Events\n\n| event | what happened |\n|---|---|\n{events}\n\
         ## Error codes\n\n| code | meaning |\n|---|---|\n{codes}"
    )
}

/// A row of the matrix of permissions and built-in roles.
#[must_use]
pub fn permission_row(permission: Permission) -> String {
    let held = |role: &BuiltIn| if permission.held_by().contains(role) { " x |" } else { " – |" };
    let columns: String = BuiltIn::ALL.iter().map(held).collect();
    format!("| `{permission}` | {} |{columns}\n", permission.about())
}

fn parameters() -> Value {
    json!({
        "Assume": {
            "name": "x-assume-org", "in": "header", "schema": {"type": "string"},
            "description": "Act on behalf of this account: a descendant of one's own. The own id, or nothing, changes nothing.",
        },
        "AssumeReason": {
            "name": "x-assume-reason", "in": "header", "schema": {"type": "string", "maxLength": 200},
            "description": "Why. Needed to act on behalf of an account below with the cookie of a session; stands in both audit logs.",
        },
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255},
            "description": "A request that is repeated with the same key within 24 hours gets the first answer again.",
        },
        "IfMatch": {
            "name": "If-Match", "in": "header", "schema": {"type": "string"},
            "description": "The `ETag` of an earlier answer: refused with 412 if the thing has changed since.",
        },
        "DryRun": {
            "name": "dryRun", "in": "query", "schema": {"type": "boolean", "default": false},
            "description": "Answer 200 with what would change, and change nothing.",
        },
    })
}

fn operation(route: &Route, described: Operation) -> Value {
    let mut parameters: Vec<Value> = path_names(route.path)
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters.extend(described.parameters);
    let shared = |name: &str| json!({"$ref": format!("#/components/parameters/{name}")});
    // To ask is to change nothing.
    let writes = !route.method.is_safe() && route.need != Need::Decider;
    let open = matches!(route.need, Need::Anyone | Need::AnyoneOrPerson);
    if !open {
        parameters.extend(["Assume", "AssumeReason"].map(shared));
    }
    if writes {
        parameters.push(shared("IdempotencyKey"));
    }
    if writes && !open {
        parameters.extend(["IfMatch", "DryRun"].map(shared));
    }
    let needs = match route.need {
        Need::Anyone => "Open to everybody.".to_owned(),
        Need::AnyoneOrPerson => "Open to everybody; somebody who is signed in acts as themselves.".to_owned(),
        Need::Person => "For somebody who is signed in, about themselves.".to_owned(),
        Need::FreshPerson => {
            "For somebody who is signed in, about themselves; needs a proof of identity of the last ten minutes."
                .to_owned()
        }
        Need::Member => "For members of the account.".to_owned(),
        Need::Holding(permission) => format!("Needs `{permission}`."),
        Need::HoldingOrOwn(permission) => format!("Needs `{permission}`; without it, members reach what is their own."),
        Need::OperatorOrPerson => "For the operator, or for somebody who is signed in.".to_owned(),
        Need::Operator => "Only for the operator.".to_owned(),
        Need::Decider => "For the operator, or for a key that the operator gave the scope `decide`.".to_owned(),
    };
    let mut responses = responses(writes && !open, described.status, described.response);
    if described.table {
        add_table(&mut responses, described.status);
    }
    let mut operation = json!({
        "operationId": route.id,
        "tags": [route.id.split('.').next()],
        "summary": route.summary,
        "description": needs,
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(request) = described.request {
        set(&mut operation, "requestBody", request);
    }
    if open {
        set(&mut operation, "security", json!([]));
    }
    operation
}

/// The answers of an operation. Writes can be tried out, too: then they answer 200 with what would change.
fn responses(writes: bool, status: u16, schema: Value) -> Value {
    let content = |schema: Value| json!({"application/json": {"schema": schema}});
    let mut responses = json!({
        "4XX": {"$ref": "#/components/responses/Problem"},
        "5XX": {"$ref": "#/components/responses/Problem"},
    });
    let dry_run = json!({"$ref": "#/components/schemas/DryRun"});
    let done = match (writes, status) {
        (true, 200) => json!({"anyOf": [schema, dry_run]}),
        _ => schema,
    };
    let described = match status {
        204 => json!({"description": "Done. All there is to say is in the headers."}),
        _ => json!({"description": "Done.", "content": content(done)}),
    };
    set(&mut responses, &status.to_string(), described);
    if writes && status != 200 {
        let told = json!({"description": "A dry run: what would change.", "content": content(dry_run)});
        set(&mut responses, "200", told);
    }
    responses
}

/// Says that the answer can be had as a table, too.
fn add_table(responses: &mut Value, status: u16) {
    if let Some(content) = responses.pointer_mut(&format!("/{status}/content")) {
        set(content, "text/csv", json!({"schema": {"type": "string"}}));
    }
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

/// The names between braces in a path.
pub fn path_names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}
