//! The data plane: what happens to a call between a client and the API behind, without a database.
//!
//! | module | holds |
//! |---|---|
//! | [`limits`] | how many calls were made, and are being made |

pub mod limits;
