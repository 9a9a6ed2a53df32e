-- How many calls may be made in a time, and at once: with a key, and for an account with all below it.

ALTER TABLE api_key ADD COLUMN rate_calls BIGINT CONSTRAINT api_key_rate_calls CHECK (rate_calls > 0);
ALTER TABLE api_key ADD COLUMN rate_seconds BIGINT
    CONSTRAINT api_key_rate CHECK ((rate_calls IS NULL) = (rate_seconds IS NULL) AND rate_seconds > 0);
ALTER TABLE api_key ADD COLUMN in_flight BIGINT CONSTRAINT api_key_in_flight CHECK (in_flight > 0);

ALTER TABLE account ADD COLUMN rate_calls BIGINT CONSTRAINT account_rate_calls CHECK (rate_calls > 0);
ALTER TABLE account ADD COLUMN rate_seconds BIGINT
    CONSTRAINT account_rate CHECK ((rate_calls IS NULL) = (rate_seconds IS NULL) AND rate_seconds > 0);
ALTER TABLE account ADD COLUMN in_flight BIGINT CONSTRAINT account_in_flight CHECK (in_flight > 0);
