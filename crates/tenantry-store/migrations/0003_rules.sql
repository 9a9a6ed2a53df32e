-- Rules: what accounts, roles, people and keys may not call, and from where they may; and the catalogue of what there is to call.

-- How many rules an account holds: where it is zero, nobody has to look.
ALTER TABLE account ADD COLUMN rule_count BIGINT NOT NULL DEFAULT 0;

-- From where a key may be used: networks in CIDR notation.
ALTER TABLE api_key ADD COLUMN networks TEXT;

-- `imposed_by` is the account on whose authority the rule stands; the operator's, if it is NULL. It may be gone: then the rule
-- does not count any more. `target` is `account`, or the id or the word of a role, the id of a user or of a key.
CREATE TABLE restriction (
    id          UUID   NOT NULL CONSTRAINT restriction_pk PRIMARY KEY,
    account_id  UUID   NOT NULL CONSTRAINT restriction_account REFERENCES account (id),
    imposed_by  UUID,
    mode        TEXT   NOT NULL,
    target      TEXT   NOT NULL,
    endpoints   TEXT   NOT NULL,
    permissions TEXT   NOT NULL,
    set_by      TEXT   NOT NULL,
    version     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    CONSTRAINT restriction_mode CHECK (mode IN ('allow', 'deny'))
);
CREATE INDEX restriction_of_account ON restriction (account_id, id);

-- `api` is the API that the list is about; all of them, if it is NULL.
CREATE TABLE ip_allowlist (
    id         UUID    NOT NULL CONSTRAINT ip_allowlist_pk PRIMARY KEY,
    account_id UUID    NOT NULL CONSTRAINT ip_allowlist_account REFERENCES account (id),
    api        TEXT,
    networks   TEXT    NOT NULL,
    enforced   BOOLEAN NOT NULL,
    set_by     TEXT    NOT NULL,
    version    BIGINT  NOT NULL,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL
);
CREATE INDEX ip_allowlist_of_account ON ip_allowlist (account_id, id);

CREATE TABLE api (
    id         TEXT   NOT NULL CONSTRAINT api_pk PRIMARY KEY,
    name       TEXT   NOT NULL,
    base_path  TEXT   NOT NULL CONSTRAINT api_base_path UNIQUE,
    upstream   TEXT,
    version    BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- `shape` is the path with all names of its variables taken out: two endpoints of one shape could not be told apart.
CREATE TABLE endpoint (
    id            UUID   NOT NULL CONSTRAINT endpoint_pk PRIMARY KEY,
    api_id        TEXT   NOT NULL CONSTRAINT endpoint_api REFERENCES api (id),
    method        TEXT   NOT NULL,
    path          TEXT   NOT NULL,
    shape         TEXT   NOT NULL,
    cost          BIGINT NOT NULL,
    permission    TEXT,
    feature       TEXT,
    resource_kind TEXT,
    resource_name TEXT,
    settle        TEXT   NOT NULL,
    version       BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    CONSTRAINT endpoint_once UNIQUE (api_id, method, shape),
    CONSTRAINT endpoint_cost CHECK (cost >= 0),
    CONSTRAINT endpoint_resource CHECK ((resource_kind IS NULL) = (resource_name IS NULL))
);
CREATE INDEX endpoint_of_api ON endpoint (api_id, id);
