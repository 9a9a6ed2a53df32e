-- Usage: what calls used, added up. There are no foreign keys: what was used stays true when accounts, users, keys and endpoints
-- are gone.

-- Up to which batch the usage that a node recorded since one of its starts is in. Rows stay for good: by them a batch is known
-- that comes again, whenever that is.
CREATE TABLE usage_cursor (
    node_id UUID   NOT NULL,
    epoch   BIGINT NOT NULL,
    seq     BIGINT NOT NULL,
    CONSTRAINT usage_cursor_pk PRIMARY KEY (node_id, epoch)
);

-- The lines of accounts on which something was used, as they were then: `account_id` is the one that was called for, and there is
-- a row for each account above it and for itself. The id is made from the accounts.
CREATE TABLE usage_line (
    line_id     UUID NOT NULL,
    ancestor_id UUID NOT NULL,
    account_id  UUID NOT NULL,
    CONSTRAINT usage_line_pk PRIMARY KEY (line_id, ancestor_id)
);
CREATE INDEX usage_line_below ON usage_line (ancestor_id, account_id, line_id);

-- The same calls three times, each for one kind of question. Hours and days begin in UTC; the user is zero where it was nobody's
-- key.
CREATE TABLE usage_by_endpoint (
    line_id     UUID   NOT NULL,
    hour        BIGINT NOT NULL,
    endpoint_id UUID   NOT NULL,
    api_id      TEXT   NOT NULL,
    calls       BIGINT NOT NULL,
    failures    BIGINT NOT NULL,
    credits     BIGINT NOT NULL,
    CONSTRAINT usage_by_endpoint_pk PRIMARY KEY (line_id, hour, endpoint_id)
);

CREATE TABLE usage_by_user (
    line_id  UUID   NOT NULL,
    day      BIGINT NOT NULL,
    user_id  UUID   NOT NULL,
    calls    BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    credits  BIGINT NOT NULL,
    CONSTRAINT usage_by_user_pk PRIMARY KEY (line_id, day, user_id)
);

CREATE TABLE usage_by_key (
    line_id     UUID   NOT NULL,
    day         BIGINT NOT NULL,
    key_id      UUID   NOT NULL,
    endpoint_id UUID   NOT NULL,
    user_id     UUID   NOT NULL,
    api_id      TEXT   NOT NULL,
    calls       BIGINT NOT NULL,
    failures    BIGINT NOT NULL,
    credits     BIGINT NOT NULL,
    CONSTRAINT usage_by_key_pk PRIMARY KEY (line_id, day, key_id, endpoint_id, user_id)
);
