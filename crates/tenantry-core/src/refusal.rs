//! Why a request was refused: one table of codes, one error that carries a code.
//!
//! The table is the source of the problem bodies, of the errors page and of the list of codes in
//! the OpenAPI document. What a [`Kind`] means in HTTP is decided at the edge, not here.

use std::borrow::Cow;
use std::fmt;

use crate::time::Span;

/// Families of refusals; the edge turns each into one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The request cannot be understood.
    Malformed,
    /// No credential, or one that does not work.
    Unauthenticated,
    /// Allowed, but not paid for.
    Unpaid,
    /// Understood and visible, but not allowed.
    Forbidden,
    /// Unknown, or invisible to this caller: the same answer.
    NotFound,
    /// The route exists, the method does not.
    MethodNotAllowed,
    /// A rule of the tree, of keys or of resources stands against it.
    Conflict,
    /// It was there, and is over.
    Gone,
    /// `If-Match` names another version.
    Stale,
    /// The body is too large.
    TooLarge,
    /// The body is of another media type.
    MediaType,
    /// Understood, but it makes no sense as it is.
    Unprocessable,
    /// Too often; wait.
    Throttled,
    /// The fault is ours.
    Internal,
    /// The fault is with the API behind.
    BadGateway,
    /// The API behind is too slow.
    GatewayTimeout,
    /// Not now; try again.
    Unavailable,
}

macro_rules! codes {
    ($($kind:ident { $($variant:ident = $code:literal: $title:literal, $advice:literal;)* })*) => {
        /// A stable, documented reason. Clients branch on its text, never on `detail`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $title] $variant,)*)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$($(Self::$variant,)*)*];

            /// The text on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($(Self::$variant => $code,)*)* }
            }

            /// One short sentence, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $($(Self::$variant => $title,)*)* }
            }

            /// What the caller can do about it.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $($(Self::$variant => $advice,)*)* }
            }

            /// The family of the code.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $($(Self::$variant => Kind::$kind,)*)* }
            }
        }
    };
}

