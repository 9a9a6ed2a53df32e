-- The account tree, its callers and its records. One text for SQLite and PostgreSQL:
-- ids UUID (16 bytes), times BIGINT (microseconds UTC), documents TEXT, every constraint named.

-- What belongs to the deployment as a whole: one row.
CREATE TABLE deployment (
    id            BIGINT NOT NULL CONSTRAINT deployment_pk PRIMARY KEY,
    operator_hash BYTEA,
    cursor_secret BYTEA  NOT NULL,
    created_at    BIGINT NOT NULL,
    CONSTRAINT deployment_one_row CHECK (id = 1)
);

-- One row for every root. Updating it is the lock of the tree: every write in the tree does so
-- first, a write in two trees in the order of their ids.
CREATE TABLE tree (
    root_id            UUID    NOT NULL CONSTRAINT tree_pk PRIMARY KEY,
    max_depth          BIGINT,
    max_children       BIGINT,
    super_organization BOOLEAN NOT NULL,
    writes             BIGINT  NOT NULL,
    CONSTRAINT tree_max_depth CHECK (max_depth BETWEEN 1 AND 16),
    CONSTRAINT tree_max_children CHECK (max_children >= 0),
    CONSTRAINT tree_super_has_no_cap CHECK (NOT super_organization OR max_children IS NULL)
);

-- Tree truth is parent_id. root_id, depth and child_count are derived from it. Even if the lock
-- were forgotten, a cycle or an over-deep tree cannot be stored: depth follows parent_depth, and
-- parent_depth follows the parent's depth through the foreign key, so that a cycle would have to
-- grow without end and runs into account_depth.
CREATE TABLE account (
    id                       UUID    NOT NULL CONSTRAINT account_pk PRIMARY KEY,
    parent_id                UUID,
    root_id                  UUID    NOT NULL,
    parent_depth             BIGINT,
    depth                    BIGINT  GENERATED ALWAYS AS (COALESCE(parent_depth, 0) + 1) STORED,
    child_count              BIGINT  NOT NULL,
    kind                     TEXT    NOT NULL,
    name                     TEXT    NOT NULL,
    email                    TEXT    NOT NULL,
    status                   TEXT    NOT NULL,
    settings                 TEXT    NOT NULL,
    locked_settings          TEXT    NOT NULL,
    inherit_settings         BOOLEAN NOT NULL,
    inherit_admins           BOOLEAN NOT NULL,
    inherit_billing_contacts BOOLEAN NOT NULL,
    inherit_audit_policies   BOOLEAN NOT NULL,
    billing_contacts         TEXT,
    audit_policies           TEXT,
    billing_mode             TEXT    NOT NULL,
    metadata                 TEXT    NOT NULL,
    version                  BIGINT  NOT NULL,
    created_at               BIGINT  NOT NULL,
    updated_at               BIGINT  NOT NULL,
    closed_at                BIGINT,
    CONSTRAINT account_id_depth UNIQUE (id, depth),
    CONSTRAINT account_parent FOREIGN KEY (parent_id, parent_depth) REFERENCES account (id, depth) ON UPDATE CASCADE,
    CONSTRAINT account_parent_whole CHECK ((parent_id IS NULL) = (parent_depth IS NULL)),
    CONSTRAINT account_root_is_itself CHECK ((parent_id IS NULL) = (root_id = id)),
    CONSTRAINT account_self_parent CHECK (parent_id <> id),
    CONSTRAINT account_depth CHECK (depth BETWEEN 1 AND 16),
    CONSTRAINT account_child_count CHECK (child_count >= 0),
    CONSTRAINT account_kind CHECK (kind IN ('personal', 'organization')),
    CONSTRAINT account_status CHECK (status IN ('active', 'suspended', 'closed')),
    CONSTRAINT account_closed CHECK ((status = 'closed') = (closed_at IS NOT NULL)),
    CONSTRAINT account_closed_is_empty CHECK (status <> 'closed' OR child_count = 0),
    CONSTRAINT account_billing_mode CHECK (billing_mode IN ('owned', 'delegated')),
    CONSTRAINT account_root_pays CHECK (parent_id IS NOT NULL OR billing_mode = 'owned'),
    CONSTRAINT account_personal_is_alone CHECK (kind <> 'personal' OR (parent_id IS NULL AND child_count = 0))
);
CREATE INDEX account_children ON account (parent_id, id);
CREATE INDEX account_purge ON account (closed_at) WHERE closed_at IS NOT NULL;

