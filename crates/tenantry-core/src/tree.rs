//! The rules of the tree: may this account be created, moved, detached, or change its status?
//!
//! Every function takes facts that were read under the lock of the tree and answers with what is
//! to be written, or with the refusal. `tests/tree_model.rs` holds them against a slow model.

use crate::account::{Account, BillingMode, Kind, Limits, Status};
use crate::id::AccountId;
use crate::lineage::Lineage;
use crate::refusal::{Code, Refusal};

/// Whether `parent` may get another child, `height` levels high (1 for a single account).
///
/// # Errors
/// `personal_account`, `parent_closed`, `parent_suspended`, `depth_exceeded`, `children_exceeded`.
pub fn check_attach(parent: &Lineage, height: u32, limits: Limits) -> Result<(), Refusal> {
    let account = parent.account();
    if account.kind == Kind::Personal {
        return Err(Code::PersonalAccount.into());
    }
    match parent.effective_status() {
        Status::Closed => return Err(Code::ParentClosed.into()),
        Status::Suspended => return Err(Code::ParentSuspended.into()),
        Status::Active => (),
    }
    if account.depth + height > limits.depth() {
        let detail =
            format!("The deepest account would be at level {} of at most {}.", account.depth + height, limits.depth());
        return Err(Refusal::new(Code::DepthExceeded, detail));
    }
    if !limits.admits_child(account.child_count) {
        let detail = format!(
            "The parent has {} open children of at most {}.",
            account.child_count,
            limits.max_children.unwrap_or_default()
        );
        return Err(Refusal::new(Code::ChildrenExceeded, detail));
    }
    Ok(())
}

/// What a move comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// The account is already there.
    Nothing,
    /// The account, with its whole subtree, goes below another parent.
    Below(AccountId),
}

/// Whether `account`, whose subtree is `height` levels high, may move below `parent`.
///
/// `limits` are those of the tree that `parent` is in.
///
/// # Errors
/// `closed_is_terminal`, `personal_account`, `self_parent`, `cycle` and those of [`check_attach`].
pub fn check_move(account: &Lineage, height: u32, parent: &Lineage, limits: Limits) -> Result<Move, Refusal> {
    let (moved, to) = (account.account(), parent.account());
    check_open(moved)?;
    if moved.kind == Kind::Personal {
        return Err(Code::PersonalAccount.into());
    }
    if moved.id == to.id {
        return Err(Code::SelfParent.into());
    }
    if parent.contains(moved.id) {
        return Err(Code::Cycle.into());
    }
    if moved.parent_id == Some(to.id) {
        return Ok(Move::Nothing);
    }
    check_attach(parent, height, limits)?;
    Ok(Move::Below(to.id))
}

/// Whether `account` may become a root. Its new tree starts with the default limits; what already
/// exceeds them stays.
///
/// # Errors
/// `closed_is_terminal`, `already_root`.
pub fn check_detach(account: &Account) -> Result<(), Refusal> {
    check_open(account)?;
    if account.parent_id.is_none() {
        return Err(Code::AlreadyRoot.into());
    }
    Ok(())
}

/// Whether the account's own fields may change.
///
/// # Errors
/// `closed_is_terminal`.
pub fn check_open(account: &Account) -> Result<(), Refusal> {
    if account.status == Status::Closed {
        return Err(Code::ClosedIsTerminal.into());
    }
    Ok(())
}

/// The status after suspending.
///
/// # Errors
/// `closed_is_terminal`.
pub fn suspend(account: &Account) -> Result<Status, Refusal> {
    check_open(account)?;
    Ok(Status::Suspended)
}

/// The status after activating.
///
/// # Errors
/// `closed_is_terminal`; `parent_suspended` below a suspended account.
pub fn activate(account: &Lineage) -> Result<Status, Refusal> {
    check_open(account.account())?;
    if account.of_parent().is_some_and(|parent| parent.effective_status() != Status::Active) {
        return Err(Code::ParentSuspended.into());
    }
    Ok(Status::Active)
}

/// The status after closing.
///
/// # Errors
/// `has_children` while a child is open.
pub fn close(account: &Account) -> Result<Status, Refusal> {
    if account.child_count > 0 {
        let detail = format!("{} open children are left.", account.child_count);
        return Err(Refusal::new(Code::HasChildren, detail));
    }
    Ok(Status::Closed)
}

/// Who is invoiced after a move to `parent` (`None`: the account became a root, and a root always
/// pays for itself).
#[must_use]
pub fn billing_mode_after_move(account: &Account, parent: Option<AccountId>) -> BillingMode {
    if parent.is_some() { account.billing_mode } else { BillingMode::Owned }
}