codes! {
    Malformed {
        InvalidJson = "invalid_json": "The body is not valid JSON", "Send one JSON object that matches the schema of the operation.";
        InvalidField = "invalid_field": "A field has a value that is not accepted", "See `errors` for each field and what it takes.";
        UnknownField = "unknown_field": "The body has a field that this operation does not know", "Remove the field, or check its spelling.";
        InvalidParameter = "invalid_parameter": "A query parameter is unknown or out of range", "See `errors` for the parameter and what it takes.";
        InvalidCursor = "invalid_cursor": "The cursor was not made by this server for this list", "Start again without a cursor.";
        AmbiguousCredentials = "ambiguous_credentials": "The request carries two different credentials", "Send one of `X-Auth-Token`, `x-api-key` or `Authorization: Bearer`.";
        CredentialInQuery = "credential_in_query": "The query string looks like it carries a credential", "Send credentials in a header: addresses end up in logs. Rotate this one.";
        AssumeMalformed = "assume_malformed": "`x-assume-org` is not one account id", "Send the header once, with the id of one account, or leave it out.";
        AssumeRequired = "assume_required": "The operator has no organization of its own", "Name one with `x-assume-org`.";
        TokenInvalid = "token_invalid": "The token is not one that works here", "Use the newest link, as it was sent; ask for another if it is old.";
        PasskeyInvalid = "passkey_invalid": "The passkey's answer does not fit", "Start again: a challenge is good for five minutes and one answer.";
        ProviderRefused = "provider_refused": "The identity provider did not confirm who you are", "Start again; `detail` says what was wrong.";
        IdempotencyKeyInvalid = "idempotency_key_invalid": "`Idempotency-Key` is not usable", "Send 1 to 255 visible ASCII characters, once.";
        IfMatchInvalid = "if_match_invalid": "`If-Match` is not an entity tag of this API", "Send the `ETag` of an earlier answer, quotes included.";
        HeaderRepeated = "header_repeated": "A header stands more than once that may stand only once", "Send `Host` and `Content-Type` once.";
        PathInvalid = "path_invalid": "The path is not in canonical form", "Send it without empty, `.` or `..` segments, encoded slashes, backslashes or semicolons.";
    }
    Unauthenticated {
        CredentialMissing = "credential_missing": "The request carries no credential", "Send an API key in `x-api-key`, `X-Auth-Token` or `Authorization: Bearer`.";
        KeyMalformed = "key_malformed": "The credential is not a key of this platform", "Check that the whole key was copied: its last six characters are a checksum.";
        KeyUnknown = "key_unknown": "No such key", "Check the environment the key was made for, or make a new one.";
        KeyRevoked = "key_revoked": "The key was revoked", "Use another key.";
        SessionUnknown = "session_unknown": "No such session: it ended, or never was", "Sign in again.";
        SessionExpired = "session_expired": "The session has expired", "Sign in again.";
        SignInFailed = "sign_in_failed": "E-mail address and password do not fit", "Check both, or reset the password.";
        SignInRequired = "sign_in_required": "There is a user with this address", "Sign in as that user first.";
        CodeRequired = "code_required": "The account is protected by an authenticator", "Send `code` as well: six digits of the authenticator, or a recovery code.";
        CodeWrong = "code_wrong": "The code does not fit", "Send the code that the authenticator shows now; each is good once.";
        KeyExpired = "key_expired": "The key has expired", "Use the key that replaced it, or make a new one.";
    }
    Unpaid {
        CreditsExhausted = "credits_exhausted": "There are no credits left for the call", "Ask the account that pays for more.";
    }
    Forbidden {
        AccountSuspended = "account_suspended": "The account, or one above it, is suspended", "An administrator of the account above can activate it again.";
        AccountClosed = "account_closed": "The account is closed", "A closed account stays closed; use a key of another.";
        AssumeForbidden = "assume_forbidden": "This account cannot be assumed", "Only active descendants can be assumed, by credentials that hold `account.assume`, and accounts in which one is a member.";
        PermissionDenied = "permission_denied": "The credential does not hold the permission", "Use a credential with the permission that `detail` names.";
        OperatorOnly = "operator_only": "Only the operator of this deployment may do this", "Ask the operator.";
        CrossSite = "cross_site": "A page of another site tried to use a session", "Send the session's token as `Authorization: Bearer`, or call from the portal's own pages.";
        SessionRequired = "session_required": "Only somebody who is signed in may do this", "Sign in, and send the session's token or cookie.";
        MembershipRequired = "membership_required": "Only members of the account may do this", "Ask an administrator of the account to invite you.";
        StepUpRequired = "step_up_required": "This needs a fresh proof of who you are", "Prove it with `POST /v1/sessions/current/proof`, then repeat the request within ten minutes.";
        ReasonRequired = "reason_required": "Acting on behalf of another account from a browser needs a reason", "Say why in `x-assume-reason`; it is written to both audit logs.";
        RankExceeded = "rank_exceeded": "Nobody gives, changes or takes a role wider than their own", "Ask somebody who holds what `detail` names.";
        OwnRole = "own_role": "Nobody changes their own role", "Ask an administrator.";
        MembershipInherited = "membership_inherited": "The person is a member of an account above, not of this one", "Change it there, or switch `inheritAdmins` off.";
        WrongAddress = "wrong_address": "The invitation is for another e-mail address", "Sign in as the user with the address that was invited.";
        FeatureMissing = "feature_missing": "The account does not have what the call needs", "Ask the account above to assign the feature that `detail` names.";
        ResourceNotShared = "resource_not_shared": "The call names something that the account neither owns nor was given", "Check its kind and its id, or ask the owner to share it.";
        IpNotAllowed = "ip_not_allowed": "The call comes from an address that is not allowed", "Call from an address in the allow-list, or have it changed.";
        EndpointRestricted = "endpoint_restricted": "A restriction forbids this call", "`detail` names the rule, if you may see it; whoever set it can lift it.";
        RestrictionImposed = "restriction_imposed": "The rule was imposed from above", "Only the account that `imposedBy` names, or one above it, can change it.";
        ScopeExceeded = "scope_exceeded": "A key cannot be wider than its maker", "Ask for a subset of the scopes of the key you are using.";
    }
    NotFound {
        NotFound = "not_found": "There is nothing here that you can see", "Check the id, and that it belongs to the account you are acting for.";
        EndpointUnknown = "endpoint_unknown": "The catalogue has no such endpoint", "Check method and path.";
        RouteUnknown = "route_unknown": "There is no such route", "See /docs for all routes.";
    }
    MethodNotAllowed {
        MethodNotAllowed = "method_not_allowed": "The route does not take this method", "The `Allow` header lists the methods it takes.";
    }
    Conflict {
        SelfParent = "self_parent": "An account cannot be its own parent", "Name another parent.";
        Cycle = "cycle": "The new parent is below the account", "Move the new parent out of the subtree first.";
        DepthExceeded = "depth_exceeded": "The tree would be deeper than its limit", "Attach it higher up, or ask the operator for a deeper limit.";
        ChildrenExceeded = "children_exceeded": "The parent has as many children as its tree allows", "Close or move a child, or ask the operator for a higher limit.";
        ParentSuspended = "parent_suspended": "The parent, or an account above it, is suspended", "Activate it first.";
        ParentClosed = "parent_closed": "The parent is closed", "Choose an open parent.";
        HasChildren = "has_children": "The account still has open children", "Close or move them first.";
        AlreadyRoot = "already_root": "The account has no parent", "Nothing is to be done.";
        NotARoot = "not_a_root": "Limits belong to the root of a tree", "Set them on the account that `rootId` names.";
        ClosedIsTerminal = "closed_is_terminal": "The account is closed and cannot change any more", "Create another account.";
        PersonalAccount = "personal_account": "A personal account has neither parent nor children", "Use an organization.";
        SettingNotOverridable = "setting_not_overridable": "The setting is not one that an account may override", "`detail` lists those that may be.";
        SettingLocked = "setting_locked": "An account above has locked the setting", "Ask that account to change or unlock it.";
        ExternalIdTaken = "external_id_taken": "The account already has a resource of this kind with this external id", "Use that resource, or another external id.";
        ShareOutsideSubtree = "share_outside_subtree": "A resource can only be shared with accounts below its owner", "Name a descendant of the owner, or `descendants`.";
        LastAdmin = "last_admin": "An organization has an admin at all times", "Make somebody else an admin first.";
        AdminCannotLeave = "admin_cannot_leave": "An admin cannot leave the organization", "Hand the role to another member first.";
        AlreadyMember = "already_member": "The person is a member already", "Change their role instead.";
        MembersRemain = "members_remain": "The organization still has other members", "Remove those that `detail` names first.";
        OrganizationCanceled = "organization_canceled": "The organization was canceled", "Subscribe to it again first.";
        InvitationPending = "invitation_pending": "The address is invited already", "Resend or cancel that invitation.";
        InvitationUsed = "invitation_used": "The invitation was accepted already", "Sign in.";
        InvitationStale = "invitation_stale": "The invitation cannot be accepted as it is", "Ask to be invited again.";
        SeatsExceeded = "seats_exceeded": "The organization has no free seat", "Remove a member, cancel an invitation, or ask for a higher `seats.max`.";
        RoleNameTaken = "role_name_taken": "There is a role of this name already", "Use that role, or another name.";
        RoleInUse = "role_in_use": "The role is still held by members", "Give them another role first.";
        FeatureExceeded = "feature_exceeded": "An account never has more than its parent", "Ask the account above for more.";
        NotASuperOrganization = "not_a_super_organization": "Only super organizations let customers enroll", "Ask the operator to make the root one.";
        LinkExhausted = "link_exhausted": "The link was used as often as it may be", "Ask for a new one.";
        AuthenticatorExists = "authenticator_exists": "There is an authenticator already", "Remove it first.";
        EmailTaken = "email_taken": "The e-mail address belongs to a user already", "Sign in as that user, or use another address.";
        PasskeysUnavailable = "passkeys_unavailable": "Passkeys need a public address with a name", "Ask the operator to set `--public-url` to one.";
        IdentityTaken = "identity_taken": "The identity belongs to another user, or the address to one who has not linked it", "Sign in another way, and link the identity from there.";
        LockoutUnconfirmed = "lockout_unconfirmed": "The list would lock you out", "Add your own network, or send `confirmLockout: true`.";
        RulesExceeded = "rules_exceeded": "The account has as many rules as it may have", "Delete rules that are no longer needed.";
        ApiTaken = "api_taken": "There is an API with this id already", "Change that one, or choose another id.";
        BasePathTaken = "base_path_taken": "Another API has this base path", "Choose another, or add endpoints to that API.";
        EndpointTaken = "endpoint_taken": "The API has an endpoint of this method and path already", "Change that one.";
        KeysExceeded = "keys_exceeded": "The account has as many live keys as it may have", "Revoke keys that are no longer used.";
        IdempotencyInFlight = "idempotency_in_flight": "A request with this idempotency key is still running", "Wait for `Retry-After` and repeat the same request.";
    }
    Gone {
        InvitationOver = "invitation_over": "The invitation is over", "Ask to be invited again.";
        LinkOver = "link_over": "The link has expired or was taken back", "Ask for a new one.";
    }
    Stale {
        VersionStale = "version_stale": "The account has changed since the version that `If-Match` names", "Read it again and decide anew.";
    }
    TooLarge {
        BodyTooLarge = "body_too_large": "The body is larger than 1 MiB", "Send less.";
    }
    MediaType {
        MediaTypeUnsupported = "media_type_unsupported": "The body is not `application/json`", "Send `Content-Type: application/json`.";
    }
    Unprocessable {
        AdminNotRestrictable = "admin_not_restrictable": "An account does not restrict its own admins", "Give them another role first, or have the account above impose the rule.";
        ResultTooLarge = "result_too_large": "The answer would have more rows than are given at once", "Ask about a shorter period, or tell less apart.";
        IdempotencyKeyReused = "idempotency_key_reused": "The idempotency key was used for another request", "Make a new key for every new request.";
    }
    Throttled {
        RateLimited = "rate_limited": "More calls than a limit allows", "Wait for `Retry-After`; the `RateLimit` header tells what is left.";
        TooManyAttempts = "too_many_attempts": "Too many attempts", "Wait for `Retry-After`, then try again.";
    }
    Internal {
        Internal = "internal": "The server failed", "Report `requestId` to the operator. The request may be repeated with the same idempotency key.";
    }
    BadGateway {
        UpstreamUnset = "upstream_unset": "Nobody knows where this API is", "Ask the operator to set `upstream` of the API, or of the deployment.";
        UpstreamFailed = "upstream_failed": "The server behind gave no usable answer", "Whether it did what was asked is not known. Nothing was charged.";
    }
    GatewayTimeout {
        UpstreamTimeout = "upstream_timeout": "The server behind took too long", "Whether it did what was asked is not known. Nothing was charged.";
    }
    Unavailable {
        UsageUnrecorded = "usage_unrecorded": "What calls use cannot be recorded at the moment", "Repeat the request after `Retry-After`.";
        UpstreamPaused = "upstream_paused": "The server behind failed several times in a row and is left alone for a moment", "Repeat the request after `Retry-After`.";
        RevisionUnreached = "revision_unreached": "This node does not know of the revision yet", "Repeat the request after `Retry-After`, or check `X-Tenantry-Min-Rev`.";
        DatabaseUnavailable = "database_unavailable": "The database cannot be reached", "Repeat the request after `Retry-After`.";
        DeadlineExceeded = "deadline_exceeded": "The request took too long", "Repeat it with the same idempotency key after `Retry-After`.";
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with one field or parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where: a dotted path into the body, or the name of a parameter.
    pub field: String,
    /// What it takes instead.
    pub message: String,
}

/// A request that was refused by a rule. Everything in it may be shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable reason.
    pub code: Code,
    /// This occurrence, in a sentence.
    pub detail: Cow<'static, str>,
    /// The fields at fault, where there are any.
    pub fields: Vec<FieldError>,
    /// How long to wait before trying again, where that helps.
    pub wait: Option<Span>,
}

impl Refusal {
    /// A refusal that says more than its title.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), fields: Vec::new(), wait: None }
    }

    /// A refusal of one field of the body.
    #[must_use]
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::at(Code::InvalidField, field, message)
    }

    /// A refusal with `code` that points at one field or parameter.
    #[must_use]
    pub fn at(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        let error = FieldError { field: field.into(), message: message.into() };
        let detail = format!("`{}`: {}", error.field, error.message);
        Self { code, detail: detail.into(), fields: vec![error], wait: None }
    }
}

impl From<Span> for Refusal {
    /// Too many attempts, for this long.
    fn from(wait: Span) -> Self {
        Self { wait: Some(wait), ..Code::TooManyAttempts.into() }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::new(code, code.title())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_snake_case_and_explained() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} twice");
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
            assert!(!code.title().ends_with('.') && code.advice().ends_with('.'), "{code}");
        }
    }
}