CREATE TABLE api_key (
    id           UUID   NOT NULL CONSTRAINT api_key_pk PRIMARY KEY,
    account_id   UUID   NOT NULL CONSTRAINT api_key_account REFERENCES account (id),
    name         TEXT   NOT NULL,
    environment  TEXT   NOT NULL,
    last_four    TEXT   NOT NULL,
    hash         BYTEA  NOT NULL CONSTRAINT api_key_hash UNIQUE,
    scopes       TEXT,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    last_used_at BIGINT,
    last_used_ip TEXT,
    rotated_from UUID,
    CONSTRAINT api_key_environment CHECK (environment IN ('live', 'test'))
);
CREATE INDEX api_key_of_account ON api_key (account_id, id);

CREATE TABLE resource (
    id          UUID   NOT NULL CONSTRAINT resource_pk PRIMARY KEY,
    account_id  UUID   NOT NULL CONSTRAINT resource_account REFERENCES account (id),
    kind        TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    external_id TEXT,
    metadata    TEXT   NOT NULL,
    version     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    CONSTRAINT resource_external_id UNIQUE (account_id, kind, external_id)
);
CREATE INDEX resource_of_account ON resource (account_id, id);

-- A share reaches only accounts below the owner, wherever they are by then: visibility is computed
-- from the tree, and a grantee that moves out of the subtree loses it. to_account is the owner
-- itself where the share goes to all descendants.
CREATE TABLE share (
    id          UUID   NOT NULL CONSTRAINT share_pk PRIMARY KEY,
    resource_id UUID   NOT NULL CONSTRAINT share_resource REFERENCES resource (id),
    to_account  UUID   NOT NULL CONSTRAINT share_to_account REFERENCES account (id),
    created_at  BIGINT NOT NULL,
    CONSTRAINT share_once UNIQUE (resource_id, to_account)
);
CREATE INDEX share_of_grantee ON share (to_account, resource_id);

-- What happened, for people. Rows are only ever inserted. audit_scope lists in whose logs a row stands: the
-- account that changed, the account acted for, and the account that really acted.
CREATE TABLE audit (
    id            UUID   NOT NULL CONSTRAINT audit_pk PRIMARY KEY,
    at            BIGINT NOT NULL,
    action        TEXT   NOT NULL,
    account_id    UUID   NOT NULL,
    entity        TEXT   NOT NULL,
    actor_kind    TEXT   NOT NULL,
    actor_account UUID,
    actor_key     UUID,
    subject       UUID,
    request_id    UUID   NOT NULL,
    ip            TEXT,
    detail        TEXT   NOT NULL,
    CONSTRAINT audit_actor_kind CHECK (actor_kind IN ('operator', 'key', 'system'))
);
CREATE TABLE audit_scope (
    account_id UUID NOT NULL,
    audit_id   UUID NOT NULL CONSTRAINT audit_scope_audit REFERENCES audit (id),
    CONSTRAINT audit_scope_pk PRIMARY KEY (account_id, audit_id)
);

-- What happened, for machines. The row lock on the head of a bucket, taken by the last statements
-- of every change, makes the revisions of the bucket gapless and puts them in commit order.
CREATE TABLE changelog_head (
    bucket BIGINT NOT NULL CONSTRAINT changelog_head_pk PRIMARY KEY,
    rev    BIGINT NOT NULL,
    CONSTRAINT changelog_head_bucket CHECK (bucket BETWEEN 0 AND 63)
);
INSERT INTO changelog_head (bucket, rev)
    WITH RECURSIVE buckets (bucket) AS (SELECT 0 UNION ALL SELECT bucket + 1 FROM buckets WHERE bucket < 63)
    SELECT bucket, 0 FROM buckets;
CREATE TABLE changelog (
    bucket   BIGINT NOT NULL,
    rev      BIGINT NOT NULL,
    audit_id UUID   NOT NULL,
    kind     TEXT   NOT NULL,
    entity   TEXT   NOT NULL,
    version  BIGINT NOT NULL,
    body     TEXT   NOT NULL,
    CONSTRAINT changelog_pk PRIMARY KEY (bucket, rev)
);

-- Answers kept for repeated requests. The id is a hash of the caller's credential and its
-- idempotency key; the answer is sealed with a key made from the same, so that a copy of the
-- database reveals neither.
CREATE TABLE idempotency (
    id         BYTEA  NOT NULL CONSTRAINT idempotency_pk PRIMARY KEY,
    request    BYTEA  NOT NULL,
    status     BIGINT NOT NULL,
    revision   TEXT   NOT NULL,
    answer     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX idempotency_age ON idempotency (created_at);
