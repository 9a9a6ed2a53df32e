-- People: users, what they prove themselves with, what they are members of, and how they are asked to join.
-- Secrets are stored as hashes, or sealed with a key that is made from the deployment's secret.

ALTER TABLE deployment ADD COLUMN secret_check BYTEA;

ALTER TABLE account ADD COLUMN features TEXT NOT NULL DEFAULT '{}';
ALTER TABLE account ADD COLUMN canceled_at BIGINT;

-- A user. `person`, since `user` is a word of SQL. There is none without a verified address, nor without a personal account.
CREATE TABLE person (
    id           UUID    NOT NULL CONSTRAINT person_pk PRIMARY KEY,
    account_id   UUID    NOT NULL CONSTRAINT person_account_id REFERENCES account (id),
    email        TEXT    NOT NULL,
    email_key    TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    password     TEXT,
    totp         BYTEA,
    totp_on      BOOLEAN NOT NULL,
    totp_step    BIGINT  NOT NULL,
    version      BIGINT  NOT NULL,
    created_at   BIGINT  NOT NULL,
    updated_at   BIGINT  NOT NULL,
    CONSTRAINT person_email UNIQUE (email_key),
    CONSTRAINT person_account UNIQUE (account_id),
    CONSTRAINT person_totp CHECK (totp IS NOT NULL OR NOT totp_on)
);

CREATE TABLE recovery_code (
    user_id UUID  NOT NULL CONSTRAINT recovery_code_user REFERENCES person (id),
    hash    BYTEA NOT NULL,
    CONSTRAINT recovery_code_pk PRIMARY KEY (user_id, hash)
);

