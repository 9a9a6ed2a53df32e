//! Limits of calls, as keys and accounts hold them.

use tenantry_core::limit::{CallLimits, Rate};

use crate::db::Row;
use crate::{Error, Result};

/// The limits in the columns of these names: calls, seconds, and calls at once.
pub(crate) fn limits(row: &Row, [calls, seconds, in_flight]: [&'static str; 3]) -> Result<CallLimits> {
    let rate = row.optional_count(calls)?.zip(row.optional_count(seconds)?);
    let wrong = |found: (u32, u32)| Error::Inconsistent { column: calls, found: format!("{found:?}") };
    let rate = rate.map(|(calls, seconds)| Rate::new(calls, seconds).ok_or(wrong((calls, seconds)))).transpose()?;
    Ok(CallLimits { rate, in_flight: row.optional_count(in_flight)? })
}