/// The limits that `PUT …/limits` leads to. A super organization has no cap on children; one that
/// stops being one falls back to `default`, unless a cap is given.
///
/// # Errors
/// `invalid_field` if a super organization is given a cap, or a depth is outside 1–16.
pub fn change_limits(now: Limits, change: LimitsChange, default: Limits) -> Result<Limits, Refusal> {
    let mut next = now;
    if let Some(max_depth) = change.max_depth {
        if max_depth.is_some_and(|depth| depth == 0 || depth > crate::account::MAX_DEPTH) {
            return Err(Refusal::field("maxDepth", "takes 1 to 16, or null"));
        }
        next.max_depth = max_depth;
    }
    if let Some(on) = change.super_organization {
        if on {
            next.max_children = None;
        } else if now.super_organization {
            next.max_children = default.max_children;
        }
        next.super_organization = on;
    }
    if let Some(max_children) = change.max_children {
        if next.super_organization && max_children.is_some() {
            return Err(Refusal::field("maxChildren", "is null for a super organization"));
        }
        next.max_children = max_children;
    }
    Ok(next)
}

/// A change of limits: what is `None` stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LimitsChange {
    /// A new deepest level.
    pub max_depth: Option<Option<u32>>,
    /// A new cap on children.
    pub max_children: Option<Option<u32>>,
    /// Whether the root is a super organization.
    pub super_organization: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::tests::{id, line};

    fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Code {
        result.expect_err("refused").code
    }

    #[test]
    fn depth_counts_the_whole_subtree() {
        let parent = line(3, |_, _| ());
        assert_eq!(check_attach(&parent, 2, Limits::DEFAULT), Ok(()));
        assert_eq!(code(check_attach(&parent, 3, Limits::DEFAULT)), Code::DepthExceeded);
        let unlimited = Limits { max_depth: None, ..Limits::DEFAULT };
        assert_eq!(check_attach(&parent, 13, unlimited), Ok(()));
        assert_eq!(code(check_attach(&parent, 14, unlimited)), Code::DepthExceeded);
    }

    #[test]
    fn the_hundredth_child_is_the_last() {
        let parent = |count| line(1, move |_, a| a.child_count = count);
        assert_eq!(check_attach(&parent(99), 1, Limits::DEFAULT), Ok(()));
        assert_eq!(code(check_attach(&parent(100), 1, Limits::DEFAULT)), Code::ChildrenExceeded);
        let capless = Limits { max_children: None, ..Limits::DEFAULT };
        assert_eq!(check_attach(&parent(100), 1, capless), Ok(()));
    }

    #[test]
    fn moves_are_refused_in_a_fixed_order() {
        let (two, three) = (line(2, |_, _| ()), line(3, |_, _| ()));
        assert_eq!(code(check_move(&two, 2, &two, Limits::DEFAULT)), Code::SelfParent);
        assert_eq!(code(check_move(&two, 2, &three, Limits::DEFAULT)), Code::Cycle);
        assert_eq!(check_move(&three, 1, &two, Limits::DEFAULT), Ok(Move::Nothing));
        assert_eq!(check_move(&three, 1, &line(1, |_, _| ()), Limits::DEFAULT), Ok(Move::Below(id(1))));
        let closed = line(3, |n, a| a.status = if n == 3 { Status::Closed } else { Status::Active });
        assert_eq!(code(check_move(&closed, 1, &line(1, |_, _| ()), Limits::DEFAULT)), Code::ClosedIsTerminal);
        let shut = line(1, |_, a| a.status = Status::Suspended);
        assert_eq!(code(check_move(&three, 1, &shut, Limits::DEFAULT)), Code::ParentSuspended);
    }

    #[test]
    fn nobody_is_activated_below_a_suspended_account() {
        let below = line(2, |_, a| a.status = Status::Suspended);
        assert_eq!(code(activate(&below)), Code::ParentSuspended);
        assert_eq!(
            activate(&line(2, |n, a| a.status = if n == 2 { Status::Suspended } else { Status::Active })),
            Ok(Status::Active)
        );
    }

    #[test]
    fn a_super_organization_lifts_the_cap_and_gets_it_back() {
        let on = LimitsChange { super_organization: Some(true), ..LimitsChange::default() };
        let limits = change_limits(Limits::DEFAULT, on, Limits::DEFAULT).expect("allowed");
        assert_eq!((limits.max_children, limits.super_organization), (None, true));
        let cap = LimitsChange { max_children: Some(Some(5)), ..LimitsChange::default() };
        assert_eq!(code(change_limits(limits, cap, Limits::DEFAULT)), Code::InvalidField);
        let off = LimitsChange { super_organization: Some(false), ..LimitsChange::default() };
        assert_eq!(change_limits(limits, off, Limits::DEFAULT), Ok(Limits::DEFAULT));
        let deep = LimitsChange { max_depth: Some(Some(17)), ..LimitsChange::default() };
        assert_eq!(code(change_limits(limits, deep, Limits::DEFAULT)), Code::InvalidField);
    }
}