CREATE TABLE passkey (
    id           UUID   NOT NULL CONSTRAINT passkey_pk PRIMARY KEY,
    user_id      UUID   NOT NULL CONSTRAINT passkey_user REFERENCES person (id),
    credential   BYTEA  NOT NULL CONSTRAINT passkey_credential UNIQUE,
    name         TEXT   NOT NULL,
    public       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX passkey_of_user ON passkey (user_id, id);

-- Who a user is at an identity provider.
CREATE TABLE identity (
    provider   TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    user_id    UUID   NOT NULL CONSTRAINT identity_user REFERENCES person (id),
    email      TEXT,
    created_at BIGINT NOT NULL,
    CONSTRAINT identity_pk PRIMARY KEY (provider, subject)
);
CREATE INDEX identity_of_user ON identity (user_id);

CREATE TABLE session (
    id           UUID   NOT NULL CONSTRAINT session_pk PRIMARY KEY,
    user_id      UUID   NOT NULL CONSTRAINT session_user_id REFERENCES person (id),
    hash         BYTEA  NOT NULL CONSTRAINT session_hash UNIQUE,
    proof        TEXT   NOT NULL,
    proven_at    BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    ip           TEXT,
    user_agent   TEXT
);
CREATE INDEX session_of_user ON session (user_id, id);
CREATE INDEX session_age ON session (last_seen_at);

-- What is kept of a ceremony between its first and its second request: a passkey's challenge, a sign-in at a provider.
CREATE TABLE ceremony (
    id         BYTEA  NOT NULL CONSTRAINT ceremony_pk PRIMARY KEY,
    kind       TEXT   NOT NULL,
    user_id    UUID,
    state      TEXT   NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX ceremony_age ON ceremony (expires_at);

-- What a link in a mail is good for, once. The hash of its token comes with the sending: a token is never stored.
CREATE TABLE ticket (
    id            UUID   NOT NULL CONSTRAINT ticket_pk PRIMARY KEY,
    hash          BYTEA  CONSTRAINT ticket_hash UNIQUE,
    purpose       TEXT   NOT NULL,
    user_id       UUID   CONSTRAINT ticket_user REFERENCES person (id),
    invitation_id UUID,
    email         TEXT   NOT NULL,
    detail        TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
);
CREATE INDEX ticket_of_user ON ticket (user_id, purpose);
CREATE INDEX ticket_of_invitation ON ticket (invitation_id);
CREATE INDEX ticket_age ON ticket (expires_at);

-- Mails to be sent, written with the change that they tell of.
CREATE TABLE outbox (
    id         UUID   NOT NULL CONSTRAINT outbox_pk PRIMARY KEY,
    kind       TEXT   NOT NULL,
    recipient  TEXT   NOT NULL,
    ticket_id  UUID,
    detail     TEXT   NOT NULL,
    attempts   BIGINT NOT NULL,
    next_at    BIGINT,
    last_error TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX outbox_due ON outbox (next_at) WHERE next_at IS NOT NULL;

-- When the next attempt of a kind would be due at an even pace (GCRA), by a hash of who tries what.
CREATE TABLE throttle (
    id  BYTEA  NOT NULL CONSTRAINT throttle_pk PRIMARY KEY,
    due BIGINT NOT NULL
);
CREATE INDEX throttle_age ON throttle (due);

-- A custom role: for the account that made it and all below.
CREATE TABLE role (
    id          UUID   NOT NULL CONSTRAINT role_pk PRIMARY KEY,
    account_id  UUID   NOT NULL CONSTRAINT role_account REFERENCES account (id),
    name        TEXT   NOT NULL,
    name_key    TEXT   NOT NULL,
    permissions TEXT   NOT NULL,
    version     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    CONSTRAINT role_name UNIQUE (account_id, name_key)
);

CREATE TABLE membership (
    account_id UUID   NOT NULL CONSTRAINT membership_account REFERENCES account (id),
    user_id    UUID   NOT NULL CONSTRAINT membership_user REFERENCES person (id),
    role       TEXT   NOT NULL,
    role_id    UUID   CONSTRAINT membership_role_id REFERENCES role (id),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT membership_pk PRIMARY KEY (account_id, user_id),
    CONSTRAINT membership_role CHECK (role IN ('admin', 'maintainer', 'member', 'custom')),
    CONSTRAINT membership_role_whole CHECK ((role = 'custom') = (role_id IS NOT NULL))
);
CREATE INDEX membership_of_user ON membership (user_id, account_id);
CREATE INDEX membership_of_role ON membership (role_id) WHERE role_id IS NOT NULL;

-- The role of an invitation may be gone by the time somebody accepts: so it is no foreign key.
CREATE TABLE invitation (
    id           UUID   NOT NULL CONSTRAINT invitation_pk PRIMARY KEY,
    account_id   UUID   NOT NULL CONSTRAINT invitation_account REFERENCES account (id),
    email        TEXT   NOT NULL,
    email_key    TEXT   NOT NULL,
    role         TEXT   NOT NULL,
    role_id      UUID,
    role_name    TEXT   NOT NULL,
    status       TEXT   NOT NULL,
    inviter_user UUID,
    inviter_key  UUID,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    settled_at   BIGINT,
    CONSTRAINT invitation_status CHECK (status IN ('pending', 'accepted', 'declined', 'canceled', 'expired')),
    CONSTRAINT invitation_settled CHECK ((status IN ('pending', 'expired')) = (settled_at IS NULL))
);
CREATE UNIQUE INDEX invitation_pending ON invitation (account_id, email_key) WHERE status = 'pending';
CREATE INDEX invitation_of_account ON invitation (account_id, id);

CREATE TABLE enrollment_link (
    id         UUID   NOT NULL CONSTRAINT enrollment_link_pk PRIMARY KEY,
    account_id UUID   NOT NULL CONSTRAINT enrollment_link_account REFERENCES account (id),
    name       TEXT   NOT NULL,
    hash       BYTEA  NOT NULL CONSTRAINT enrollment_link_hash UNIQUE,
    max_uses   BIGINT,
    uses       BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    CONSTRAINT enrollment_link_uses CHECK (uses BETWEEN 0 AND COALESCE(max_uses, uses))
);
CREATE INDEX enrollment_link_of_account ON enrollment_link (account_id, id);

-- For whom a key acts inside its account, and the person whose rights bound it.
ALTER TABLE api_key ADD COLUMN user_id UUID CONSTRAINT api_key_user REFERENCES person (id);
ALTER TABLE api_key ADD COLUMN maker_id UUID CONSTRAINT api_key_maker REFERENCES person (id);
CREATE INDEX api_key_of_user ON api_key (user_id, account_id) WHERE user_id IS NOT NULL;

-- The audit log learns of people. A CHECK cannot be changed on both engines, so it moves to a table that has none.
CREATE TABLE audit_log (
    id            UUID   NOT NULL CONSTRAINT audit_log_pk PRIMARY KEY,
    at            BIGINT NOT NULL,
    action        TEXT   NOT NULL,
    account_id    UUID   NOT NULL,
    entity        TEXT   NOT NULL,
    actor_kind    TEXT   NOT NULL,
    actor_account UUID,
    actor_user    UUID,
    actor_key     UUID,
    subject       UUID,
    reason        TEXT,
    request_id    UUID   NOT NULL,
    ip            TEXT,
    detail        TEXT   NOT NULL
);
INSERT INTO audit_log (id, at, action, account_id, entity, actor_kind, actor_account, actor_key, subject, request_id, ip, detail)
    SELECT id, at, action, account_id, entity, actor_kind, actor_account, actor_key, subject, request_id, ip, detail FROM audit;
CREATE TABLE audit_log_scope (
    account_id UUID NOT NULL,
    audit_id   UUID NOT NULL CONSTRAINT audit_log_scope_audit REFERENCES audit_log (id),
    CONSTRAINT audit_log_scope_pk PRIMARY KEY (account_id, audit_id)
);
INSERT INTO audit_log_scope (account_id, audit_id) SELECT account_id, audit_id FROM audit_scope;
DROP TABLE audit_scope;
DROP TABLE audit;
